// One service: what of it can be used, what is wrong with the rest, how it is reached, who routes to it, what happened.
import { Keyed, crumbs, element, empty, facts, heading, nameOf, say, section, since, state, tags } from "./dom.js";
import { FilterBox } from "./filter_box.js";
import { plural, troubles } from "./model.js";
import { namesOf } from "./model_dns.js";
import { index, ofInstance, ofService } from "./model_history.js";
import { TimeLine, maintenanceCard, placeOf, troubleCard } from "./parts.js";
import { dnsSection, proxiesOfService } from "./part_reach.js";
import { link } from "./router.js";
import { strip } from "./strip.js";
import { VirtualList } from "./virtual.js";

export const name = "service";
export const title = (params) => params.service;
export const paths = ["/ui/services/:service"];

const REDRAW_MS = 30000;
const FILTER_FROM = 20; // so many instances want a filter
const MAINTENANCE = 10;

function saysOf(instance) {
  if (instance.maintenance !== null) return instance.maintenance;
  const bad = instance.faults[0];
  if (bad) return [bad.name, bad.output.trim().split("\n")[0]].filter(Boolean).join(": ");
  return instance.checks.length === 0 ? "no check of its own" : `${plural(instance.checks.length, "check")} passing`;
}

function columns(cells) {
  return [
    { title: "State", class: "state-cell", cell: (instance) => state(instance.state) },
    { title: "Instance", class: "name-cell", cell: (instance) => nameOf(instance.id, link("services", instance.name, instance.node, instance.id)) },
    { title: "Node", class: "node-cell", cell: (instance) => nameOf(instance.node, link("nodes", instance.node)) },
    { title: "Address", class: "address-cell", cell: placeOf },
    { title: "Tags", class: "tags-cell", cell: (instance) => tags(instance.tags.slice(0, 8)) },
    { title: "Last hour", class: "hour-cell", cell: (instance) => strip(cells(instance)) },
    { title: "For", class: "since-cell", cell: (instance) => since(instance.since) },
    { title: "Flaps", class: "flaps-cell number", cell: (instance) => (instance.flaps > 0 ? `${instance.flaps}` : "–") },
    { title: "Weight", class: "weight-cell number", cell: (instance) => `${instance.weights.Passing}` },
    { title: "Says", class: "says-cell", cell: saysOf },
  ];
}

function top(place, service) {
  place.head.replaceChildren(nameOf(service.name), state(service.state), element("span", { class: "faint small" }, `${service.usable} of ${service.total} usable`));
  place.facts.replaceChildren(facts([["Newest change", element("span", {}, since(service.since), " ago")], ["Flaps in the last hour", service.flaps > 0 ? `${service.flaps}` : "none"],
    ["Tags", service.tags.length > 0 ? tags(service.tags.slice(0, 50)) : null]]));
}

function drawWrong(place, service) {
  const all = [...troubles(service.faults), ...service.instances.filter((instance) => instance.maintenance !== null).slice(0, MAINTENANCE)];
  place.wrong.show(all);
  place.part.hidden = all.length === 0;
}

export function show(place, context) {
  const service = context.params.service;
  const head = heading(nameOf(service));
  const list = element("ul", { class: "plain" });
  const view = { head, hour: element("div", { class: "hour" }), facts: element("div"),
    wrong: new Keyed(list, (item) => item.key, (item) => (item.kind ? maintenanceCard(item) : troubleCard(item))), part: section("What is wrong", list) };
  let things = new Map();
  const cellsOf = (instance) => ofInstance(instance, context.catalog.nodes.get(instance.node) ?? null, things, Date.now(), context.knownSince());
  const instances = new VirtualList({ label: "Instances", kind: "instances", signal: context.signal, columns: columns(cellsOf) });
  const box = new FilterBox(context, { label: "Filter instances", changed: () => draw() });
  const gone = empty("No instance of it is known now. It may have been deregistered, or this token may not see it.");
  const timeLine = new TimeLine(8);
  const dns = dnsSection(context);
  let domain = "";
  let drawn = null;
  const body = element("div", {}, element("div", { class: "card" }, view.facts, view.hour), view.part, section("Instances", box.element, instances.element));
  const none = empty("No instance is like that.");
  const reach = element("div", {}, dns.element, proxiesOfService(context, service));
  body.lastChild.append(none);

  function draw() {
    const known = context.catalog.services.get(service);
    gone.hidden = Boolean(known) || !context.catalog.ready;
    body.hidden = !known;
    reach.hidden = !known;
    if (!known) { head.replaceChildren(nameOf(service)); drawn = null; return; }
    if (known !== drawn) top(view, known);
    drawn = known;
    view.hour.replaceChildren(strip(ofService(known, context.catalog.nodes, things, Date.now(), context.knownSince())));
    drawWrong(view, known);
    const shown = known.instances.filter(box.filter.matches);
    box.element.hidden = known.total < FILTER_FROM && box.input.value === "";
    box.showCount(shown.length, known.total, "instances");
    instances.element.hidden = shown.length === 0;
    none.hidden = shown.length > 0;
    instances.show(shown);
    if (domain) dns.ask(namesOf(service, known.tags, domain));
  }

  place.append(crumbs(["Services", link("services")]), head, gone, body, reach, section("What changed in the last hour", timeLine.element));
  context.onCatalog(draw);
  context.self((value) => { domain = value.DebugConfig?.domain ?? "rollcall."; draw(); });
  context.events((events, error) => {
    things = index(events);
    timeLine.show(events.filter((event) => event.Service === service || (!event.Service && isOnItsNodes(event))), error);
    instances.redraw();
  });
  const isOnItsNodes = (event) => context.catalog.services.get(service)?.instances.some((instance) => instance.node === event.Node) ?? false;
  const timer = setInterval(() => { if (!document.hidden) instances.redraw(); }, REDRAW_MS);
  context.signal.addEventListener("abort", () => clearInterval(timer));
}
