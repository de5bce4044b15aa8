// Looks at a report that is drawn and uses it: scripts/check-report runs this in a copy of each.
"use strict";
(() => {
  const failed = [];
  const check = (holds, what) => holds || failed.push(what);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const number = (element, name) => parseFloat(element.getAttribute(name));

  // Text.
  const text = document.body.innerText;
  for (const wrong of [/NaN/, /undefined/, /Infinity/, /\bnull\b/, /(?<![\d.,])1 (jobs|operations|layers|cuts)\b/]) {
    check(!wrong.test(text), `text has ${wrong}`);
  }
  check(text.indexOf(document.querySelector("h1").innerText) < 200, "the verdict is not first");
  check(all("script").length === 3, "a script more than the page's two and this one");
  check(all("img, b, iframe").length === 0, "an element from a name");
  const data = JSON.parse(document.getElementById("data").textContent);
  for (const { name } of data.models) {
    const shown = document.querySelector("#models .scroll").getAttribute("aria-label");
    check(data.models.length > 1 || shown.includes(name), `the model's name is not shown: ${name}`);
  }

  // Layout.
  check(document.documentElement.scrollWidth <= innerWidth, "the page is wider than its window");
  for (const axis of all(".timeline .axis")) {
    const marks = [...axis.querySelectorAll("text")].slice(0, -1).map((mark) => Number(mark.textContent));
    check(marks[0] === 0 && marks.every((mark, i) => Math.abs(mark - i * marks[1]) < 1e-6), `marks ${marks}`);
    check(marks.length < 3 || /^(1|2|2\.5|5)(e|$)/.test(marks[1].toExponential().replace("e+", "e")), `marks ${marks}`);
  }
  const blocks = all(".timeline g:not(.axis) > rect");
  for (const block of blocks) {
    check(number(block, "x") + number(block, "width") <= 100.01, "a block ends outside the axis");
  }
  const count = data.timeline.flatMap((part) => part.rows).reduce((sum, row) => sum + row.blocks.length, 0);
  check(blocks.length === count, `${blocks.length} blocks of ${count}`);
  for (const table of all("#errors table")) {
    const zeros = new Set([...table.querySelectorAll(".zero")].map((line) => line.getAttribute("x1")));
    check(zeros.size === 1, "bars of one table have several zeros");
    const rects = [...table.querySelectorAll(".diverging rect")];
    check(rects.some((r) => number(r, "x") === 0 || number(r, "x") + number(r, "width") > 99.9), "bars leave room");
  }
  check(all("#models tr.cut").length === data.models.reduce((sum, m) => sum + m.cuts.length, 0), "a cut is not drawn");
  if (data.models[0].rows.length === 6 && data.models[0].rows[2].name === "right") {
    // Inputs, stem, left, right, side, join, head: right waits in a lane of its own.
    const nodes = all("#models .lane circle").map((node) => node.getAttribute("cx"));
    const places = [...new Set(nodes)];
    const lanes = nodes.map((x) => places.indexOf(x)).join("");
    check(lanes === "0010000", `lanes ${lanes}`);
  }
  for (const { plane } of data.models) {
    check(plane.hull.length <= all("#plane circle.corner").length, "a corner of the hull is not drawn");
  }

  // Use.
  const tip = document.getElementById("tip");
  const plot = document.querySelector(".timeline .plot");
  const scroll = plot.parentNode;
  const press = (key) => scroll.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  if (blocks.length) {
    blocks[0].dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 9, clientY: 9, pointerType: "mouse" }));
    check(!tip.hidden && /job \d/.test(tip.textContent), "hovering over a block shows nothing");
    press("Escape");
    check(tip.hidden, "Escape leaves the details");
    press("ArrowRight");
    const first = tip.textContent;
    check(!tip.hidden && all(".timeline .same").length > 0, "an arrow key shows nothing");
    press("End");
    press("ArrowLeft");
    press("ArrowDown");
    check(data.timeline[0].rows[0].blocks.length < 2 || tip.textContent !== first, "arrow keys do not move");
    press("+");
    check(plot.style.width === "200%", "plus does not zoom");
    press("0");
    check(plot.style.width === "100%", "0 does not show the whole run");
  }
  const used = document.querySelector("#plane circle.used");
  if (used) {
    used.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
    check(tip.textContent.startsWith("cut "), "a focused cut shows nothing");
  }
  document.body.dataset.checked = failed.length ? failed.join("; ").replaceAll('"', "'") : "passed";
})();
