// Sorting, filtering and drawing for bmzoo's report. Texts only ever become text nodes or attributes, never markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function html(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// ---- the table of targets

const VERDICTS = ["failed", "unverified", "built", "verified"];
const PRECISIONS = ["fp32", "fp16", "bf16", "int8", "int4"];

function sortKey(key, text) {
  if (text === "") return null;
  for (const order of [VERDICTS, PRECISIONS]) if (order.includes(text)) return order.indexOf(text);
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

function order(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(table, head) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, index) => {
    const cell = row.cells[column];
    const text = "value" in cell.dataset ? cell.dataset.value : cell.textContent;
    return { row, index, key: sortKey(head.dataset.key, text) };
  });
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.index - b.index;
    return (down ? -order(a.key, b.key) : order(a.key, b.key)) || a.index - b.index;
  });
  body.append(...rows.map((entry) => entry.row));
}

function filter(table, form) {
  const words = form.querySelector("#find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = [...form.querySelectorAll("[data-filter]")].filter((choice) => choice.value !== "");
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const named = words.length === 0 || words.every((word) => row.cells[0].textContent.toLowerCase().includes(word));
    const match = named && wanted.every((choice) => row.dataset[choice.dataset.filter] === choice.value);
    row.hidden = !match;
    shown += match;
  }
  document.getElementById("count").textContent = `${shown} of ${table.tBodies[0].rows.length}`;
}

function startTable() {
  const table = document.getElementById("zoo");
  const form = document.getElementById("filters");
  if (!table || !form) return;
  for (const head of table.tHead.rows[0].cells) head.querySelector("button").onclick = () => sortBy(table, head);
  const update = () => { filter(table, form); drawPlot(table); };
  form.addEventListener("input", update);
  form.addEventListener("reset", () => setTimeout(update, 0));
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("measure")?.addEventListener("change", () => drawPlot(table));
  addEventListener("resize", () => drawPlot(table));
  update(); // browsers keep what was chosen when one comes back to a page
}

// ---- accuracy against time

const SIZE = { width: 860, height: 460, left: 58, right: 16, top: 34, bottom: 46 };

function columnOf(table, key) {
  return [...table.tHead.rows[0].cells].findIndex((head) => head.dataset.key === key);
}

function points(table, measure) {
  const [x, y] = [columnOf(table, "ms"), columnOf(table, measure)];
  const found = [];
  let without = 0;
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue;
    const [ms, value] = [row.cells[x].dataset.value, row.cells[y].dataset.value];
    if (ms === "" || value === "") { without += 1; continue; }
    const link = row.cells[0].firstElementChild;
    found.push({ ms: Number(ms), value: Number(value), name: link.textContent, href: link.getAttribute("href"), chip: row.dataset.chip });
  }
  return [found, without];
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= raw);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i += 1) found.push(Number((i * step).toPrecision(10)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) {
      const value = Number((factor * 10 ** power).toPrecision(3));
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

function front(all) {
  const sorted = [...all].sort((a, b) => a.ms - b.ms || b.value - a.value);
  const found = [];
  for (const point of sorted) if (found.length === 0 || point.value > found[found.length - 1].value) found.push(point);
  return found;
}

function shape(kind, x, y) {
  const r = 6;
  if (kind % 3 === 0) return svg("circle", { cx: x, cy: y, r, class: "mark" });
  if (kind % 3 === 1) return svg("rect", { x: x - r + 0.5, y: y - r + 0.5, width: 2 * r - 1, height: 2 * r - 1, class: "mark" });
  return svg("path", { d: `M${x} ${y - r - 1}L${x + r + 1} ${y + r - 1}H${x - r - 1}Z`, class: "mark" });
}

function scales(all) {
  const [xs, ys] = [all.map((point) => point.ms), all.map((point) => point.value)];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const logarithmic = x1 > 8 * x0 && x0 > 0;
  const low = logarithmic ? x0 / 1.25 : 0;
  const high = logarithmic ? x1 * 1.25 : x1 * 1.08 || 1;
  const room = (y1 - y0) * 0.1 || Math.abs(y1) * 0.01 || 1;
  const along = (value) => (logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  const inner = { width: SIZE.width - SIZE.left - SIZE.right, height: SIZE.height - SIZE.top - SIZE.bottom };
  return {
    x: (value) => SIZE.left + along(value) * inner.width,
    y: (value) => SIZE.top + (1 - (value - (y0 - room)) / (y1 - y0 + 2 * room)) * inner.height,
    xTicks: logarithmic ? logTicks(low, high) : ticks(low, high, inner.width / 80),
    yTicks: ticks(y0 - room, y1 + room, 6),
  };
}

function axes(to, title) {
  const bottom = SIZE.height - SIZE.bottom;
  const parts = [svg("path", { d: `M${SIZE.left} ${SIZE.top}V${bottom}H${SIZE.width - SIZE.right}`, class: "axis" })];
  for (const tick of to.xTicks) {
    parts.push(svg("path", { d: `M${to.x(tick)} ${bottom}v5`, class: "axis" }));
    parts.push(svg("text", { x: to.x(tick), y: bottom + 19, "text-anchor": "middle" }, String(tick)));
  }
  for (const tick of to.yTicks) {
    parts.push(svg("path", { d: `M${SIZE.left} ${to.y(tick)}H${SIZE.width - SIZE.right}`, class: "axis" }));
    parts.push(svg("text", { x: SIZE.left - 8, y: to.y(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  parts.push(svg("text", { x: SIZE.width - SIZE.right, y: SIZE.height - 6, "text-anchor": "end" }, "ms for one picture"));
  parts.push(svg("text", { x: 4, y: 14 }, title));
  return parts;
}

// The first place beside a point that nothing stands in, or none.
function place(point, width, taken) {
  const choices = [[10, 4], [10, -10], [10, 18], [-10 - width, 4], [-10 - width, -10], [-10 - width, 18], [-width / 2, -12], [-width / 2, 22]];
  for (const [dx, dy] of choices) {
    const box = { left: point.px + dx, right: point.px + dx + width, top: point.py + dy - 12, bottom: point.py + dy + 3 };
    const inside = box.left >= SIZE.left && box.right <= SIZE.width && box.top >= SIZE.top - 16 && box.bottom <= SIZE.height - SIZE.bottom;
    const free = taken.every((other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
    if (inside && free) { taken.push(box); return dx < -width / 2 - 1 ? [box.right, point.py + dy, "end"] : [box.left, point.py + dy, "start"]; }
  }
  return null;
}

function drawPlot(table) {
  const [choice, box] = [document.getElementById("measure"), document.getElementById("plot")];
  if (!choice || !box) return;
  SIZE.width = Math.min(940, Math.max(300, box.clientWidth));
  SIZE.height = Math.min(460, Math.max(320, SIZE.width * 0.55));
  const [all, without] = points(table, choice.value);
  const left = without ? `; of ${without} one of the two is not known` : "";
  document.getElementById("plotted").textContent = `${all.length} of the targets listed above${left}`;
  if (all.length === 0) { box.replaceChildren("Nothing to draw: no target listed above has both."); return; }
  const to = scales(all);
  const picture = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, width: SIZE.width, height: SIZE.height });
  picture.append(...axes(to, choice.selectedOptions[0].textContent));
  const chips = [...new Set([...table.tBodies[0].rows].map((row) => row.dataset.chip))].sort();
  for (const point of all) [point.px, point.py] = [to.x(point.ms), to.y(point.value)];
  const taken = all.map((p) => ({ left: p.px - 6, right: p.px + 6, top: p.py - 6, bottom: p.py + 6 }));
  let legend = SIZE.width - SIZE.right;
  const labels = [];
  const marks = [];
  for (const chip of [...chips].reverse()) {
    const own = all.filter((point) => point.chip === chip);
    if (own.length === 0) continue;
    const kind = chips.indexOf(chip);
    const group = svg("g", { class: `c${kind % 5}` });
    const best = front(own);
    if (best.length > 1) group.append(svg("path", { class: "front", d: `M${best.map((p) => `${p.px} ${p.py}`).join("L")}` }));
    for (const point of own) {
      const about = `${point.name}: ${point.ms.toFixed(2)} ms, ${Number(point.value.toPrecision(6))}`;
      marks.push([group, svg("a", { href: point.href, "aria-label": about }, svg("title", {}, about), shape(kind, point.px, point.py))]);
    }
    for (const point of best.slice(0, 12)) {
      const where = place(point, point.name.length * 8.3, taken);
      if (where) labels.push(svg("text", { x: where[0], y: where[1], "text-anchor": where[2], class: "halo" }, point.name));
    }
    legend -= chip.length * 8 + 26;
    const sign = shape(kind, legend + 8, 11);
    group.append(sign);
    labels.push(svg("text", { x: legend + 19, y: 15 }, chip));
    picture.append(group);
  }
  for (const [group, mark] of marks) group.append(mark);
  picture.append(...labels);
  box.replaceChildren(picture);
}

// ---- a target's page

function pageData() {
  const element = document.getElementById("data");
  return element ? JSON.parse(element.textContent) : {};
}

const LANE = 30;
const GUTTER = 96;
const ENGINES = ["arithmetic", "memory"];

function colour(index) {
  return `hsl(${(index * 137.5) % 360} 62% ${62 + (index % 3) * 7}%)`;
}

function milliseconds(value) {
  return `${value.toFixed(value < 0.1 ? 4 : 3)} ms`;
}

function timelineLanes(data) {
  return data.cores.flatMap((spans, core) => ENGINES.map((name, engine) => ({
    name: data.cores.length > 1 ? `${name} ${core}` : name,
    spans: spans.filter((span) => span[0] === engine).sort((a, b) => a[2] - b[2]),
  })));
}

function drawTimeline(data, zoom, select) {
  const box = document.getElementById("timeline");
  const end = Math.max(...data.ends, 1e-9);
  const width = Math.max(300, (document.getElementById("timebox").clientWidth - 4) * zoom);
  const lanes = timelineLanes(data);
  const height = lanes.length * LANE + 26;
  const to = (value) => GUTTER + (value / end) * (width - GUTTER - 8);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  for (const tick of ticks(0, end, Math.max(4, Math.round(width / 110)))) {
    picture.append(svg("path", { d: `M${to(tick)} 0V${height - 18}`, class: "axis" }));
    picture.append(svg("text", { x: to(tick), y: height - 5, "text-anchor": "middle" }, `${tick} ms`));
  }
  lanes.forEach((lane, number) => {
    const top = number * LANE + 3;
    picture.append(svg("rect", { x: GUTTER, y: top, width: width - GUTTER - 8, height: LANE - 6, class: "lane" }));
    picture.append(svg("text", { x: 4, y: top + 16 }, lane.name));
    lane.spans.forEach((span, index) => {
      const [x0, x1] = [to(span[2]), to(span[3])];
      const bar = svg("rect", { x: x0, y: top, width: Math.max(x1 - x0, 0.7), height: LANE - 6, class: "bar", fill: colour(span[1]) });
      bar.addEventListener("pointerenter", () => select(number, index));
      span.bar = bar;
      picture.append(bar);
      const name = data.layers[span[1]];
      const letters = Math.floor((x1 - x0 - 6) / 6.6);
      if (letters >= 4) {
        const text = name.length > letters ? `${name.slice(0, letters - 1)}\u2026` : name;
        picture.append(svg("text", { x: x0 + 3, y: top + 16, class: "bartext" }, text));
      }
    });
  });
  box.replaceChildren(picture);
  return lanes;
}

function startTimeline(data) {
  const box = document.getElementById("timebox");
  if (!box || !data) return;
  let [zoom, lanes, at] = [1, [], [0, -1]];
  const said = document.getElementById("span");
  const select = (lane, index) => {
    lanes[at[0]]?.spans[at[1]]?.bar.classList.remove("on");
    at = [lane, index];
    const span = lanes[lane].spans[index];
    if (!span) { said.textContent = "\u00a0"; return; }
    span.bar.classList.add("on");
    const [name, from, to] = [data.layers[span[1]], span[2], span[3]];
    said.textContent = `${lanes[lane].name}: ${name}, ${milliseconds(to - from)}, from ${milliseconds(from)} to ${milliseconds(to)}`;
  };
  const draw = () => { lanes = drawTimeline(data, zoom, select); };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.onclick = () => {
      const middle = (box.scrollLeft + box.clientWidth / 2) / box.scrollWidth;
      zoom = Math.min(64, Math.max(1, zoom * Number(button.dataset.zoom)));
      draw();
      box.scrollLeft = middle * box.scrollWidth - box.clientWidth / 2;
    };
  }
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const lane = Math.min(lanes.length - 1, Math.max(0, at[0] + move[0]));
    const count = lanes[lane].spans.length;
    const time = lanes[at[0]]?.spans[at[1]]?.[2] ?? 0;
    const nearest = lanes[lane].spans.reduce((best, span, i, all) => (Math.abs(span[2] - time) < Math.abs(all[best][2] - time) ? i : best), 0);
    const index = lane === at[0] ? at[1] + move[1] : nearest;
    if (count === 0) return;
    select(lane, Math.min(count - 1, Math.max(0, index)));
    lanes[at[0]].spans[at[1]].bar.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  addEventListener("resize", draw);
  draw();
}

function startLayers(layers) {
  const box = document.getElementById("layers");
  if (!box || !layers) return;
  box.closest("details").addEventListener("toggle", () => {
    if (box.firstChild) return;
    const titles = ["layer", "operation", "core", "ms", "arithmetic", "memory", "bytes", "commands", "bound by"];
    const cells = (row) => row.map((value, i) => html("td", i > 1 && i < 8 ? { class: "number" } : {}, i > 2 && i < 6 ? value.toFixed(4) : String(value)));
    const heads = titles.map((title, i) => html("th", i > 1 && i < 8 ? { class: "number", scope: "col" } : { scope: "col" }, title));
    const body = layers.map((row) => html("tr", {}, ...cells(row)));
    box.append(html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All layers" },
      html("table", { class: "plain" }, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...body))));
  });
}

function startDrift(drift) {
  const box = document.getElementById("drift");
  if (!box || !drift) return;
  const [width, height, left] = [860, 240, 44];
  const rows = drift.rows;
  const top = 60; // dB; what is above is as good as exact
  const y = (value) => 12 + (1 - Math.min(Math.max(value, 0), top) / top) * (height - 40);
  const step = (width - left) / rows.length;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `SQNR of ${rows.length} layers in order` });
  for (const tick of [0, 20, 40, 60]) {
    picture.append(svg("path", { d: `M${left} ${y(tick)}H${width}`, class: "axis" }), svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  rows.forEach(([layer, , sqnr], i) => {
    const value = sqnr === null ? top : sqnr;
    const under = drift.limit !== null && value < drift.limit;
    const bar = svg("rect", { x: left + i * step, y: y(value), width: Math.max(step - 0.6, 0.5), height: y(0) - y(value) + 1, class: under ? "noise under" : "noise" });
    bar.append(svg("title", {}, `${layer}: ${sqnr === null ? "exact" : `${sqnr} dB`}`));
    picture.append(bar);
  });
  if (drift.limit !== null) picture.append(svg("path", { d: `M${left} ${y(drift.limit)}H${width}`, class: "limit" }));
  picture.append(svg("text", { x: left, y: height - 8 }, `SQNR in dB against the float network, ${rows.length} layers in order; below the dashed line it is too little`));
  box.append(picture);
}

// Boxes of what was found, what differs on top and circled.
function startBoxes(found) {
  if (!found) return;
  document.querySelectorAll("svg[data-boxes]").forEach((picture, number) => {
    for (const row of [...found.figures[number]].sort((a, b) => a.at(-1) - b.at(-1))) {
      const [corners, score, [name, words]] = [row.slice(0, -2), row.at(-2), found.kinds[row.at(-1)]];
      const title = svg("title", {}, `${words}, ${score.toFixed(2)}`);
      if (corners.length > 4) {
        picture.append(svg("polygon", { points: corners.join(" "), class: `box ${name}` }, title));
        continue;
      }
      const [x, y, x2, y2] = corners;
      const [width, height] = [Math.max(0, x2 - x), Math.max(0, y2 - y)];
      if (name === "missed" || name === "extra") {
        const radius = Math.max(24, 0.8 * Math.max(width, height));
        picture.append(svg("circle", { cx: x + width / 2, cy: y + height / 2, r: radius, class: `ring ${name}` }));
      }
      picture.append(svg("rect", { x, y, width, height, class: `box ${name}` }, title));
    }
  });
}

startTable();
{
  const data = pageData();
  startTimeline(data.timeline);
  startLayers(data.layers);
  startDrift(data.drift);
  startBoxes(data.boxes);
}
