// One look: is everything well; if not, what, where, since when, why; what changed, and what is behind it all.
import { redraw, troubleOf } from "./answer.js";
import { Keyed, element, empty, facts, heading, nameOf, say, section, since, state, SIGNS } from "./dom.js";
import { noService, plural, sum, troubles, verdict } from "./model.js";
import { index, ofService } from "./model_history.js";
import { behind, clusterOf } from "./model_postgres.js";
import { TimeLine, maintenanceCard, share, troubleCard } from "./parts.js";
import { link, withQuery } from "./router.js";
import { strip } from "./strip.js";

export const name = "overview";
export const title = "Overview";
export const paths = ["/ui/"];

const TROUBLES = 8;
const STRIPS = 15;
const REDRAW_MS = 30000; // a strip moves on although nothing happens

const ORDER = ["passing", "warning", "critical", "maintenance"];

function numberOf(word, count, to) {
  const text = [element("span", { "aria-hidden": "true" }, SIGNS[word]), ` ${count.toLocaleString("en")} `, element("span", { class: "word" }, word)];
  return element("li", { class: count > 0 ? word : "none" }, count > 0 && to ? element("a", { href: to(word) }, text) : text);
}

function tile({ label, path, counts, to }) {
  return element("div", { class: "card tile" }, element("p", {}, element("strong", {}, sum(counts).toLocaleString("en")), " ", path ? element("a", { href: path }, label) : label),
    share(counts), element("ul", { class: "plain numbers" }, ORDER.map((word) => numberOf(word, counts[word], to))));
}

const byState = (word) => withQuery("/ui/services", { q: `state:${word}` });

function tiles({ nodes, services, instances, checks }) {
  return [{ label: sum(nodes) === 1 ? "node" : "nodes", path: "/ui/nodes", counts: nodes }, { label: sum(services) === 1 ? "service" : "services", path: "/ui/services", counts: services, to: byState },
    { label: sum(instances) === 1 ? "instance" : "instances", counts: instances, to: byState }, { label: sum(checks) === 1 ? "check" : "checks", counts: checks }].map(tile);
}

// ---- what is wrong

function wrong(context) {
  const list = element("ul", { class: "plain" });
  const kept = new Keyed(list, (item) => item.key, (item) => (item.kind ? maintenanceCard(item) : troubleCard(item)));
  const none = empty("");
  const more = element("p", {});
  context.onCatalog((catalog) => {
    const all = troubles(catalog.faults);
    const resting = [...catalog.nodeList, ...catalog.serviceList.filter((service) => service.states.maintenance > 0).flatMap((service) => service.instances)]
      .filter((record) => record.maintenance !== null && record.faults.some((check) => check.state === "maintenance"));
    const shown = [...all.slice(0, TROUBLES), ...resting.slice(0, TROUBLES)];
    kept.show(shown);
    none.hidden = shown.length > 0;
    say(none, catalog.records.size === 0 ? "Nothing is known of any node." : catalog.filtered ? "Every check that may be seen passes." : "Every check of every node and service passes.");
    more.replaceChildren(...(all.length > TROUBLES ? [`and ${plural(all.length - TROUBLES, "more trouble")}: `, element("a", { href: byState("failing") }, "all that fails")] : []));
  });
  return section("What is wrong", list, none, more);
}

// ---- servers

function serverOf(server, i) {
  return [i > 0 ? ", " : null, element("span", { class: "keep" }, `${server.Healthy ? SIGNS.passing : SIGNS.critical} `, nameOf(server.Name, link("nodes", server.Name)), server.Healthy ? null : " unhealthy")];
}

function serversCard(context) {
  const place = element("div", { class: "card" }, empty("Asking …"));
  context.live("/v1/operator/autopilot/health", { everyMs: 5000 }, ({ value, error }) => {
    redraw(place, [value, error?.message], () => (!value || error ? empty(error ? troubleOf(error, { needs: "operator:read" }) : "Asking …") : serversOf(value)));
  });
  return section("Servers", place);
}

function serversOf(value) {
  const leader = value.Servers.find((server) => server.Leader);
  const word = !leader ? "critical" : value.Healthy ? "passing" : "warning";
  const text = !leader ? "no leader: keys, sessions and locks cannot be changed" : `${leader.Name} leads`;
  return [element("p", {}, state(word, word === "passing" ? "healthy" : word), " ", text),
    facts([["Servers", value.Servers.length === 0 ? "none: no agent keeps the store" : value.Servers.map(serverOf)],
      ["May be lost without harm", `${value.FailureTolerance}`], ["Store", value.Engine]])];
}

// ---- PostgreSQL

function memberLine(member) {
  return element("li", {}, state(member.state, member.word), " ", nameOf(member.node, link("nodes", member.node)),
    element("span", { class: "faint" }, member.primary ? "" : ` ${behind(member.lag)} behind${member.sync ? ", synchronous" : ""}`, member.note ? ` — ${member.note}` : ""));
}

function clusterCard(cluster) {
  return element("div", { class: "card" }, element("p", {}, state(cluster.state, cluster.primary ? cluster.state : "no primary"), " ", nameOf(cluster.name, link("postgres", cluster.name)),
    ": ", cluster.words, cluster.since ? [element("span", { class: "faint" }, ", for "), since(cluster.since)] : null, element("span", { class: "faint" }, `, term ${cluster.term}${cluster.paused ? ", PAUSED" : ""}`)),
  element("ul", { class: "plain members" }, cluster.members.map(memberLine)));
}

// A cluster each; without a store, or without the right to read them, there is nothing to be shown.
function postgres(context) {
  const place = element("div", { class: "stack" });
  const part = section("PostgreSQL", place);
  const known = new Map();
  part.hidden = true;
  const draw = () => {
    part.hidden = known.size === 0;
    const clusters = [...known.values()].filter((view) => view !== null).map(clusterOf);
    redraw(place, clusters, () => clusters.map(clusterCard));
  };
  context.live("/v1/postgres?stale", { everyMs: 5000 }, ({ value }) => {
    for (const { Cluster } of value ?? []) {
      if (known.has(Cluster)) continue;
      known.set(Cluster, null);
      context.live(`/v1/postgres/${encodeURIComponent(Cluster)}?stale`, { everyMs: 2000 }, (told) => { if (told.value) { known.set(Cluster, told.value); draw(); } });
    }
  });
  return part;
}

// ---- the last hour

function stripRow({ service, cells }) {
  return element("li", {}, state(service.state), nameOf(service.name, link("services", service.name)), strip(cells));
}

// Those that are not well first, then those of which something changed last.
function ofInterest(catalog) {
  const bad = { critical: 3, warning: 2, maintenance: 1, passing: 0 };
  return [...catalog.serviceList].sort((a, b) => bad[b.state] - bad[a.state] || b.since - a.since).slice(0, STRIPS);
}

function hour(context) {
  const list = element("ul", { class: "plain strips" });
  const none = empty("");
  const rest = element("p", {});
  const timeLine = new TimeLine();
  let events = [];
  const draw = () => {
    const now = Date.now();
    const things = index(events);
    const shown = ofInterest(context.catalog);
    const total = context.catalog.services.size;
    none.hidden = total > 0 || !context.catalog.ready;
    say(none, noService(context.catalog));
    const rows = shown.map((service) => ({ service, cells: ofService(service, context.catalog.nodes, things, now, context.knownSince()) }));
    redraw(list, rows.map(({ service, cells }) => [service.name, service.state, cells]), () => rows.map(stripRow));
    rest.replaceChildren(...(total > shown.length ? [element("a", { href: "/ui/services" }, `all ${total.toLocaleString("en")} services`)] : []));
  };
  context.onCatalog(draw);
  context.events((known, error, filtered) => {
    events = known;
    timeLine.show(events, error, filtered);
    draw();
  });
  const timer = setInterval(() => { if (!document.hidden) { draw(); timeLine.draw(); } }, REDRAW_MS);
  context.signal.addEventListener("abort", () => clearInterval(timer));
  return [section("Services in the last hour", element("div", { class: "card" }, list, none, rest)), section("What changed in the last hour", timeLine.element)];
}

export function show(place, context) {
  const summary = heading("Asking the agent …");
  const numbers = element("div", { class: "tiles" });
  place.append(summary, numbers, wrong(context), element("div", { class: "columns" }, serversCard(context), postgres(context)), element("div", { class: "columns" }, hour(context)));
  context.onCatalog((catalog) => {
    const { state: word, text } = verdict(catalog);
    summary.className = `verdict ${word}`;
    redraw(summary, [word, text], () => [element("span", { class: "sign", "aria-hidden": "true" }, SIGNS[word]), text]);
    redraw(numbers, catalog.counts, () => tiles(catalog.counts));
  });
}
