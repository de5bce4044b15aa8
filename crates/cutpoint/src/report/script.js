// Draws the report from the JSON object in the page. Names from files become text nodes and
// attribute values only, never markup. Times are nanoseconds.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [planned, measured] = data.timeline;

  // --- Elements -------------------------------------------------------------------------------

  const maker = (create) => (tag, attributes, ...children) => {
    const element = create(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat(9).filter((child) => child !== null && child !== undefined));
    return element;
  };
  const html = maker((tag) => document.createElement(tag));
  const svg = maker((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  const dim = (text) => html("span", { class: "dim" }, text);
  const note = (text) => html("p", { class: "note" }, text);
  const letter = (text) => html("span", { class: "letter" }, text);
  const cell = (text) => html("td", { class: "r" }, text);
  const rowHead = (...children) => html("th", { scope: "row" }, ...children);
  const line = (name, x1, y1, x2, y2) => svg("line", { class: name, x1, y1, x2, y2 });
  const scrollable = (label, ...children) =>
    html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);
  const leftOut = (count, one, many) => {
    if (!count) return null;
    return note(count === 1 ? `1 more ${one} is not shown.` : `${count} more ${many} are not shown.`);
  };

  // --- Numbers and names ----------------------------------------------------------------------

  const NOTHING = "0\u00a0ms";
  const time = (ns) => {
    const ms = ns / 1e6;
    if (ms < 0.00005) return NOTHING;
    if (ms < 0.1) return (ms * 1e3).toFixed(1) + "\u00a0µs";
    if (ms < 1e3) return ms.toFixed(ms < 10 ? 2 : 1) + "\u00a0ms";
    return (ms / 1e3).toFixed(ms < 1e5 ? 3 : 1) + "\u00a0s";
  };
  const difference = (before, after) => {
    const apart = time(Math.abs(after - before));
    return apart === NOTHING ? apart : (after < before ? "−" : "+") + apart;
  };
  const bytes = (count) => {
    if (count < 1e3) return count + "\u00a0B";
    if (count < 1e6) return (count / 1e3).toFixed(count < 1e5 ? 1 : 0) + "\u00a0kB";
    return count < 1e9 ? (count / 1e6).toFixed(2) + "\u00a0MB" : (count / 1e9).toFixed(2) + "\u00a0GB";
  };
  const bandwidth = (mbit) => {
    const text = mbit < 0.1 ? String(mbit) : mbit.toFixed(mbit < 100 ? 2 : 0);
    return text + "\u00a0Mbit/s";
  };
  const percent = (part, whole, digits = 1) =>
    whole > 0 ? ((100 * part) / whole).toFixed(digits) + "\u00a0%" : "–";
  const jobs = (count) => (count === 1 ? "1 job" : count + " jobs");
  /// A position on an axis that ends at `end`, as an SVG length.
  const along = (value, end) => +((100 * value) / Math.max(end, 1)).toFixed(3) + "%";

  /// The unit of an axis that ends at `end`, and the unit's length.
  const axisUnit = (end) => (end < 2e6 ? ["µs", 1e3] : end < 1e10 ? ["ms", 1e6] : ["s", 1e9]);

  /// Round numbers from 0 to `end`, about `count` of them: `[value, text]` each.
  const ticks = (end, count) => {
    if (!(end > 0)) return [[0, "0"]];
    const rough = end / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const factor = [1, 2, 2.5, 5, 10].find((f) => f * power >= rough * 0.999999);
    const step = factor * power;
    const decimals = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9) + (factor === 2.5 && step < 10 ? 1 : 0));
    const marks = [];
    for (let i = 0; i * step <= end * 1.000001; i++) marks.push([i * step, (i * step).toFixed(decimals)]);
    return marks;
  };

  // --- Details on hover and focus -------------------------------------------------------------

  const tip = html("div", { id: "tip", role: "status", hidden: "" });
  const describe = (element, text) => {
    element.dataset.t = text;
    return element;
  };
  let plot = null;
  const light = (mark) => {
    if (!plot) return;
    const job = mark && mark.dataset.j;
    plot.classList.toggle("one", Boolean(job));
    for (const lit of plot.querySelectorAll(".same")) lit.classList.remove("same", "now");
    if (!job) return;
    for (const same of plot.querySelectorAll(`[data-j="${job}"]`)) same.classList.add("same");
    mark.classList.add("now");
  };
  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.t;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const top = y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18;
    tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 6)) + "px";
    tip.style.top = Math.max(6, top) + "px";
    light(mark);
  };
  const showAt = (mark) => {
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.bottom - 8);
  };
  const hide = () => {
    tip.hidden = true;
    light(null);
  };
  const described = (event) => event.target.closest && event.target.closest("[data-t]");
  document.addEventListener("pointermove", (event) => {
    const mark = described(event);
    if (mark) show(mark, event.clientX, event.clientY);
    else if (!tip.hidden && event.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (event) => described(event) || hide());
  document.addEventListener("focusin", (event) => described(event) && showAt(event.target));
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", () => tip.hidden || hide(), { passive: true });

  // --- Tables ---------------------------------------------------------------------------------

  /// A table in a region that scrolls; headings that begin with ">" are above numbers.
  const table = (name, label, headings, rows) => {
    const head = headings.map((text) => {
      const isNumber = text.startsWith(">");
      const title = isNumber ? text.slice(1) : text;
      return title ? html("th", { scope: "col", class: isNumber ? "r" : null }, title) : html("td");
    });
    const body = html("tbody", null, rows);
    return scrollable(label, html("table", { class: name }, html("thead", null, html("tr", null, head)), body));
  };

  /// A number with a bar behind it: `part` of `whole`.
  const bar = (name, text, color, part, whole, ...ground) =>
    html("td", { class: name }, html("div", null, html("span", null, text),
      svg("svg", { class: color, "aria-hidden": "true" }, ground,
        svg("rect", { width: along(Math.min(part, whole), whole), height: "100%" }))));

  /// Rows of planned and measured times, with bars to both sides of one zero, on one scale.
  const comparison = (label, heading, rows, head) => {
    const slower = Math.max(0, ...rows.map((r) => r.measured - r.planned));
    const faster = Math.max(0, ...rows.map((r) => r.planned - r.measured));
    const whole = slower + faster;
    const diverging = (r) => {
      const [from, length] = [faster + Math.min(0, r.measured - r.planned), Math.abs(r.measured - r.planned)];
      return html("td", { class: "diverging" }, svg("svg", { class: r.machine, "aria-hidden": "true" },
        svg("rect", { x: along(from, whole), y: 2, width: along(length, whole), height: 12 }),
        line("zero", along(faster, whole), 0, along(faster, whole), 16)));
    };
    return table("plain", label, [heading, ">Measured", ">Planned", ">Difference", ""], rows.map((r) =>
      html("tr", null, rowHead(head(r)), cell(time(r.measured)), cell(time(r.planned)),
        cell(difference(r.planned, r.measured)), diverging(r))));
  };

  // --- Policies, machines, errors -------------------------------------------------------------

  const policies = () => {
    const longest = Math.max(...data.policies.map((p) => p.makespan || 0));
    const row = (p) => {
      const tag = p.isMeasured ? "measured" : p.own ? "this plan" : null;
      const head = rowHead(p.name, tag && html("span", { class: "tag" }, tag));
      if (p.error) return html("tr", null, head, html("td", { class: "dim", colspan: 4 }, p.error));
      const above = p.makespan - data.bound;
      const gap = p.isMeasured || above > 0 ? percent(above, data.bound, 2) : "optimal";
      return html("tr", { class: p.own ? "own" : null }, head, bar("bar", time(p.makespan), "total", p.makespan, longest),
        cell(gap), cell(p.mean === null ? "–" : time(p.mean)), cell(p.cut));
    };
    return [
      note(`What each policy makes of the same jobs, link and layer times. All figures are planned${
        measured ? ", except in the row marked measured" : ""}. A cut job has layers on both sides; every row is compared with the same lower bound, ${time(data.bound)}.`),
      table("policies", "Policies", ["Policy", "Makespan", ">Above the bound", ">Mean completion", ">Jobs cut"],
        data.policies.map(row)),
    ];
  };

  const machines = () => {
    const rows = planned.rows.map((row) => [row, measured && measured.rows.find((r) => r.machine === row.machine)]);
    for (const row of measured ? measured.rows : []) {
      if (!rows.some(([r]) => r.machine === row.machine)) rows.push([{ machine: row.machine, busy: 0 }, row]);
    }
    const busy = (machine, time, makespan) =>
      bar("busy", percent(time, makespan), machine, time, makespan, svg("rect", { class: "ground", width: "100%", height: "100%" }));
    const row = ([plan, run]) => {
      const head = rowHead(plan.machine);
      if (!measured) return html("tr", null, head, busy(plan.machine, plan.busy, planned.makespan));
      const work = run ? run.busy : 0;
      const idle = [planned.makespan - plan.busy, measured.makespan - work].map((t) => Math.max(0, t));
      return html("tr", null, head, busy(plan.machine, work, measured.makespan),
        busy(plan.machine, plan.busy, planned.makespan), cell(difference(plan.busy, work)),
        cell(difference(...idle)), cell(difference(planned.makespan, measured.makespan)));
    };
    const headings = measured
      ? ["Machine", "Busy, measured", "Busy, planned", ">Extra work", ">Extra idle time", ">Makespan"]
      : ["Machine", "Busy, planned"];
    return [
      note(measured
        ? "The share of the makespan in which each machine works. In each row, extra work and extra idle time add up to the error of the makespan."
        : "The share of the planned makespan in which each machine works."),
      table("plain", "Machines", headings, rows.map(row)),
    ];
  };

  const errors = () => {
    const { sums, largest, unplanned } = data.errors;
    const operations = unplanned === 1 ? "1 measured operation is" : `${unplanned} measured operations are`;
    return [
      note("Measured minus planned, summed over all jobs. Bars to the right took longer than planned. Machines work at the same time, so the sums do not add up to the error of the makespan."),
      comparison("Sums over all jobs", "Sum over all jobs", sums, (r) => r.name),
      html("h3", null, "Operations furthest from the plan"),
      comparison("Single operations", "Operation", largest, (r) => [`job ${r.job} `, dim(`${r.machine}: ${r.name}`)]),
      unplanned ? note(`${operations} not in the plan and only in the sums.`) : null,
    ];
  };

  // --- Timeline -------------------------------------------------------------------------------

  const ROW = 34;
  const BAR = 26;
  const HEADER = 30;
  const BETWEEN = 12;
  const AXIS = 34;

  const blockText = (machine, [start, end, busy, , operations, firstJob, lastJob, first, last]) => {
    const name = (place) => data.names[place];
    const what = first < 0
      ? `${machine}: ${operations} operations, job ${firstJob} to job ${lastJob}`
      : `job ${firstJob} on the ${machine}: ${
        operations === 1 ? name(first) : `${name(first)} … ${name(last)} (${operations} operations)`}`;
    const rest = operations > 1 && busy < end - start ? `, busy ${time(busy)}` : "";
    return `${what}\n${time(start)} to ${time(end)}, ${time(end - start)} long${rest}`;
  };

  const block = (row, top, end, values) => {
    const [start, stop, busy, lane, , job, , first, , isEncode] = values;
    const height = BAR / row.lanes;
    const rect = svg("rect", {
      class: isEncode ? "e" : first >= 0 && job % 2 ? "b" : "a",
      x: along(start, end), y: top + lane * height,
      width: along(stop - start, end), height: row.lanes > 1 ? height - 1 : height,
      "data-j": first < 0 ? "" : job,
      "fill-opacity": first < 0 ? Math.max(0.05, Math.min(1, busy / Math.max(1, stop - start))).toFixed(2) : null,
    });
    return describe(rect, blockText(row.machine, values));
  };

  const timeline = () => {
    const end = Math.max(...data.timeline.map((part) => part.makespan));
    const heightOf = (part) => HEADER + ROW * part.rows.length;
    const base = data.timeline.reduce((sum, part) => sum + heightOf(part) + BETWEEN, -BETWEEN);
    const height = base + AXIS;
    const names = svg("svg", { class: "names", height, "aria-hidden": "true" });
    const axis = svg("g", { class: "axis" });
    const hatch = svg("defs", null,
      svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        svg("rect", { class: "h0", width: 6, height: 6 }), svg("rect", { class: "h1", width: 3, height: 6 })));
    const summary = data.timeline.map((part) => `${part.title}: makespan ${time(part.makespan)}, ` +
      part.rows.map((row) => `${row.machine} busy ${percent(row.busy, part.makespan)}`).join(", "));
    plot = svg("svg", { class: "plot", height, role: "img",
      "aria-label": `${summary.join(". ")}. Lower bound ${time(data.bound)}.` }, hatch, axis);
    const groups = [];
    let top = 0;
    for (const part of data.timeline) {
      names.append(svg("text", { class: "part", x: 0, y: top + 19 }, part.title));
      part.rows.forEach((row, i) => {
        const y = top + HEADER + i * ROW;
        names.append(svg("text", { x: 0, y: y + 13 }, row.machine),
          svg("text", { class: "dim", x: 0, y: y + 26 }, `${percent(row.busy, part.makespan, 0)} busy`));
        plot.append(svg("rect", { class: "ground", x: 0, y, width: along(part.makespan, end), height: BAR }));
        groups.push(svg("g", { class: row.machine }, row.blocks.map((values) => block(row, y, end, values))));
        plot.append(groups.at(-1));
      });
      const bottom = top + heightOf(part) - (ROW - BAR);
      const [bound, makespan] = [along(Math.min(data.bound, end), end), along(part.makespan, end)];
      const isLeft = part.makespan < end / 3;
      plot.append(line("bound", bound, top + HEADER - 4, bound, bottom), line("makespan", makespan, top + 8, makespan, bottom),
        svg("text", { class: "strong", x: makespan, dx: isLeft ? 8 : -8, y: top + 19, "text-anchor": isLeft ? "start" : "end" },
          `makespan ${time(part.makespan)}`));
      top += heightOf(part) + BETWEEN;
    }
    const label = "Timeline. Arrow keys move from operation to operation, plus and minus zoom.";
    const scroll = html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, plot);
    const tools = zoomable(scroll, axis, groups, base, end);
    const key = (name) => svg("svg", { class: "key" }, line(name, "50%", 0, "50%", "100%"));
    return [
      note("What each machine does when: layers and encodings on the device, tensors on the uplink, the remaining layers on the server. Numbers are jobs; neighbouring jobs differ in shade; encodings are hatched. A row without gaps is the bottleneck. A job’s layers that run without a break are one block; where blocks are too many to be told apart, several are drawn as one, paler the less it is busy."),
      tools, html("div", { class: "timeline" }, names, scroll),
      html("ul", { class: "legend" },
        html("li", null, key("bound"), `lower bound ${time(data.bound)}: no plan ends earlier`),
        html("li", null, key("makespan"), "makespan: the last job is complete")),
    ];
  };

  /// Zoom by button and key, moves from block to block by key; returns the buttons.
  const zoomable = (scroll, axis, groups, base, end) => {
    const [unit, length] = axisUnit(end);
    let zoom = 1;
    const drawAxis = () => {
      const room = Math.max(2, Math.floor((plot.getBoundingClientRect().width || 900) / 110));
      const marks = ticks(end / length, room).flatMap(([value, text]) => {
        const x = along(value * length, end);
        const isFree = value * length < end * (1 - 0.7 / room);
        return [line("", x, 0, x, base + 5),
          isFree ? svg("text", { x, y: base + 21, "text-anchor": value ? "middle" : "start" }, text) : null];
      });
      const last = svg("text", { x: "100%", y: base + 21, "text-anchor": "end" }, `${(end / length).toFixed(1)} ${unit}`);
      axis.replaceChildren(...marks.filter(Boolean), last);
    };
    const drawNumbers = () => {
      const width = plot.getBoundingClientRect().width;
      for (const group of groups) {
        for (const old of group.querySelectorAll(".n")) old.remove();
        const number = (mark) => {
          const [x, y, share, height] = ["x", "y", "width", "height"].map((a) => parseFloat(mark.getAttribute(a)));
          const job = mark.dataset.j;
          if (!job || height < 14 || (share * width) / 100 < 8 + 7 * job.length) return [];
          return svg("text", { class: `n ${mark.classList[0]}`, x: x + share / 2 + "%", y: y + height / 2 + 4.5 }, job);
        };
        group.append(...[...group.querySelectorAll("rect:not(.e)")].flatMap(number));
      }
    };
    const draw = () => {
      drawAxis();
      drawNumbers();
    };
    const setZoom = (next) => {
      const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
      zoom = Math.max(1, Math.min(64, next));
      plot.style.width = 100 * zoom + "%";
      draw();
      scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
    };
    const rows = groups.map((group) => [...group.querySelectorAll("rect")]);
    let [row, column] = [0, -1];
    const middle = (mark) => parseFloat(mark.getAttribute("x")) + parseFloat(mark.getAttribute("width")) / 2;
    const turn = (by) => {
      let next = row + by;
      while (rows[next] && !rows[next].length) next += by;
      if (!rows[next]) return;
      const at = rows[row][column] ? middle(rows[row][column]) : 0;
      const far = (mark) => Math.abs(middle(mark) - at);
      row = next;
      column = rows[row].reduce((best, mark, i) => (far(mark) < far(rows[row][best]) ? i : best), 0);
    };
    const keys = {
      ArrowRight: () => (column = Math.min(column + 1, rows[row].length - 1)),
      ArrowLeft: () => (column = Math.max(column - 1, 0)),
      ArrowDown: () => turn(1),
      ArrowUp: () => turn(-1),
      Home: () => (column = 0),
      End: () => (column = rows[row].length - 1),
    };
    const zooms = { "+": () => zoom * 2, "=": () => zoom * 2, "-": () => zoom / 2, 0: () => 1 };
    scroll.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (zooms[event.key]) setZoom(zooms[event.key]());
      if (!keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
      const mark = rows[row][column];
      if (!mark) return;
      const at = (middle(mark) / 100) * scroll.scrollWidth;
      if (at < scroll.scrollLeft || at > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = at - scroll.clientWidth / 2;
      showAt(mark);
    });
    addEventListener("resize", draw);
    addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll(".trouble")) details.open = true;
      setZoom(1);
      hide();
    });
    requestAnimationFrame(draw);
    draw();
    const button = (text, label, next) => {
      const made = html("button", { type: "button", "aria-label": label }, text);
      made.addEventListener("click", () => setZoom(next()));
      return made;
    };
    return html("div", { class: "tools" }, button("−", "Zoom out", zooms["-"]), button("+", "Zoom in", zooms["+"]),
      button("Whole run", null, zooms[0]),
      dim("Point at a block, or press an arrow key in the chart; one job lights up everywhere."));
  };

  // --- Models ---------------------------------------------------------------------------------

  const LAYER_ROW = 28;
  const CUT_ROW = 32;
  const LANES_WIDTH = 170;

  /// The lanes of a model's rows, from the left: every tensor keeps its lane from the row that
  /// writes it to the last row that reads it.
  const lanes = (model) => {
    const taken = [];
    const free = () => {
      const lane = taken.findIndex((edge) => !edge);
      return lane < 0 ? taken.length : lane;
    };
    const starting = Array.from({ length: model.rows.length + 1 }, () => []);
    for (const edge of model.edges) if (edge.to.length) starting[edge.from].push(edge);
    return starting.map((edges, row) => {
      const slice = { node: null, through: [], into: [], out: [] };
      taken.forEach((edge, lane) => {
        if (!edge) return;
        if (edge.to.includes(row)) slice.into.push([lane, edge]);
        if (edge.to.at(-1) > row) return slice.through.push([lane, edge]);
        slice.node ??= lane;
        taken[lane] = null;
      });
      slice.node ??= free();
      for (const edge of edges) {
        const lane = taken[slice.node] ? free() : slice.node;
        taken[lane] = edge;
        slice.out.push([lane, edge]);
      }
      return slice;
    });
  };

  const sent = (cut) => bytes(cut.bytes) + (cut.encodings.length ? ` (${cut.encodings.join(", ")})` : "");

  const modelChart = (model) => {
    const slices = lanes(model);
    const lanesUsed = slices.flatMap((s) => [s.node, ...[...s.through, ...s.into, ...s.out].map(([lane]) => lane)]);
    const width = Math.max(...lanesUsed) + 1;
    const x = (lane) => 12 + lane * Math.min((LANES_WIDTH - 24) / width, 17);
    const bytesMax = Math.max(1, ...model.edges.map((edge) => edge.bytes));
    const timeMax = Math.max(...model.rows.flatMap((row) => [row.device, row.server]));
    const edge = ([lane, { name, bytes: size }], from, to) => {
      const [x1, y1, x2, y2] = [from?.[0] ?? x(lane), from?.[1] ?? 0, to?.[0] ?? x(lane), to[1]];
      const middle = (y1 + y2) / 2;
      return describe(svg("path", { d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`,
        "stroke-width": (1.5 + 6 * Math.sqrt(size / bytesMax)).toFixed(1) }), `${name}: ${bytes(size)}`);
    };
    const lane = (height, ...children) =>
      html("td", { class: "lane" }, svg("svg", { width: x(width - 1) + 12, height, "aria-hidden": "true" }, ...children));
    const layerLane = (slice, name) => {
      const node = [x(slice.node), LAYER_ROW / 2];
      return lane(LAYER_ROW,
        slice.through.map((e) => edge(e, null, [undefined, LAYER_ROW])),
        slice.into.map((e) => edge(e, null, node)),
        slice.out.map((e) => edge(e, node, [undefined, LAYER_ROW])),
        svg("circle", { class: name, cx: node[0], cy: node[1], r: 5 }));
    };
    const sizes = (row) => {
      const leaving = model.edges.filter((e) => e.from === row).map((e) => e.bytes);
      const sum = bytes(leaving.reduce((a, b) => a + b, 0));
      return leaving.length > 2 ? `${sum} in ${leaving.length}` : leaving.length === 2 ? leaving.map(bytes).join(" + ") : sum;
    };
    const cutRow = (cut) => {
      const { through, out } = slices[cut.above];
      const text = cut.isLocal
        ? ` ${cut.jobs === 1 ? "stays" : "stay"} on the device: ${time(cut.device)}${cut.jobs === 1 ? "" : " each"}`
        : ` ${cut.jobs === 1 ? "is" : "are"} cut here, sending ${cut.bytes ? sent(cut) : "nothing"}`;
      const times = ` · device ${time(cut.device)} · uplink ${time(cut.uplink)} · server ${time(cut.server)}`;
      return html("tr", { class: "cut" },
        lane(CUT_ROW, [...through, ...out].map((e) => edge(e, null, [undefined, CUT_ROW]))),
        html("td", { colspan: 4 }, letter(cut.letter), " ", html("strong", null, jobs(cut.jobs)), text,
          cut.isLocal ? null : dim(times), cut.isLine ? null : `; only the layers marked ${cut.letter} stay on the device`));
    };
    const cutsBelow = (row) => model.cuts.filter((cut) => cut.above === row).map(cutRow);
    const layerRow = (row, i) => [
      html("tr", null, layerLane(slices[i + 1], "layer"),
        rowHead(row.name, row.layers > 1 ? dim(` ${row.layers} layers`) : null, row.marks.map((mark) => [" ", letter(mark)])),
        cell(sizes(i + 1)), bar("bar", time(row.device), "device", row.device, timeMax),
        bar("bar", time(row.server), "server", row.server, timeMax)),
      cutsBelow(i + 1),
    ];
    const rows = [
      html("tr", { class: "input" }, layerLane(slices[0], "input"), rowHead("input ", dim(model.inputs)),
        cell(sizes(0)), html("td"), html("td")),
      cutsBelow(0), model.rows.map(layerRow),
    ];
    const headings = ["Graph", "Layer", ">Passes on", "On the device", "On the server"];
    return [
      table("model", `Layers of ${model.name}`, headings, rows),
      model.layers.length
        ? html("details", null, html("summary", null, `All ${model.layers.length} layers, one by one`),
          table("plain", `All layers of ${model.name}`, ["Layer", ">Writes", ">Device", ">Server"], model.layers.map(
            ([name, size, device, server]) => html("tr", null, rowHead(name), cell(bytes(size)), cell(time(device)), cell(time(server))))))
        : null,
      leftOut(model.cutsLeftOut, "cut", "cuts"),
    ];
  };

  const heading = (model) => (data.models.length > 1 ? html("h3", null, `${model.name}, ${jobs(model.jobs)}`) : null);

  const models = () => [
    note("The model from input to output. Lines are tensors, thicker where they are larger; bars are measured layer times, device and server on one scale. Layers above a dashed line stay on the device, layers below it run on the server, and the tensors that the line crosses are sent. Long runs of layers share a row."),
    data.models.map((model) => [heading(model), modelChart(model)]),
    leftOut(data.modelsLeftOut, "model", "models"),
  ];

  // --- The plane of device time and uplink time -------------------------------------------------

  const HEIGHT = 380;
  const ABOVE = 14;
  const BELOW = 48;

  const planeChart = (model) => {
    const { points, hull, ends: [fEnd, gEnd], cuts, mean } = model.plane;
    const bottom = HEIGHT - BELOW;
    const x = (f) => along(f, fEnd);
    const y = (g) => +(bottom - ((bottom - ABOVE) * g) / gEnd).toFixed(1);
    const place = ([f, g]) => `f ${time(f)}, g ${time(g)}`;
    const [fUnit, fLength] = axisUnit(fEnd);
    const [gUnit, gLength] = axisUnit(gEnd);
    const gTicks = ticks(gEnd / gLength, 5);
    const names = svg("svg", { class: "names", height: HEIGHT, "aria-hidden": "true" },
      gTicks.map(([value, text]) => svg("text", { x: "100%", dx: -8, y: y(value * gLength) + 4, "text-anchor": "end" }, text)),
      svg("text", { class: "dim", transform: "rotate(-90)", x: -(bottom + ABOVE) / 2, y: 13, "text-anchor": "middle" }, `uplink time g, ${gUnit}`));
    const grid = svg("g", { class: "axis" },
      ticks(fEnd / fLength, 6).map(([value, text]) => [
        line("", x(value * fLength), ABOVE, x(value * fLength), bottom + 5),
        svg("text", { x: x(value * fLength), y: bottom + 20, "text-anchor": value ? "middle" : "start" }, text)]),
      gTicks.map(([value]) => line("", 0, y(value * gLength), "100%", y(value * gLength))),
      svg("text", { class: "dim", x: "50%", y: bottom + 40, "text-anchor": "middle" }, `device time f, ${fUnit}`));
    const corners = hull.map((p) => describe(svg("circle", { class: "corner", cx: x(p[0]), cy: y(p[1]), r: 4 }), `hull: ${place(p)}`));
    return html("div", { class: "plane" }, names,
      svg("svg", { class: "plot", height: HEIGHT, role: "group", "aria-label": `${model.name}: ${cuts} cuts, hull of ${hull.length} corners` },
        grid, svg("g", { class: "cloud" }, points.map((p) => svg("circle", { cx: x(p[0]), cy: y(p[1]), r: 2.5 }))),
        balanceLine(model.plane, x, y),
        hull.slice(1).map((p, i) => line("hull", x(hull[i][0]), y(hull[i][1]), x(p[0]), y(p[1]))), corners,
        usedCuts(model, x, y, place),
        model.cuts.length > 1
          ? svg("svg", { class: "mean", x: x(mean[0]), y: y(mean[1]) },
            describe(svg("path", { d: "M-6 -6L6 6M-6 6L6 -6" }), `mean over all jobs: ${place(mean)}`))
          : null));
  };

  /// Where device and uplink are equally busy: f = g for one model, the slope for several.
  const balanceLine = ({ hull, ends: [fEnd, gEnd] }, x, y) => {
    if (data.models.length === 1) {
      const end = Math.min(fEnd, gEnd);
      return line("balance", 0, y(0), x(end), y(end));
    }
    const slope = data.balance;
    if (!slope) return null;
    const lowest = Math.min(...hull.map(([f, g]) => g + slope * f));
    const from = Math.max(0, (lowest - gEnd) / slope);
    const to = Math.min(fEnd, lowest / slope);
    return line("balance", x(from), y(lowest - slope * from), x(to), y(lowest - slope * to));
  };

  /// The cuts in use, each with its letter where it covers no other one in a plane of 700 units.
  const usedCuts = (model, x, y, place) => {
    const taken = [];
    return model.cuts.map((cut) => {
      const point = [cut.device, cut.uplink];
      const at = [7 * parseFloat(x(cut.device)), y(cut.uplink)];
      const isFree = ([dx, dy]) => at[0] + dx > 12 && at[0] + dx < 688 && at[1] + dy > ABOVE + 4 &&
        taken.every(([a, b]) => Math.abs(a - at[0] - dx) > 18 || Math.abs(b - at[1] - dy) > 18);
      const [dx, dy] = [[15, -13], [-15, -13], [17, 12], [30, -30], [-30, -30]].find(isFree) || [30, -30];
      taken.push([at[0] + dx, at[1] + dy], at);
      const text = `cut ${cut.letter}: ${jobs(cut.jobs)}, ${place(point)}`;
      const mark = svg("circle", { class: "used", cx: x(cut.device), cy: at[1], r: 6.5, tabindex: 0, role: "img", "aria-label": text });
      return [describe(mark, text),
        svg("text", { class: "usedname", x: x(cut.device), y: at[1], dx, dy: dy + 5, "text-anchor": "middle" }, cut.letter)];
    });
  };

  const planeLegend = (model) => {
    const { cuts, isComplete, outside } = model.plane;
    const key = (name, ...shapes) => svg("svg", { class: `key ${name}` }, shapes);
    const all = isComplete
      ? `all ${cuts} cuts`
      : `the ${cuts} cuts along one order of the layers; there are too many to draw all`;
    const isBalanced = data.models.length === 1 || data.balance;
    const item = (cut) => html("li", null, letter(cut.letter), " ", html("strong", null, jobs(cut.jobs)), `, ${cut.what}`,
      html("span", { class: "dim block" }, `f ${time(cut.device)}, g ${time(cut.uplink)}, ${bytes(cut.bytes)} sent`));
    return html("div", { class: "cutlist" }, html("ul", null, model.cuts.map(item)),
      html("ul", { class: "legend" },
        html("li", null, key("cloud", svg("circle", { cx: "50%", cy: "50%", r: 2.5 })), all + (outside ? ` (${outside} beyond the axes)` : "")),
        html("li", null, key("", line("hull", 0, "30%", "100%", "70%")), "hull: the best that mixing cuts can reach"),
        isBalanced ? html("li", null, key("", line("balance", 0, "70%", "100%", "30%")), data.models.length === 1
          ? "balance: device and uplink equally busy" : "balance: the slope at which all models together are balanced") : null,
        model.cuts.length > 1 ? html("li", null, key("", svg("path", { class: "mean", d: "M7 3L17 13M7 13L17 3" })), "mean over the jobs") : null));
  };

  const planes = () => [
    note("Each dot is a cut: its device time for one job to the right, its uplink time upwards. A mix of cuts lies on the line between them, so no average is below the hull; the best mix keeps device and uplink equally busy. Server times are not in this picture."),
    data.models.map((model) => [heading(model), html("div", { class: "beside" }, planeChart(model), planeLegend(model))]),
  ];

  // --- Jobs and conditions --------------------------------------------------------------------

  const jobList = () => {
    const headings = measured
      ? ["Job", ">Cut", ">Complete, measured", ">Complete, planned", ">Difference"]
      : ["Job", ">Cut", ">Complete, planned"];
    const row = ([model, cut, plan, run], job) => html("tr", null,
      rowHead(`job ${job} `, data.models.length > 1 ? dim(model) : null), cell(letter(cut)),
      measured ? cell(run === null ? "–" : time(run)) : null, cell(time(plan)),
      measured ? cell(run === null ? "–" : difference(plan, run)) : null);
    const count = data.jobs.length + data.jobsLeftOut;
    return html("details", null, html("summary", null, count === 1 ? "1 job and its cut" : `${count} jobs and their cuts`),
      table("plain", "Jobs", headings, data.jobs.map(row)), leftOut(data.jobsLeftOut, "job", "jobs"));
  };

  const conditions = () => {
    const { uplink, downlink, roundTrip, overhead, executors, granularity, period } = data.conditions;
    const rows = [
      ["Uplink", bandwidth(uplink)],
      ["Downlink", downlink === null ? "at no cost" : bandwidth(downlink)],
      ["Round trip", time(roundTrip)],
      ["Message overhead", time(overhead)],
      ["Server", executors === null ? "any number of jobs at a time" : `${jobs(executors)} at a time`],
      ["Granularity", granularity === "layer" ? "layer: a tensor may leave as soon as its layer has ended"
        : "job: tensors leave after their job’s last layer on the device"],
      ["Jobs", `${data.conditions.jobs}${period ? `, one every ${time(period)}` : ""}`],
    ];
    return [
      note("All figures hold for these conditions, and for the layer times and sizes above."),
      html("dl", { class: "conditions" }, rows.map(([name, value]) => [html("dt", null, name), html("dd", null, value)])),
    ];
  };

  // --- The page -------------------------------------------------------------------------------

  const sections = [
    ["policies", "Policies", "Policies compared", policies],
    ["timeline", "Timeline", "Timeline", timeline],
    ["machines", "Machines", "How busy the machines are", machines],
    ["errors", "Errors", "Where the prediction erred", errors],
    ["models", "Cuts", "Where the jobs are cut", models],
    ["plane", "Why", "Why these cuts", planes],
    ["jobs", "Jobs", "Every job", jobList],
    ["conditions", "Conditions", "Conditions", conditions],
  ].filter(([id]) => id !== "errors" || data.errors);
  const main = html("main", { id: "main" }, sections.map(([id, , title, fill]) =>
    html("section", { id, "aria-label": title }, html("h2", null, title), fill())));
  const navigation = html("nav", { "aria-label": "Sections" },
    sections.map(([id, name]) => html("a", { href: `#${id}` }, name)));
  document.body.prepend(html("a", { class: "skip", href: "#main" }, "Skip to the charts"));
  document.querySelector(".verdict").after(navigation, main, tip);
  dispatchEvent(new Event("resize"));
})();
