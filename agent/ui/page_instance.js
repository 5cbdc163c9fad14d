// One instance: each check with what it said and since when, how it is reached, who registered it, what happened.
import { instanceActions } from "./actions.js";
import { Table, crumbs, element, empty, facts, heading, nameOf, section, since, state, tags } from "./dom.js";
import { plural, span } from "./model.js";
import { namesOf, nodeName } from "./model_dns.js";
import { index, ofInstance } from "./model_history.js";
import { TimeLine, placeOf } from "./parts.js";
import { dnsSection, proxiesOfInstance } from "./part_reach.js";
import { link } from "./router.js";
import { strip } from "./strip.js";

export const name = "instance";
export const title = (params) => `${params.id} on ${params.node}`;
export const paths = ["/ui/services/:service/:node/:id"];

const RESTARTS = { __proto__: null, idle: "passing", waiting: "warning", restarting: "warning", exhausted: "critical" };

function restartOf({ restart }) {
  if (!restart) return null;
  return element("p", { class: "small tight" }, state(RESTARTS[restart.State] ?? "unknown", restart.State), ` restarts ${restart.Unit} after ${plural(restart.After ?? 1, "failure")}, at most ${restart.MaxPerHour} an hour; ${restart.Count ?? 0} so far`,
    restart.LastMs ? [", the last ", since(restart.LastMs), " ago"] : null);
}

// What a definition says of when and how it is asked, in a few words.
function askedOf({ type, definition }) {
  const of = definition ?? {};
  const interval = typeof of.Interval === "number" ? span(of.Interval / 1e6) : of.Interval;
  const what = [of.HTTP, of.TCP, of.GRPC, of.UDP, of.Args?.join?.(" ")].filter(Boolean).join(" ");
  return [type, what, interval && interval !== "0s" ? `every ${interval}` : ""].filter(Boolean).join(", ");
}

function checkTable(label, none) {
  return new Table({ label, none, key: (check) => check.id, columns: [
    { title: "Check", cell: (check) => [nameOf(check.name), element("p", { class: "faint small tight" }, askedOf(check)), check.notes && check.type !== "maintenance" ? element("p", { class: "small tight" }, check.notes) : null] },
    { title: "State", cell: (check) => state(check.state) },
    { title: "For", cell: (check) => since(check.since) },
    { title: "Flaps", class: "number", cell: (check) => (check.flaps > 0 ? `${check.flaps} in the last hour` : "–") },
    { title: "Says", class: "wide", cell: (check) => [element("pre", {}, check.type === "maintenance" ? check.notes || "no reason given" : check.output || "nothing"), restartOf(check)] },
  ] });
}

const metaOf = (meta) => Object.entries(meta).map(([key, value]) => element("div", { class: "meta" }, element("code", {}, key), " = ", element("bdi", {}, value)));

// Only the agent that has it knows whether a file or a program registered it.
function registeredBy(instance, self, origin) {
  const by = { config: "its configuration", api: "a program, through its API" }[origin];
  const agent = ["the agent of ", nameOf(instance.node, link("nodes", instance.node))];
  const source = instance.source ? `; it calls itself ${instance.source}` : "";
  if (by) return [...agent, `, from ${by}${source}`];
  return [...agent, self && self !== instance.node ? `; that one knows whether by a file or a program${source}` : source];
}

function factsOf(instance, self, origin) {
  const { Passing, Warning } = instance.weights;
  return facts([["Address", element("code", {}, placeOf(instance))], ["Node", nameOf(instance.node, link("nodes", instance.node))],
    ["So for", since(instance.since)], ["Flaps in the last hour", instance.flaps > 0 ? `${instance.flaps}` : "none"],
    ["Weight", `${Passing}; ${Warning} while a check warns`], ["Registered by", element("span", {}, registeredBy(instance, self, origin))],
    ["Tags", instance.tags.length > 0 ? tags(instance.tags) : null], ["Meta", Object.keys(instance.meta).length > 0 ? metaOf(instance.meta) : null],
    ["Other addresses", Object.keys(instance.tagged).length > 0 ? Object.entries(instance.tagged).map(([key, at]) => element("div", { class: "meta" }, key, " ", element("code", {}, `${at.Address}:${at.Port}`))) : null]]);
}

export function show(place, context) {
  const { service, node, id } = context.params;
  const head = heading(nameOf(id));
  const actions = element("p", { class: "actions" });
  const reason = element("p", { class: "card trouble-card maintenance", hidden: true });
  const about = element("div", { class: "card" });
  const hour = element("div", { class: "hour" });
  const own = checkTable("Checks of the instance", "It has no check of its own: it is well for as long as its node is.");
  const ofNode = checkTable("Checks of its node", "Its node has no check.");
  const gone = empty("It is not known now. It may have been deregistered, or this token may not see it.");
  const dns = dnsSection(context);
  const timeLine = new TimeLine(8);
  let things = new Map();
  let self = null;
  let origin = "";
  let drawn = null;
  let acted = null;
  const body = element("div", {}, about, section("Checks", own.element), section("Checks of its node", ofNode.element));
  const known = () => context.catalog.instance(node, id);
  const reach = element("div", {}, dns.element, proxiesOfInstance(context, service, known));

  function drawHour() {
    const instance = known();
    if (instance) hour.replaceChildren(strip(ofInstance(instance, context.catalog.nodes.get(node) ?? null, things, Date.now(), context.knownSince())));
  }

  function draw() {
    const instance = known();
    gone.hidden = Boolean(instance) || !context.catalog.ready;
    body.hidden = !instance;
    actions.hidden = !instance;
    reach.hidden = !instance;
    ofNode.show(context.catalog.nodes.get(node)?.checks ?? []);
    if (instance) dns.ask(self ? [...namesOf(service, instance.tags, self.domain), nodeName(node, self.domain)].filter(Boolean) : []);
    if (instance === drawn) return;
    drawn = instance;
    if (!instance) {
      head.replaceChildren(nameOf(id));
      return;
    }
    head.replaceChildren(nameOf(id), state(instance.state));
    if (acted !== (instance.maintenance === null)) {
      acted = instance.maintenance === null; // what can be done is another thing only then
      actions.replaceChildren(...instanceActions(context, instance));
    }
    reason.hidden = instance.maintenance === null;
    reason.replaceChildren(state("maintenance"), ` ${instance.maintenance ?? ""}`);
    about.replaceChildren(factsOf(instance, self?.node, origin), hour);
    own.show(instance.checks);
    drawHour();
  }

  const redraw = () => { drawn = null; draw(); };
  place.append(crumbs(["Services", link("services")], [service, link("services", service)]), head, actions, gone, reason, body, reach, section("What changed in the last hour", timeLine.element));
  context.onCatalog(draw);
  context.self((value) => {
    self = { node: value.Config.NodeName, domain: value.DebugConfig?.domain ?? "rollcall." };
    redraw();
    if (self.node === node) context.live("/v1/internal/ui/registrations", { everyMs: 30000 }, told);
  });
  const told = ({ value }) => { origin = (Array.isArray(value) ? value : []).find((one) => one.ID === id)?.Origin ?? ""; redraw(); };
  context.events((events, error) => {
    things = index(events);
    timeLine.show(events.filter((event) => event.Node === node && (event.ServiceID === id || !event.ServiceID)), error);
    drawHour();
  });
  const timer = setInterval(() => { if (!document.hidden) drawHour(); }, 30000);
  context.signal.addEventListener("abort", () => clearInterval(timer));
}
