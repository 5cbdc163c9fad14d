// Making what is seen. Text only ever becomes text: there is no way through here from a string to markup.
import { ago } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";
// A state is told by sign, word and colour, never by one of them alone.
export const SIGNS = { __proto__: null, passing: "✓", warning: "!", critical: "✗", maintenance: "‖", unknown: "?" };

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "href") node.setAttribute("href", safeAddress(value));
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  append(node, children);
  return node;
}

// Only places of this page and of the web: never "javascript:".
function safeAddress(value) {
  return /^(\/(?!\/)|https?:\/\/|#)/.test(value) ? value : "#";
}

function append(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(node, child);
    else if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

// element("a", { class: "x", href: "/ui/", on: { click } }, "text", otherElement, [more], null)
export function element(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

export function svg(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// ✓ passing; with a word of its own where another says more: state("critical", "lost").
export function state(word, text = word) {
  return element("span", { class: `state ${SIGNS[word] ? word : "unknown"}` }, element("span", { "aria-hidden": "true" }, SIGNS[word] || SIGNS.unknown), ` ${text}`);
}

// "12 s", which goes on counting by itself (see tick); the instant itself as its title.
export function since(instant) {
  if (!instant) return element("span", { class: "faint" }, "–");
  const date = new Date(instant);
  return element("time", { class: "since", datetime: date.toISOString(), title: date.toLocaleString("en-GB"), "data-at": instant }, ago(instant, Date.now()));
}

// "18:52:59", the same for everybody who looks.
export const clock = (instant) => new Date(instant).toLocaleTimeString("en-GB");

// Once a second: whatever counts time goes on.
export function tick() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time.since")) say(node, ago(Number(node.dataset.at), now));
}

export function tags(list) {
  return list.map((tag) => element("span", { class: "tag", title: tag }, element("bdi", {}, visible(tag))));
}

// Characters that would turn around or hide what stands beside them are shown as what they are.
export function visible(text) {
  if (text === "") return "(empty)";
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// A name that somebody chose: it may be long, or written from the right.
export function nameOf(text, href) {
  const shown = element("bdi", {}, visible(text));
  return href ? element("a", { class: "name", href }, shown) : element("span", { class: "name" }, shown);
}

// A part of a page with a title. aside: what stands at the right of it.
export function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

export function heading(...children) {
  return element("h1", { tabindex: "-1" }, ...children);
}

export function crumbs(...links) {
  return element("nav", { class: "crumbs", "aria-label": "Where this is" }, links.map(([text, href], i) => [i > 0 ? " / " : null, nameOf(text, href)]));
}

// Nothing to show is told in words, with what to do about it.
export function empty(text, ...more) {
  return element("p", { class: "empty" }, text, ...more);
}

// Facts by name: facts([["Address", "10.0.0.1"], ["Tags", element]]). What is null is left out.
export function facts(pairs) {
  return element("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// Children by key: those that are there stay where they are, a changed item is made anew. make(item) gives the element.
export class Keyed {
  constructor(place, keyOf, make) {
    Object.assign(this, { place, keyOf, make, shown: new Map() });
  }

  show(items) {
    const next = new Map();
    for (const item of items) {
      const key = this.keyOf(item);
      const known = this.shown.get(key);
      if (known && known.item === item) { next.set(key, known); continue; }
      const made = this.make(item);
      if (known) known.element.replaceWith(made);
      next.set(key, { item, element: made });
    }
    for (const [key, known] of this.shown) if (!next.has(key)) known.element.remove();
    this.shown = next;
    let at = this.place.firstChild;
    for (const { element: node } of next.values()) {
      if (node === at) at = at.nextSibling;
      else this.place.insertBefore(node, at);
    }
  }
}

const ROWS_MAX = 500;

// A table of some rows (VirtualList takes more; beyond ROWS_MAX it says how many there are). A column is { title, cell(item), class }; rows are kept by
// key(item) and made anew only where the item is another object. On a phone each row becomes a card.
export class Table {
  constructor({ label, columns, key = (item) => item.key, none = "There is nothing to show." }) {
    this.columns = columns;
    this.body = element("tbody");
    this.rows = new Keyed(this.body, key, (item) => this.row(item));
    const head = element("tr", {}, columns.map((column) => element("th", { scope: "col", class: column.class }, column.title)));
    this.scroll = element("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
      element("table", {}, element("caption", { class: "hidden" }, label), element("thead", {}, head), this.body));
    this.none = empty(none);
    this.more = empty("");
    this.element = element("div", { class: "card flat" }, this.scroll, this.none, this.more);
    this.show([]);
  }

  row(item) {
    return element("tr", {}, this.columns.map((column, i) => element(i === 0 ? "th" : "td",
      { class: column.class, scope: i === 0 ? "row" : null, "data-label": column.title }, column.cell(item))));
  }

  // What the cells show depends on more than the items.
  redraw(items) {
    for (const known of this.rows.shown.values()) known.item = null;
    this.show(items);
  }

  show(items) {
    this.rows.show(items.slice(0, ROWS_MAX));
    say(this.more, `The first ${ROWS_MAX} of ${items.length.toLocaleString("en")}.`);
    this.more.hidden = items.length <= ROWS_MAX;
    this.scroll.hidden = items.length === 0;
    this.none.hidden = items.length > 0;
  }
}

// Asks before something is done. `text` says what will happen, `owner` who will notice; act(fields) does it and may throw, which is
// shown. Resolves to true when it was done. fields: [{ name, label, value, type }] are asked for too.
export function confirm({ title, text, owner = "", button, danger = false, fields = [], act }) {
  return new Promise((resolve) => {
    const inputs = fields.map((field) => [field.name, element("input", { type: field.type ?? "text", value: field.value ?? "", placeholder: field.placeholder })]);
    const trouble = element("p", { class: "trouble", role: "alert", hidden: true });
    const go = element("button", { type: "submit", class: danger ? "danger" : "primary" }, button);
    const form = element("form", {}, element("h2", { id: "dialog-title" }, title), element("p", {}, text),
      owner ? element("p", { class: "faint" }, owner) : null,
      inputs.map(([, input], i) => element("label", { class: "field" }, `${fields[i].label} `, input)), trouble,
      element("p", { class: "buttons" }, element("button", { type: "button", on: { click: () => dialog.close() } }, "Leave it"), go));
    const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, form);
    let done = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        await act(Object.fromEntries(inputs.map(([name, input]) => [name, input.value])));
        done = true;
        dialog.close();
      } catch (error) {
        trouble.hidden = false;
        say(trouble, `It was not done: ${error.message}`);
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(done); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
