// From what /routes and /upstreams say to what is shown. No document here.

export const KEPT = 120; // seconds that the curves look back

const LEVELS = {
  up: ["good", "●"], warming: ["warn", "◐"], trial: ["warn", "◔"], draining: ["warn", "◌"], ejected: ["bad", "✕"],
  failing: ["bad", "✕"], gone: ["bad", "–"],
};

export function stateOf(name) {
  const [level, sign] = LEVELS[name] ?? ["warn", "?"];
  return { name, level, sign };
}

export function perSecond(rate) {
  if (rate >= 10000) return `${(rate / 1000).toFixed(1)}k`;
  return rate >= 100 || Number.isInteger(rate) ? rate.toFixed(0) : rate.toFixed(1);
}

export function duration(us) {
  if (!us) return "–";
  if (us < 1000) return `${us} µs`;
  if (us < 10000) return `${(us / 1000).toFixed(1)} ms`;
  return us < 1000000 ? `${Math.round(us / 1000)} ms` : `${(us / 1000000).toFixed(1)} s`;
}

export function count(number) {
  return number.toLocaleString("en");
}

const MODES = { http: "", tcp: "TCP", postgres: "PostgreSQL" };

function refusedOf(meter) {
  return Object.entries(meter.refused).map(([reason, times]) => `${reason} ${count(times)}`).join(", ");
}

function rowOf(key, name, what, meter) {
  return { key, name, what, requests: meter.requests, recent: meter.recent, refused: refusedOf(meter) };
}

// One row a route; a listener itself only where requests found no route, or where it has none.
function routeRows(listeners) {
  const rows = [];
  for (const listener of listeners) {
    const where = `${listener.address}`;
    for (const route of listener.routes) {
      rows.push(rowOf(`${where} ${route.label}`, route.label, `${route.does}${route.pool ? ` ${route.pool}` : ""}`, route));
    }
    const own = Object.keys(listener.refused).length > 0 || listener.requests > 0;
    if (listener.mode !== "http") {
      const what = `${MODES[listener.mode]} to ${listener.pool}, ${count(listener.connections)} open`;
      rows.push({ ...rowOf(where, where, what, listener), sessions: true });
    } else if (own) {
      rows.push(rowOf(where, where, "no route", listener));
    }
  }
  return rows;
}

function instanceOf(instance) {
  const failures = Object.entries(instance.outcomes).filter(([name, times]) => times > 0 && name !== "ok" && name !== "not_to_blame");
  return {
    key: instance.id, name: instance.id === instance.address ? instance.address : `${instance.id} at ${instance.address}`,
    state: stateOf(instance.state), role: instance.role, why: instance.why, inFlight: instance.in_flight, weight: instance.weight,
    failures: failures.map(([name, times]) => `${name.replaceAll("_", " ")} ${count(times)}`).join(", "),
    requests: instance.traffic.requests, recent: instance.traffic.recent,
  };
}

function sourcesOf(pool) {
  return Object.entries(pool.sources).map(([name, source]) => {
    if (!source.known) return `${name}: no answer yet`;
    return source.healthy ? name : `${name}: no news for ${Math.round(source.age_ms / 1000)} s`;
  }).join(", ");
}

function verdictOf(pools, draining) {
  const all = pools.flatMap((pool) => pool.instances);
  const usable = all.filter((instance) => instance.state.level !== "bad" && instance.state.name !== "draining").length;
  const empty = pools.filter((pool) => !pool.instances.some((i) => i.state.level !== "bad"));
  if (draining) return { level: "warn", text: "The proxy is stopping: what runs may end, nothing new is accepted." };
  if (pools.length === 0) return { level: "warn", text: "No pool is configured." };
  if (all.length === 0) return { level: "bad", text: "No instance is known: nothing can be served." };
  if (empty.length > 0) {
    return { level: "bad", text: `Nobody serves ${empty.map((pool) => pool.name).join(", ")}: ${usable} of ${all.length} instances take requests.` };
  }
  if (usable < all.length) return { level: "warn", text: `${usable} of ${all.length} instances take requests.` };
  return { level: "good", text: all.length === 1 ? "The one instance takes requests." : `All ${all.length} instances take requests.` };
}

// Instances may all be up and the answers bad all the same.
function withFailures(verdict, recent) {
  if (recent.failed === 0) return verdict;
  const text = `${verdict.text} ${count(recent.failed)} of ${count(recent.requests)} requests of the last seconds failed.`;
  const level = verdict.level === "bad" || recent.failed * 2 > recent.requests ? "bad" : "warn";
  return { level, text };
}

export function picture(routes, upstreams) {
  const pools = upstreams.pools.map((pool) => ({
    key: pool.name, name: pool.name, balance: pool.balance, sources: sourcesOf(pool), instances: pool.instances.map(instanceOf),
  }));
  return {
    at: routes.at_ms, total: routes.total, rows: routeRows(routes.listeners), pools, verdict: withFailures(verdictOf(pools, routes.draining), routes.total.recent),
    connections: routes.listeners.reduce((sum, listener) => sum + listener.connections, 0),
  };
}

// The last KEPT seconds of some number by key; what is no longer told is forgotten.
export class History {
  constructor() { this.series = new Map(); this.before = new Map(); }

  add(key, value) {
    const kept = this.series.get(key) ?? [];
    kept.push(value);
    if (kept.length > KEPT) kept.shift();
    this.series.set(key, kept);
  }

  // A number that only grows, as its rate since the last look; null at first and after a restart.
  addRate(key, value, at) {
    const before = this.before.get(key);
    this.before.set(key, { value, at });
    const good = before && at > before.at && value >= before.value;
    this.add(key, good ? ((value - before.value) * 1000) / (at - before.at) : null);
  }

  of(key) { return this.series.get(key) ?? []; }

  keep(keys) {
    for (const key of this.series.keys()) {
      if (!keys.has(key)) { this.series.delete(key); this.before.delete(key); }
    }
  }
}
