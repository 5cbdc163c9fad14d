// One node: how gossip sees it, what is on it, how far away it is, and what its agent says of itself.
import { nodeActions } from "./actions.js";
import { Stable, command, follow, onSelf, redraw } from "./answer.js";
import { Table, crumbs, element, empty, facts, heading, nameOf, section, since, state, tags } from "./dom.js";
import { endpoint } from "./model.js";
import { duration, metricsOf, reapIn, span } from "./model_nodes.js";
import { took } from "./model_postgres.js";
import { distance, ms } from "./model_rtt.js";
import { FACES } from "./page_nodes.js";
import { TimeLine } from "./parts.js";
import { link, withQuery } from "./router.js";

export const title = (params) => params.node;
export const paths = ["/ui/nodes/:node"];

const output = (check) => (check.output || check.notes ? element("pre", {}, check.state === "maintenance" ? check.notes || check.output : check.output) : null);

export const checkColumns = [
  { title: "State", cell: (check) => state(check.state) },
  { title: "Check", cell: (check) => element("bdi", {}, check.name || check.id) },
  { title: "For", cell: (check) => since(check.since) },
  { title: "Changes, last hour", class: "number", cell: (check) => (check.flaps > 0 ? `${check.flaps}` : "–") },
  { title: "Output", cell: output },
];

const instanceColumns = [
  { title: "State", cell: (i) => state(i.state) },
  { title: "Service", cell: (i) => nameOf(i.name, link("services", i.name)) },
  { title: "Instance", cell: (i) => nameOf(i.id, link("services", i.name, i.node, i.id)) },
  { title: "Address", class: "keep", cell: (i) => endpoint(i.address, i.port) },
  { title: "Tags", cell: (i) => tags(i.tags) },
  { title: "For", cell: (i) => since(i.since) },
  { title: "Failing checks", cell: (i) => (i.faults.length === 0 ? null : i.faults.map((c) => element("pre", {}, `${c.name}: ${c.output || c.notes}`))) },
];

export const ttlOf = (text) => (text ? took(duration(text)) : "none: it ends with its checks");

export const sessionColumns = [
  { title: "Session", cell: (s) => [nameOf(s.Name || "(no name)"), element("code", { class: "faint small" }, ` ${s.ID}`)] },
  { title: "TTL", cell: (s) => ttlOf(s.TTL) },
  { title: "Hangs on", cell: (s) => [...(s.NodeChecks || []), ...(s.ServiceChecks || []).map((c) => c.ID)].join(", ") || "its renewal alone" },
  { title: "At its end", cell: (s) => (s.Behavior === "delete" ? "keys are deleted" : "keys are released") },
  { title: "Lock delay", cell: (s) => span(s.LockDelay / 1e6) },
];

// Gossip's view of it, from this agent: {State, Incarnation, SinceMs, ...} and when that was heard.
function gossipFacts(member, heardAt, settings) {
  if (!member) return [["Gossip", "not a member of the pool that this agent knows"]];
  const left = reapIn(member, settings, Date.now(), heardAt);
  const asTag = Object.entries(member.Member.Tags).filter(([key]) => key !== "id").map(([key, value]) => `${key}=${value}`);
  return [
    ["Gossip", FACES[member.State] ?? member.State], ["Since", since(heardAt - member.SinceMs)], ["Incarnation", `${member.Incarnation}`],
    ["Gossip address", endpoint(member.Member.Addr, member.Member.Port)], ["Version", member.Member.Tags.build?.replace(/:.*/, "") || "unknown"],
    ["Role", member.Member.Tags.role === "consul" ? `server${member.Member.Tags.rc_st ? `, store ${member.Member.Tags.rc_st}` : ""}` : "agent without a store"],
    ["Reached by", member.TCPOnly ? "TCP only: packets do not get through" : null], ["Program", member.Rollcall ? null : "another than rollcall (Serf or Consul)"],
    ["Forgotten in", left === null ? null : left === 0 ? "any moment" : span(left)], ["Tags in gossip", element("span", {}, tags(asTag))],
  ];
}

function roundTrips(coordinates, name) {
  const own = coordinates.find((c) => c.Node === name);
  if (!own) return null;
  return { own: own.Coord, others: coordinates.filter((c) => c.Node !== name).map((c) => ({ node: c.Node, ms: distance(own.Coord, c.Coord) }))
    .sort((a, b) => b.ms - a.ms) };
}

function rttParts(coordinates, name) {
  const found = roundTrips(coordinates, name);
  if (!found) return [empty("Its coordinates are not known: it measures none, or has not been met yet.")];
  const { own, others } = found;
  const far = others.slice(0, 3).map((o) => `${o.node} ${ms(o.ms)}`).join(", ");
  const near = others.slice(-3).reverse().map((o) => `${o.node} ${ms(o.ms)}`).join(", ");
  return [facts([["Median to the others", others.length > 0 ? ms(others[others.length >> 1].ms) : "no others"], ["Farthest", far || null],
    ["Nearest", others.length > 3 ? near : null], ["Height (its own access)", ms(own.Height * 1000)], ["Error of the estimate", `${Math.round(own.Error * 100)} %`],
    ["Vector, ms", element("code", {}, own.Vec.map((x) => (x * 1000).toFixed(2)).join("  "))]]),
  element("p", {}, element("a", { href: withQuery(link("map"), { from: name }) }, "On the map"))];
}

// Its agent's figures, where this page's agent is that agent: a page may ask no other.
function metrics(context, place) {
  const table = new Table({ label: "Figures of this agent", key: (m) => `${m.name} ${m.labels}`, columns: [
    { title: "Figure", cell: (m) => element("code", {}, m.name) }, { title: "Of", cell: (m) => m.labels },
    { title: "Value", class: "number", cell: (m) => (Number.isInteger(m.value) ? m.value.toLocaleString("en") : m.value.toPrecision(4)) },
    { title: "Mean", class: "number", cell: (m) => (m.mean === undefined ? null : m.mean.toPrecision(3)) }] });
  const stable = new Stable((m) => `${m.name} ${m.labels}`);
  const input = element("input", { type: "search", placeholder: "part of a figure's name", "aria-label": "Show only figures with" });
  let all = [];
  const draw = () => table.show(stable.keep(all.filter((m) => `${m.name} ${m.labels}`.includes(input.value.trim()))));
  input.addEventListener("input", draw);
  const note = follow(context, "/v1/agent/metrics", { everyMs: 5000, needs: "agent:read" }, (value) => { all = metricsOf(value); draw(); });
  place.replaceChildren(note, element("details", { class: "metrics" }, element("summary", {}, "All figures, every 5 s"),
    element("div", { class: "filter" }, element("label", {}, input)), table.element));
}

function metricsElsewhere(name, self) {
  return [element("p", {}, `An agent tells its figures to who asks it, and this is the agent of ${self}. On ${name}, or where its API can be reached (-http-addr):`),
    command("curl -s 'http://127.0.0.1:8500/v1/agent/metrics?format=prometheus'")];
}

export function show(place, context) {
  const name = context.params.node;
  const known = { members: null, heardAt: 0, coordinates: [], settings: null, self: null, record: undefined };
  const head = element("div", {}, heading(nameOf(name)));
  const about = element("div", { class: "card" });
  const checks = new Table({ label: "Checks of the node", columns: checkColumns, key: (c) => c.id, none: "It has no checks of its own." });
  const services = new Table({ label: "Services on the node", columns: instanceColumns, key: (i) => i.key, none: "It offers no service." });
  const sessions = new Table({ label: "Sessions of the node", columns: sessionColumns, key: (s) => s.ID, none: "No session hangs on it." });
  const kept = new Stable((s) => s.ID);
  const distances = element("div", { class: "card" });
  const timeLine = new TimeLine(8);
  const figures = element("div");
  const sessionsPath = `/v1/session/node/${encodeURIComponent(name)}`;
  const absent = "No server keeps a store here: there are no sessions.";
  const body = element("div", { hidden: true }, about, section("Checks", checks.element), section("Services", services.element),
    section("Sessions", follow(context, sessionsPath, { needs: "session:read", absent, parts: [sessions.element] }, (value) => sessions.show(kept.keep(value))), sessions.element),
    section("Round trips", distances), section("What changed in the last hour", timeLine.element), section("Its agent's figures", figures));
  place.append(crumbs(["Nodes", link("nodes")], [name, link("nodes", name)]), head, body);

  function draw() {
    const { record } = known;
    if (record === undefined) return;
    const member = known.members?.find((m) => m.Member.Name === name);
    body.hidden = record === null && !member;
    redraw(head, [record?.state, record?.maintenance, record?.liveness], () => (record === null
      ? [heading(nameOf(name)), empty("The catalog knows no such node (any more), or this token does not show it.")]
      : [heading(nameOf(name), state(record.state)), record.maintenance ? element("p", {}, `In maintenance: ${record.maintenance}`) : null,
        element("div", { class: "actions" }, nodeActions(context, record))].filter(Boolean)));
    const second = member && reapIn(member, known.settings, Date.now(), known.heardAt) !== null ? Math.floor(Date.now() / 1000) : 0;
    redraw(about, [record?.address, record?.meta, record?.tagged, record?.since, member, known.settings?.reconnect_timeout, second], () => facts([
      ["Address", record?.address], ["ID", record?.id ? element("code", {}, record.id) : null],
      ["This page", known.self === name ? "comes from this node's agent" : null],
      ...gossipFacts(member, known.heardAt, known.settings),
      ["Other addresses", Object.entries(record?.tagged ?? {}).filter(([, a]) => a !== record.address).map(([k, a]) => `${k} ${a}`).join(", ")],
      ["Meta", Object.keys(record?.meta ?? {}).length > 0 ? element("span", {}, tags(Object.entries(record.meta).map(([k, v]) => `${k}=${v}`))) : null]]));
  }

  context.onCatalog((catalog) => {
    known.record = catalog.nodes.get(name) ?? null;
    checks.show(known.record?.checks ?? []);
    services.show([...catalog.records.values()].filter((r) => r.kind === "instance" && r.node === name));
    draw();
  });
  context.live("/v1/agent/gossip/members", {}, ({ value }) => { if (value) { Object.assign(known, { members: value, heardAt: Date.now() }); draw(); } });
  context.live("/v1/coordinate/nodes", {}, ({ value }) => { if (value) redraw(distances, [value], () => rttParts(value, name)); });
  onSelf(context, ({ self, settings }) => {
    if (known.self !== self) {
      known.self = self;
      if (self === name) metrics(context, figures);
      else figures.replaceChildren(...metricsElsewhere(name, self || "another node"));
    }
    known.settings = settings;
    draw();
  });
  context.events((events, error) => timeLine.show(events.filter((event) => event.Node === name), error));
  const timer = setInterval(draw, 1000);
  context.signal.addEventListener("abort", () => clearInterval(timer));
}
