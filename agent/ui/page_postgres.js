// PostgreSQL clusters: who may be written and since when, who follows how far behind, what happened before, and moving it.
import { button, identify } from "./actions.js";
import { Stable, follow, redraw } from "./answer.js";
import { Table, element, empty, facts, heading, nameOf, say, section, since, state, svg, visible } from "./dom.js";
import { endpoint } from "./model.js";
import { cancel, pause, switchover } from "./model_actions.js";
import { behind, candidates, clusterOf, graph, sample, took } from "./model_postgres.js";
import { link } from "./router.js";

export const title = "PostgreSQL";
export const paths = ["/ui/postgres", "/ui/postgres/:cluster"];

const SAMPLE_MS = 2000;
const HEIGHT = 180;
const LEFT = 72;
const TOP = 12;
const BOTTOM = 24;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const WORDS = { passing: "well", warning: "impaired", critical: "no primary" };
const samples = new Map(); // cluster -> what its lag was, for as long as this page is open

const historyColumns = [
  { title: "When", cell: (h) => element("time", { datetime: new Date(h.At).toISOString() }, new Date(h.At).toLocaleString("en-GB")) },
  { title: "Term", class: "number", cell: (h) => `${h.Term}` },
  { title: "Primary", cell: (h) => nameOf(h.Node, link("nodes", h.Node)) },
  { title: "Before", cell: (h) => (h.From ? nameOf(h.From, link("nodes", h.From)) : "–") },
  { title: "Nobody could write for", class: "number", cell: (h) => took(h.TookMs) },
  { title: "Why", cell: (h) => element("bdi", {}, visible(h.Reason || "–")) },
  { title: "Timeline", class: "number", cell: (h) => `${h.Timeline}` },
  { title: "LSN", cell: (h) => element("code", {}, h.LSN || "–") }];

function card(m) {
  const says = m.primary ? "takes all writes" : m.upstream ? `← ${m.upstream}${m.streaming ? ", streaming" : ", not streaming"}` : "follows nobody";
  const head = element("div", { class: "head" }, state(m.state, m.word), nameOf(m.node, link("nodes", m.node)), m.sync ? element("span", { class: "tag" }, "sync") : null);
  return element("li", { class: `card member ${m.primary ? "primary" : ""}` }, head, element("p", { class: "faint" }, says),
    facts([["Behind", m.primary ? null : behind(m.lag)], ["Delay", m.lagMs ? took(m.lagMs) : null], ["Address", endpoint(m.address, m.port)],
      ["Timeline", `${m.timeline ?? "–"}`], ["LSN", element("code", {}, m.lsn || "–")], ["Version", m.version],
      ["Order", m.order?.Kind ? `${m.order.Kind}${m.order.Done ? ", done" : ", not yet done"}` : null],
      ["Promotion", m.noFailover ? "never: its configuration says no_failover" : null]]),
    m.note ? element("p", { class: m.problem ? "trouble" : "faint" }, m.note) : null);
}

// Lag over time: a line a standby, told apart by name and dashes; time in which nobody was primary is hatched.
function picture(name, now, width) {
  const { from, to, max, lines, outages } = graph(samples.get(name), now);
  const wide = width - LEFT - 90;
  const x = (at) => LEFT + at * wide;
  const y = (lag) => TOP + (1 - lag) * (HEIGHT - TOP - BOTTOM);
  const text = (at, down, anchor, ...words) => svg("text", { x: at, y: down, "text-anchor": anchor }, ...words);
  const drawn = lines.filter((l) => l.runs.length > 0).map((l, i) => {
    const last = l.runs.at(-1).at(-1);
    const points = (run) => run.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    const down = Math.max(TOP + 10, Math.min(y(last[1]) + 4 - 14 * i, HEIGHT - BOTTOM));
    return svg("g", {}, l.runs.map((run) => svg("polyline", { points: points(run), "stroke-dasharray": DASHES[i % DASHES.length] })),
      text(Math.min(x(last[0]) + 6, width - 84), down, "start", visible(l.node).slice(0, 12)));
  });
  const marks = outages.map(([a, b]) => svg("rect", { class: "outage", x: x(a), y: TOP, width: Math.max(1, x(b) - x(a)), height: HEIGHT - TOP - BOTTOM }));
  return svg("svg", { class: "lag", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
    "aria-label": `Bytes behind the primary over the last ${took(to - from)}; now: ${lines.map((l) => l.node).join(", ")}, see the cards above.` },
    svg("path", { class: "axis", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${LEFT + wide}` }), marks,
    text(LEFT - 6, TOP + 10, "end", behind(max)), text(LEFT - 6, HEIGHT - BOTTOM, "end", "0"),
    text(LEFT, HEIGHT - 6, "start", `${took(to - from)} ago`), text(LEFT + wide, HEIGHT - 6, "end", "now"), drawn);
}

function actionsOf(context, identity, cluster) {
  const planned = cluster.intent && cluster.intent.DueMs > Date.now();
  return [...candidates(cluster).map((to) => button(context, identity, `Switch over to ${to} …`, () => switchover(cluster.name, cluster.primary || "whoever it is", to))),
    planned ? button(context, identity, "Cancel the plan …", () => cancel(cluster.name)) : null,
    button(context, identity, cluster.paused ? "Resume …" : "Pause …", () => pause(cluster.name, !cluster.paused))];
}

const intentText = ({ Kind, To, DueMs }) => `${Kind}${To ? ` to ${To}` : ""} ${DueMs > Date.now() ? `planned for ${new Date(DueMs).toLocaleString()}` : "under way"}`;

function showCluster(name, context, identity) {
  const head = element("div");
  const actions = element("div", { class: "actions" });
  const members = element("ul", { class: "plain topology" });
  const lag = element("div", { class: "card" });
  const history = new Table({ label: `Changes of ${name}'s primary`, columns: historyColumns, key: (h) => `${h.Term} ${h.At}`, none: "It had no other primary yet." });
  const stable = new Stable((h) => `${h.Term} ${h.At}`);
  const body = element("div", {}, head, actions, members, element("h3", {}, "Bytes behind, while this page is open"), lag,
    element("h3", {}, "History"), history.element);
  if (!samples.has(name)) samples.set(name, []);
  let cluster = null;

  function point() {
    if (!cluster || document.hidden) return;
    sample(samples.get(name), cluster, Date.now());
    lag.replaceChildren(cluster.members.length > 1 ? picture(name, Date.now(), Math.max(300, lag.clientWidth - 32)) : empty("There is no standby whose lag could be drawn."));
  }

  const note = follow(context, `/v1/postgres/${encodeURIComponent(name)}`, { needs: "operator:read, or service:read of its service", absent: "There is no such cluster.", parts: [body], failed: () => { cluster = null; } }, (value) => {
    cluster = clusterOf(value);
    const { words, term, mode, ttl, paused, intent } = cluster;
    redraw(head, [cluster.state, words, cluster.since, term, mode, ttl, paused, intent], () => [
      element("p", { class: "verdict-line" }, state(cluster.state, WORDS[cluster.state]), ` ${words}`,
        cluster.primary && cluster.since ? [", since ", since(cluster.since)] : null),
      paused ? element("p", {}, state("maintenance", "paused"), " The keepers watch but do not act: a lost primary would not be replaced.") : null,
      intent ? element("p", {}, `${intentText(intent)}.`) : null,
      cluster.primary ? null : element("p", {}, "The keepers elect another as soon as one may be trusted. If it cannot, you may decide that writes are lost: ",
        element("code", {}, `rollcall pg failover -cluster ${name} -to NODE -accept-loss`)),
      facts([["Term", `${term}`], ["Mode", mode], ["Lease", ttl ? took(ttl) : null]])].filter(Boolean));
    redraw(actions, [candidates(cluster), cluster.primary, paused, intent], () => actionsOf(context, identity, cluster).filter(Boolean));
    redraw(members, cluster.members, () => cluster.members.map(card));
    history.show(stable.keep(cluster.history));
    point();
  });
  const timer = setInterval(point, SAMPLE_MS);
  context.signal.addEventListener("abort", () => clearInterval(timer));
  return section(name, note, body);
}

export function show(place, context) {
  const identity = identify(context);
  const clusters = element("div");
  const none = empty("");
  const shown = new Set();
  place.append(heading("PostgreSQL"));
  if (context.params.cluster) {
    place.append(showCluster(context.params.cluster, context, identity));
    return;
  }
  place.append(follow(context, "/v1/postgres", { needs: "operator:read", absent: "No server keeps a store here: there are no clusters." }, (value) => {
    say(none, value.length === 0 ? "No agent keeps a PostgreSQL here. A postgres block in its configuration makes it do so: man rollcall, POSTGRESQL." : "");
    none.hidden = value.length > 0;
    for (const { Cluster } of value) {
      if (!shown.has(Cluster)) { shown.add(Cluster); clusters.append(showCluster(Cluster, context, identity)); }
    }
  }), none, clusters);
}
