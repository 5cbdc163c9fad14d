// What several pages show: what is wrong, what happened.
import { troubleOf } from "./answer.js";
import { Keyed, clock, element, empty, nameOf, say, since, state, svg } from "./dom.js";
import { endpoint, plural } from "./model.js";
import { SPAN_MS, density, told } from "./model_history.js";
import { link } from "./router.js";
import { bars } from "./strip.js";

function whatOf(trouble) {
  if (trouble.isLost) return ["node ", nameOf(trouble.node, link("nodes", trouble.node)), " is lost"];
  if (!trouble.id) return ["node ", nameOf(trouble.node, link("nodes", trouble.node)), `: ${trouble.check}`];
  if (trouble.count > 1) return [nameOf(trouble.service, link("services", trouble.service)), `: ${trouble.check}, on ${plural(trouble.count, "instance")}`];
  return [nameOf(trouble.service, link("services", trouble.service, trouble.node, trouble.id)), " on ", nameOf(trouble.node, link("nodes", trouble.node)), `: ${trouble.check}`];
}

// One trouble of model.js troubles(): what, where, since when, why.
export function troubleCard(trouble) {
  return element("li", { class: `card trouble-card ${trouble.state}` },
    element("p", {}, state(trouble.state, trouble.isLost ? "lost" : trouble.state), " ", whatOf(trouble), element("span", { class: "faint" }, ", for "), since(trouble.since)),
    trouble.output ? element("pre", {}, trouble.count > 1 ? `For one of them: ${trouble.output}` : trouble.output) : null);
}

export function maintenanceCard(record) {
  const what = record.kind === "node" ? nameOf(record.name, link("nodes", record.name)) : nameOf(record.id, link("services", record.name, record.node, record.id));
  return element("li", { class: "card trouble-card maintenance" }, element("p", {}, state("maintenance"), " ", record.kind === "node" ? "node " : null, what,
    record.kind === "node" ? null : [" on ", nameOf(record.node)], element("span", { class: "faint" }, ", for "), since(record.since)), element("p", { class: "reason" }, record.maintenance));
}

function eventRow(event) {
  const { at, state: word, word: text, node, service, id, text: says } = told(event);
  const what = service ? nameOf(service, id ? link("services", service, node, id) : link("services", service)) : node ? nameOf(node, link("nodes", node)) : null;
  return element("li", {}, element("time", { datetime: new Date(at).toISOString(), title: new Date(at).toLocaleString() }, clock(at)),
    state(word, text), element("span", { class: "what" }, what, what && service && node ? [element("span", { class: "faint" }, " on "), nameOf(node)] : null,
      says ? [element("span", { class: "faint" }, " — "), element("bdi", {}, says)] : null));
}

// What changed in the last hour, the newest first: a line of bars and a list. show(events) draws.
export class TimeLine {
  constructor(first = 12) {
    this.first = first;
    this.more = element("button", { type: "button", hidden: true, on: { click: () => { this.first = Infinity; this.draw(); } } });
    this.picture = element("div", { class: "time-line" });
    this.list = element("ol", { class: "events plain" });
    this.rows = new Keyed(this.list, (event) => `${event.AtMs} ${event.Kind} ${event.Node} ${event.ServiceID} ${event.Check} ${event.To}`, eventRow);
    this.none = empty("");
    this.element = element("div", { class: "card" }, this.picture, this.list, this.none, this.more);
    this.events = [];
  }

  show(events, error = null, filtered = false) {
    const from = Date.now() - SPAN_MS;
    this.events = (events ?? []).filter((event) => event.AtMs >= from);
    this.error = error;
    this.filtered = filtered;
    this.draw();
  }

  draw() {
    const now = Date.now();
    const shown = this.events.slice(-Math.min(this.first, 500)).reverse();
    this.picture.hidden = this.events.length === 0;
    this.picture.replaceChildren(bars(density(this.events, now)), element("p", { class: "hours", "aria-hidden": "true" }, element("span", {}, "an hour ago"), element("span", {}, "now")));
    this.rows.show(shown);
    this.none.hidden = shown.length > 0;
    say(this.none, this.error ? troubleOf(this.error) : this.filtered ? "Nothing has changed that may be seen with this token, or without one." : "Nothing has changed in the last hour.");
    this.more.hidden = shown.length >= Math.min(this.events.length, 500);
    say(this.more, `Show all ${this.events.length}`);
  }
}

// A bar of how many are in which state, with the numbers beside it.
export function share(states) {
  const total = Object.values(states).reduce((a, b) => a + b, 0);
  let x = 0;
  return svg("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    total === 0 ? svg("rect", { class: "unknown", x: 0, width: 100, y: 0, height: 6 }) : Object.entries(states).filter(([, count]) => count > 0).map(([word, count]) => {
      const width = (count * 100) / total;
      const rect = svg("rect", { class: word, x, width, y: 0, height: 6 });
      x += width;
      return rect;
    }));
}

export const placeOf = (instance) => endpoint(instance.address, instance.port);
