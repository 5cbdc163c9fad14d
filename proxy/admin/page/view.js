// What is shown, as DOM. Text is set as text, never as markup: a name may be anything.
import { KEPT, count, duration, perSecond } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// Points of a curve in a box of KEPT by 100; gaps where nothing is known. The newest at the right.
function path(values, top) {
  let text = "";
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) { pen = false; return; }
    const x = KEPT - values.length + i;
    const y = 98 - (96 * Math.min(value, top)) / top;
    text += `${pen ? "L" : "M"}${x} ${y.toFixed(1)}`;
    if (!pen) text += `l0.01 0`;
    pen = true;
  });
  return text;
}

function largest(...series) {
  return Math.max(0, ...series.flat().filter((value) => value !== null));
}

// 1, 2 or 5 times a power of ten, not below the value.
function round(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export class Chart {
  constructor(title, keys, form) {
    this.form = form;
    this.title = title;
    this.top = make("span");
    this.svg = draw("svg", { class: "chart", viewBox: `0 0 ${KEPT} 100`, preserveAspectRatio: "none", role: "img" });
    for (const y of [2, 50, 98]) this.svg.append(draw("line", { class: "grid", x1: 0, x2: KEPT, y1: y, y2: y }));
    this.curves = keys.map((key, i) => {
      const curve = draw("path", { class: i === 0 ? "curve" : "curve second" });
      this.svg.append(curve);
      return curve;
    });
    const captions = keys.map((key, i) => make("span", { class: i === 0 ? "key" : "key second" }, key));
    this.element = make("figure", {}, make("figcaption", {}, make("b", {}, title), ...captions, this.top), this.svg);
  }

  show(series, now) {
    const top = round(largest(...series));
    this.curves.forEach((curve, i) => mark(curve, "d", path(series[i], top)));
    say(this.top, `scale to ${this.form(top)}, ${KEPT} s`);
    mark(this.svg, "aria-label", `${this.title}: ${now}`);
  }
}

function spark() {
  const svg = draw("svg", { class: "spark", viewBox: `0 0 ${KEPT} 100`, preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(draw("path", { class: "curve" }));
  return svg;
}

// A table whose rows are kept and changed where something has changed: hundreds of them each second.
export class Table {
  constructor(label, columns) {
    this.columns = columns;
    this.rows = new Map();
    this.body = make("tbody");
    const heads = columns.map((column) => make("th", { scope: "col", class: column.number ? "number" : "" }, column.title));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.element = make("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, table);
  }

  rowOf(item) {
    const known = this.rows.get(item.key);
    if (known) return known;
    const cells = this.columns.map((column, i) => make(i === 0 ? "th" : "td", {
      ...(i === 0 ? { scope: "row" } : { "data-label": column.title }), class: column.number ? "number" : column.kind ?? "",
    }));
    this.columns.forEach((column, i) => { if (column.kind === "wide") cells[i].append(spark()); });
    const row = { element: make("tr", {}, ...cells), cells };
    this.rows.set(item.key, row);
    return row;
  }

  show(items) {
    const keys = new Set(items.map((item) => item.key));
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) { row.element.remove(); this.rows.delete(key); }
    }
    items.forEach((item, place) => {
      const row = this.rowOf(item);
      this.columns.forEach((column, i) => column.fill(row.cells[i], item));
      if (this.body.children[place] !== row.element) this.body.insertBefore(row.element, this.body.children[place] ?? null);
    });
  }
}

function text(title, of, kind) {
  return { title, kind, fill: (cell, item) => say(cell, of(item)) };
}

function number(title, of) {
  return { title, number: true, fill: (cell, item) => say(cell, of(item)) };
}

function trouble(title, of) {
  return {
    title, number: true,
    fill: (cell, item) => { say(cell, of(item)); cell.classList.toggle("trouble", of(item) !== "0"); },
  };
}

function curve(history, prefix) {
  return {
    title: "Last 2 minutes", kind: "wide",
    fill: (cell, item) => {
      const values = history.of(prefix + item.key);
      mark(cell.firstChild.firstChild, "d", path(values, round(largest(values))));
    },
  };
}

const recent = (name) => (item) => duration(item.recent[name]);

export function routeColumns(history) {
  return [
    text("Route", (row) => row.name),
    text("Does", (row) => row.what, "why"),
    number("Requests/s", (row) => (row.sessions ? "" : perSecond(row.recent.rate))),
    curve(history, "route "),
    number("p50", recent("p50_us")), number("p95", recent("p95_us")), number("p99", recent("p99_us")),
    trouble("Failed", (row) => count(row.recent.failed)),
    number("Requests", (row) => (row.sessions ? "" : count(row.requests))),
    text("Refused", (row) => row.refused, "why"),
  ];
}

function stateColumn() {
  return {
    title: "State",
    fill: (cell, item) => {
      if (!cell.firstChild) cell.append(make("span"));
      mark(cell.firstChild, "class", `state ${item.state.level}`);
      say(cell.firstChild, `${item.state.sign} ${item.state.name}`);
    },
  };
}

export function instanceColumns(history, pool) {
  return [
    text("Instance", (row) => row.name + (row.role ? `, ${row.role}` : "")),
    stateColumn(),
    number("Requests/s", (row) => perSecond(row.recent.rate)),
    curve(history, `instance ${pool} `),
    number("p50", recent("p50_us")), number("p95", recent("p95_us")), number("p99", recent("p99_us")),
    number("Running", (row) => count(row.inFlight)),
    trouble("Failed", (row) => count(row.recent.failed)),
    number("Weight", (row) => count(row.weight)),
    text("Why", (row) => [row.why, row.failures].filter(Boolean).join("; "), "why"),
  ];
}
