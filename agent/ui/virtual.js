// A list of any length of which only what is seen is there. It scrolls with the page; the height of a row is the style sheet's
// (--row). To assistive technology it is a table that tells how many rows it has; arrow keys, Home and End go from row to row.
import { element, mark, say } from "./dom.js";

const ALL = 100; // so few rows are simply there: the browser's own search finds them
const MARGIN = 8; // rows drawn beyond what is seen

export class VirtualList {
  // columns: [{ title, cell(item), class, sort }]; `kind` names the CSS grid; sorted(name) is told when a heading is chosen.
  constructor({ label, kind, columns, key = (item) => item.key, signal, sorted }) {
    Object.assign(this, { columns, key, items: [], rows: new Map(), sorted });
    this.head = element("div", { class: "row head", role: "row", "aria-rowindex": "1" }, columns.map((column) => this.heading(column)));
    this.body = element("div", { class: "virtual-body", role: "rowgroup" });
    this.element = element("div", { class: `virtual ${kind}`, role: "table", "aria-label": label },
      element("div", { role: "rowgroup" }, this.head), this.body);
    const draw = () => this.draw();
    addEventListener("scroll", draw, { passive: true, signal });
    addEventListener("resize", draw, { passive: true, signal });
    this.body.addEventListener("keydown", (event) => this.move(event));
  }

  heading(column) {
    const inside = column.sort ? element("button", { type: "button", on: { click: () => this.sorted(column.sort) } }, column.title) : column.title;
    return element("div", { class: `cell ${column.class ?? ""}`, role: "columnheader", "data-sort": column.sort }, inside);
  }

  showSort(name, downwards) {
    for (const cell of this.head.children) {
      if (cell.dataset.sort) mark(cell, "aria-sort", cell.dataset.sort === name ? (downwards ? "descending" : "ascending") : "none");
    }
  }

  show(items) {
    this.items = items;
    mark(this.element, "aria-rowcount", items.length + 1);
    this.draw();
  }

  // What the cells show depends on more than the items: those that are seen are made anew.
  redraw() {
    for (const row of this.rows.values()) row.item = null;
    this.draw();
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 44;
  }

  // [first, behind the last) of what is to be there.
  range(height) {
    if (this.items.length <= ALL) return [0, this.items.length];
    const top = this.body.getBoundingClientRect().top;
    const first = Math.floor(-top / height) - MARGIN;
    const last = Math.ceil((innerHeight - top) / height) + MARGIN;
    return [Math.max(0, Math.min(first, this.items.length)), Math.max(0, Math.min(last, this.items.length))];
  }

  row(item) {
    const cells = this.columns.map((column) => element("div", { class: `cell ${column.class ?? ""}`, role: "cell" }, column.cell(item)));
    return { item, element: element("div", { class: "row", role: "row" }, cells) };
  }

  draw() {
    if (!this.element.isConnected) return;
    const height = this.rowHeight();
    const [first, last] = this.range(height);
    const kept = new Map();
    this.body.style.height = `${this.items.length * height}px`;
    for (let i = first; i < last; i++) {
      const item = this.items[i];
      const key = this.key(item);
      const known = this.rows.get(key);
      const row = known && known.item === item ? known : this.redo(known, item);
      if (row.at !== i * height) row.element.style.transform = `translateY(${row.at = i * height}px)`;
      mark(row.element, "aria-rowindex", i + 2);
      kept.set(key, row);
    }
    for (const [key, row] of this.rows) {
      if (kept.get(key)?.element === row.element) continue;
      if (row.element.contains(document.activeElement) && !kept.has(key)) kept.set(key, row); // who has the focus keeps it
      else row.element.remove();
    }
    this.rows = kept;
    this.order();
  }

  // A row whose item changed; the focus stays where it was.
  redo(known, item) {
    const row = this.row(item);
    const had = known && known.element.contains(document.activeElement);
    this.body.append(row.element);
    if (had) row.element.querySelector("a, button")?.focus({ preventScroll: true });
    return row;
  }

  // The order of the elements is the order of the Tab key.
  order() {
    const wanted = [...this.rows.values()].sort((a, b) => a.at - b.at);
    let at = this.body.firstChild;
    for (const { element: node } of wanted) {
      if (node === at) at = at.nextSibling;
      else this.body.insertBefore(node, at);
    }
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    const row = event.target.closest?.(".row");
    if (step === undefined || !row || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const now = Number(row.getAttribute("aria-rowindex")) - 2;
    this.focus(Math.max(0, Math.min(this.items.length - 1, now + step)));
  }

  focus(index) {
    const height = this.rowHeight();
    const top = this.body.getBoundingClientRect().top + index * height;
    if (top < 2 * height) scrollBy(0, top - 3 * height);
    else if (top + height > innerHeight) scrollBy(0, top + 2 * height - innerHeight);
    this.draw();
    this.rows.get(this.key(this.items[index]))?.element.querySelector("a, button")?.focus({ preventScroll: true });
  }
}

export function tellCount(place, shown, total, what) {
  say(place, shown === total ? `${total.toLocaleString("en")} ${what}` : `${shown.toLocaleString("en")} of ${total.toLocaleString("en")} ${what}`);
}
