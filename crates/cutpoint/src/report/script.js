"use strict";
(() => {
  const tip = document.getElementById("tip");
  const titled = (e) => e.target.closest && e.target.closest("[data-t]");
  for (const title of document.querySelectorAll("svg title")) {
    title.parentNode.dataset.t = title.textContent;
    title.remove();
  }

  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    const left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 6));
    const top = y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18;
    tip.style.left = left + "px";
    tip.style.top = Math.max(6, top) + "px";
  };
  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.t;
    tip.hidden = false;
    place(x, y);
    light(mark);
  };
  const hide = () => {
    tip.hidden = true;
    light(null);
  };

  const plot = document.querySelector(".timeline .plot");
  let lit = [];
  const light = (mark) => {
    lit.forEach((m) => m.classList.remove("same", "now"));
    lit = [];
    const job = mark && mark.dataset.j;
    if (plot) plot.classList.toggle("one", Boolean(job));
    if (!job) return;
    lit = [...plot.querySelectorAll('[data-j="' + job + '"]')];
    lit.forEach((m) => m.classList.add("same"));
    mark.classList.add("now");
  };

  document.addEventListener("pointermove", (e) => {
    const mark = titled(e);
    if (mark) show(mark, e.clientX, e.clientY);
    else if (!tip.hidden && e.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (e) => {
    if (!titled(e)) hide();
  });
  document.addEventListener("scroll", () => tip.hidden || hide(), { passive: true });

  if (!plot) return;
  const scroll = plot.parentNode;
  const tools = document.querySelector(".tools");
  tools.hidden = false;
  const end = Number(plot.dataset.end);
  const axis = plot.querySelector(".axis");
  const base = Number(axis.dataset.base);
  const whole = axis.cloneNode(true).childNodes;
  const wholeMarks = [...whole];
  let zoom = 1;

  const element = (name, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const drawAxis = () => {
    if (zoom === 1) {
      axis.replaceChildren(...wholeMarks.map((m) => m.cloneNode(true)));
      return;
    }
    const rough = end / (8 * zoom);
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999999);
    const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) + (step / power === 2.5 ? 1 : 0))));
    const marks = [];
    for (let i = 0; i * step <= end; i++) {
      const x = (100 * i * step) / end + "%";
      marks.push(element("line", { x1: x, x2: x, y1: 0, y2: base + 5 }));
      if (i * step < end * (1 - 0.06 / zoom)) {
        const anchor = i ? "middle" : "start";
        marks.push(element("text", { x, y: base + 21, "text-anchor": anchor }, (i * step).toFixed(decimals)));
      }
    }
    const last = { x: "100%", y: base + 21, "text-anchor": "end" };
    marks.push(element("text", last, end.toFixed(1) + " " + plot.dataset.unit));
    axis.replaceChildren(...marks);
  };
  const drawNumbers = () => {
    const width = plot.getBoundingClientRect().width;
    for (const row of plot.querySelectorAll("[data-row]")) {
      row.querySelectorAll(".n").forEach((n) => n.remove());
      const texts = [];
      for (const mark of row.querySelectorAll("rect[data-j]:not(.e)")) {
        const job = mark.dataset.j;
        const share = parseFloat(mark.getAttribute("width"));
        const tall = parseFloat(mark.getAttribute("height")) >= 14;
        if (!job || !tall || (share * width) / 100 < 8 + 7 * job.length) continue;
        const x = parseFloat(mark.getAttribute("x")) + share / 2 + "%";
        const y = parseFloat(mark.getAttribute("y")) + parseFloat(mark.getAttribute("height")) / 2 + 4.5;
        texts.push(element("text", { class: "n " + mark.classList[0], x, y }, job));
      }
      row.append(...texts);
    }
  };
  const setZoom = (next) => {
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
    zoom = Math.max(1, Math.min(64, next));
    plot.style.width = 100 * zoom + "%";
    drawAxis();
    drawNumbers();
    scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
  };
  tools.addEventListener("click", (e) => {
    const way = e.target.dataset && e.target.dataset.zoom;
    if (way) setZoom(way === "0" ? 1 : way === "1" ? zoom * 2 : zoom / 2);
  });
  addEventListener("resize", drawNumbers);
  drawNumbers();

  const rows = [...plot.querySelectorAll("[data-row]")].map((g) => [...g.querySelectorAll("[data-j]")]);
  let row = 0;
  let column = -1;
  const middle = (mark) => parseFloat(mark.getAttribute("x")) + parseFloat(mark.getAttribute("width")) / 2;
  const go = () => {
    const mark = rows[row][column];
    if (!mark) return;
    const at = (middle(mark) / 100) * scroll.scrollWidth;
    if (at < scroll.scrollLeft || at > scroll.scrollLeft + scroll.clientWidth) {
      scroll.scrollLeft = at - scroll.clientWidth / 2;
    }
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.bottom - 8);
  };
  const turn = (by) => {
    const from = rows[row][column];
    let next = row + by;
    while (rows[next] && !rows[next].length) next += by;
    if (!rows[next]) return;
    row = next;
    const at = from ? middle(from) : 0;
    const far = (m) => Math.abs(middle(m) - at);
    column = rows[row].reduce((best, m, i) => (far(m) < far(rows[row][best]) ? i : best), 0);
  };
  scroll.addEventListener("keydown", (e) => {
    const keys = {
      ArrowRight: () => (column = Math.min(column + 1, rows[row].length - 1)),
      ArrowLeft: () => (column = Math.max(column - 1, 0)),
      ArrowDown: () => turn(1),
      ArrowUp: () => turn(-1),
      Home: () => (column = 0),
      End: () => (column = rows[row].length - 1),
    };
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "Escape") hide();
    else if (e.key === "+" || e.key === "=") setZoom(zoom * 2);
    else if (e.key === "-") setZoom(zoom / 2);
    else if (e.key === "0") setZoom(1);
    else if (keys[e.key]) {
      keys[e.key]();
      go();
      e.preventDefault();
    }
  });
  scroll.addEventListener("blur", hide);
  addEventListener("beforeprint", () => {
    document.querySelectorAll(".trouble").forEach((d) => (d.open = true));
    setZoom(1);
    hide();
  });
})();
