// PostgreSQL clusters as their keepers tell of them (`/v1/postgres/NAME`): roles, lag over time, history. Pure.

const KEPT_MS = 15 * 60 * 1000;
const POINTS_MAX = 900;

export function behind(bytes) {
  if (!bytes) return "0 B";
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GB` : bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MB`
    : bytes >= 1024 ? `${Math.ceil(bytes / 1024)} kB` : `${bytes} B`;
}

// "0.4 s", "225 ms", "1 min 5 s": how long something took.
export function took(ms) {
  if (!ms) return "–";
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

const GOOD = ["primary", "standby"];
const ON_ITS_WAY = ["init", "electing", "promoting", "demoting", "rejoining"];

export function memberOf(cluster, member) {
  const primary = Boolean(cluster.Primary && cluster.Primary.Writable && cluster.Primary.Node === member.Node);
  const stopped = !GOOD.includes(member.State) && !ON_ITS_WAY.includes(member.State);
  const state = primary ? "passing" : stopped ? "critical" : member.State === "standby" && member.ReadOk ? "passing" : "warning";
  return {
    node: member.Node, address: member.Address, port: member.Port, primary, state,
    word: primary ? "primary" : member.State || "unknown",
    lag: primary ? 0 : member.LagBytes || 0, lagMs: member.LagMs || 0, sync: Boolean(member.Sync),
    upstream: primary ? "" : member.Upstream || "", streaming: Boolean(member.Streaming),
    timeline: member.Timeline, lsn: member.LSN || "", version: member.Version || "", note: member.Problem || member.Progress || "",
    problem: Boolean(member.Problem), order: member.Order, noFailover: Boolean(member.NoFailover),
  };
}

export function clusterOf(view) {
  const members = (view.Members || []).map((member) => memberOf(view, member))
    .sort((a, b) => b.primary - a.primary || (a.node < b.node ? -1 : 1));
  const primary = view.Primary && view.Primary.Writable ? view.Primary.Node : "";
  const history = [...(view.History || [])].reverse();
  const state = primary === "" ? "critical" : members.length < 2 || members.some((m) => m.state !== "passing") || view.Paused ? "warning" : "passing";
  return {
    name: view.Cluster, term: view.Term, primary, since: view.Primary ? view.Primary.Since : 0, ttl: view.TTLms, mode: view.Mode,
    holder: view.Primary ? view.Primary.Node : "", paused: Boolean(view.Paused), intent: view.Intent, settings: view.Settings,
    members, history, state,
    words: primary === "" ? (view.Primary ? `${view.Primary.Node} holds the lease but is not open for writes yet` : "nobody can write")
      : `${primary} is primary${members.length < 2 ? ", without a standby" : ""}`,
  };
}

// Who may become primary by a switchover, best first. The keepers have the last word.
export function candidates(cluster) {
  return cluster.members.filter((m) => !m.primary && m.word === "standby" && !m.noFailover)
    .sort((a, b) => b.sync - a.sync || a.lag - b.lag || (a.node < b.node ? -1 : 1)).map((m) => m.node);
}

// Appends what the members' lag is now; forgets what is old. `samples`: [{at, lags: {node: bytes}}], changed in place.
export function sample(samples, cluster, now) {
  const lags = {};
  for (const member of cluster.members) lags[member.node] = member.primary ? null : member.lag;
  samples.push({ at: now, lags, primary: cluster.primary });
  while (samples.length > POINTS_MAX || (samples.length > 0 && samples[0].at < now - KEPT_MS)) samples.shift();
  return samples;
}

// For a graph: {from, to, max, lines: [{node, runs: [[[x, y] ..] ..]}], outages: [[x, x] ..]}, x and y from 0 to 1. A run ends
// where a node was primary or not there.
export function graph(samples, now) {
  const to = now;
  const from = Math.max(now - KEPT_MS, Math.min(samples.length > 0 ? samples[0].at : now, now - 60000));
  const nodes = [...new Set(samples.flatMap((s) => Object.keys(s.lags)))].sort();
  const max = samples.reduce((m, s) => Math.max(m, ...Object.values(s.lags).map((lag) => lag || 0)), 1024);
  const x = (at) => (at - from) / (to - from);
  const lines = nodes.map((node) => {
    const runs = [[]];
    for (const s of samples) {
      const lag = s.lags[node];
      if (typeof lag === "number") runs[runs.length - 1].push([x(s.at), lag / max]);
      else if (runs[runs.length - 1].length > 0) runs.push([]);
    }
    return { node, runs: runs.filter((run) => run.length > 0) };
  });
  const outages = [];
  samples.forEach((s, i) => {
    if (s.primary === "") outages.push([x(s.at), i + 1 < samples.length ? x(samples[i + 1].at) : 1]);
  });
  return { from, to, max, lines, outages };
}
