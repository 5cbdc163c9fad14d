// The field in which a filter is typed; what it means stands in filter.js. Its text is kept in the address (?q=).
import { element, mark, say } from "./dom.js";
import { parse } from "./filter.js";
import { tellCount } from "./virtual.js";

const HELP = [
  ["web 10.0.0", "every word occurs: in name, id, node, address, tags, meta, state"], ["/^web\\d/", "a regular expression; also behind a field, as in tag:/^v/"],
  ["tag:v2", "has this tag"], ["owner=team-a, meta:owner", "has this meta, this key"], ["state:critical", "passing, warning, critical, maintenance, failing"],
  ["address:10.0.0.7 port:8000-8099", "where it listens"], ["name: node: id: check:", "occurs there; check: in names and output of checks"], ["-tag:v1", "not so"], ["\"two words\"", "as one"],
];
const DELAY_MS = 80;

export function filterHelp() {
  return element("dl", { class: "facts" }, HELP.map(([what, means]) => element("div", {}, element("dt", {}, element("code", {}, what)), element("dd", {}, means))));
}

// changed(filter) is told what parse() made, at once and at each change.
export class FilterBox {
  constructor(context, { label, changed }) {
    this.context = context;
    this.changed = changed;
    this.input = element("input", { type: "search", value: context.query.q ?? "", autocomplete: "off", spellcheck: "false", placeholder: "words, /expression/, tag: meta: state: address: port:", "aria-describedby": "filter-trouble" });
    this.trouble = element("p", { class: "trouble", id: "filter-trouble", role: "status" });
    this.count = element("span", { class: "count", role: "status" });
    const help = element("details", { class: "help" }, element("summary", {}, "What can be typed here"), filterHelp());
    this.element = element("div", {}, element("div", { class: "filter", role: "search" }, element("label", {}, element("span", { class: "hidden" }, label), this.input), this.count, this.trouble), help);
    this.input.addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.read(), DELAY_MS); });
    this.input.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.input.value = ""; this.read(); } });
    this.filter = parse(this.input.value);
    this.tell();
  }

  read() {
    this.filter = parse(this.input.value);
    this.context.setQuery({ ...this.context.query, q: this.input.value.trim() });
    this.tell();
    this.changed(this.filter);
  }

  tell() {
    say(this.trouble, this.filter.error);
    this.trouble.hidden = this.filter.error === "";
    mark(this.input, "aria-invalid", this.filter.error ? "true" : null);
  }

  showCount(shown, total, what) {
    tellCount(this.count, shown, total, what);
  }
}
