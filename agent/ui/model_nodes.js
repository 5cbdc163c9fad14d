// Nodes: what the catalog, gossip and coordinates say of each, put together. Pure.
import { SEVERITY, byName } from "./model.js";
import { distance } from "./model_rtt.js";

const LIVES = ["alive", "suspect"];

// ms until a node that is gone is forgotten; null: it is not going to be.
export function reapIn(member, settings, now, seenAt) {
  if (!member || LIVES.includes(member.State) || !settings) return null;
  const advertised = member.Member.Tags && member.Member.Tags.rc_tm;
  const text = member.State === "left" ? settings.tombstone_timeout : advertised || settings.reconnect_timeout;
  const total = duration(text);
  return total === null ? null : Math.max(0, total - member.SinceMs - (now - seenAt));
}

// Go's durations: "72h0m0s", "350ms". null: none.
export function duration(text) {
  const units = { h: 3600000, m: 60000, s: 1000, ms: 1, us: 0.001, µs: 0.001, ns: 0.000001 };
  const parts = [...String(text || "").matchAll(/([\d.]+)(h|ms|m|us|µs|ns|s)/g)];
  return parts.length > 0 ? parts.reduce((sum, [, n, unit]) => sum + Number(n) * units[unit], 0) : null;
}

// "3 d 4 h", "71 h 59 min", "2 min 5 s", "12 s".
export function span(ms) {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 4 * 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// What filter.js asks of an instance, for a node: its services are its tags, and so is how gossip sees it.
const asked = (node, member) => ({
  node: node.name, id: node.id, port: 0, checks: node.checks,
  tags: [...node.services, member ? member.State : node.liveness, ...(member && member.Member.Tags.role === "consul" ? ["server"] : [])],
});

// Rows for the list. `records`: nodes of the catalog; `members`: /v1/agent/gossip/members or []; `coordinates`:
// /v1/coordinate/nodes or [].
export function rows(records, members, coordinates, self) {
  const byMember = new Map(members.map((member) => [member.Member.Name, member]));
  const byCoordinate = new Map(coordinates.map((c) => [c.Node, c.Coord]));
  const own = byCoordinate.get(self);
  return [...records].map((node) => {
    const member = byMember.get(node.name);
    const coordinate = byCoordinate.get(node.name);
    return {
      name: node.name, address: node.address, state: node.state, maintenance: node.maintenance || "", services: node.services,
      liveness: member ? member.State : node.liveness, since: node.since || node.livenessSince, total: node.checkCount, failing: node.failing,
      version: member ? (member.Member.Tags.build || "").replace(/:.*/, "") : "",
      server: Boolean(member && member.Member.Tags.role === "consul"),
      rtt: own && coordinate ? (node.name === self ? 0 : distance(own, coordinate)) : null,
      self: node.name === self, meta: node.meta,
      ...asked(node, member),
    };
  });
}

const ORDERS = {
  name: () => 0,
  state: (a, b) => SEVERITY[b.state] - SEVERITY[a.state] || b.failing - a.failing,
  rtt: (a, b) => (b.rtt ?? -1) - (a.rtt ?? -1),
  since: (a, b) => b.since - a.since,
  services: (a, b) => b.services.length - a.services.length,
  version: (a, b) => (a.version < b.version ? -1 : a.version > b.version ? 1 : 0),
};

// Newest, worst, farthest first; names decide between equals.
export function sorted(list, order) {
  const compare = ORDERS[order] || ORDERS.state;
  return [...list].sort((a, b) => compare(a, b) || byName(a, b));
}

// Of /v1/agent/metrics?: figures for people, some of the registry: {title, rows: [[name, value] ..]}.
export function metricsOf(metrics) {
  const all = [...metrics.Gauges.map((g) => ({ ...g, value: g.Value })), ...metrics.Counters.map((c) => ({ ...c, value: c.Count })),
    ...metrics.Samples.map((s) => ({ ...s, value: s.Count, mean: s.Mean }))];
  return all.map((m) => ({
    name: m.Name, labels: Object.entries(m.Labels || {}).map(([k, v]) => `${k}=${v}`).join(" "), value: m.value, mean: m.mean,
  })).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.labels < b.labels ? -1 : 1));
}
