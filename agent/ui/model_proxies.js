// Which proxies route to a service, and how it goes (`/v1/internal/ui/proxies`). Pure.
import { endpoint } from "./model.js";

const number = (value) => (Number.isFinite(value) ? value : null);

export function perSecond(rate) {
  if (rate === null) return "–";
  if (rate >= 10000) return `${(rate / 1000).toFixed(1)}k`;
  return rate >= 100 || Number.isInteger(rate) ? rate.toFixed(0) : rate.toFixed(1);
}

export function millis(ms) {
  if (!ms) return "–"; // nothing has passed
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(0)} s`;
}

const figures = (row) => ({
  rate: number(row.PerSecond), errors: number(row.Errors5xxPerSecond ?? row.ErrorsPerSecond), p50: number(row.P50Ms), p95: number(row.P95Ms), p99: number(row.P99Ms),
});

const most = (a, b) => (a === null || b === null ? a ?? b : Math.max(a, b));

// A route that several listeners have is one row: what passes together, and the slowest of their percentiles.
function together(rows) {
  const merged = new Map();
  for (const row of rows) {
    const one = merged.get(row.key);
    if (!one) { merged.set(row.key, { ...row, listeners: 1 }); continue; }
    Object.assign(one, { listeners: one.listeners + 1, rate: one.rate + row.rate, errors: one.errors + row.errors, p50: most(one.p50, row.p50), p95: most(one.p95, row.p95), p99: most(one.p99, row.p99) });
  }
  return [...merged.values()].map((row) => (row.listeners > 1 ? { ...row, route: `${row.route} (${row.listeners} listeners)` } : row));
}

// Rows for each route that leads to `service`: a pool is of the service it discovers, or bears its name.
export function routesTo(service, proxies) {
  return proxies.flatMap((proxy) => {
    const told = proxy.Figures ?? {};
    const pools = new Set((told.Pools ?? []).filter((pool) => (pool.Service || pool.Pool) === service).map((pool) => pool.Pool));
    const rowOf = (route, row) => ({ key: `${proxy.Node} ${proxy.Address} ${proxy.Port} ${route} ${row.Pool}`, proxy: proxy.Node, route, pool: row.Pool, ...figures(row) });
    const nameOf = (route) => (route.Route ?? "").replace(/ #\d+$/, "") || `${route.Host ?? ""}${route.Path ?? ""}`; // " #2": the same at another listener
    return [...together((told.Routes ?? []).filter((route) => pools.has(route.Pool)).map((route) => rowOf(nameOf(route), route))),
      ...(told.Listeners ?? []).filter((listener) => pools.has(listener.Pool)) // those that pass connections on, whole
        .map((listener) => rowOf(`${listener.Address}, ${listener.Mode}, ${listener.Connections ?? 0} open`, listener))];
  });
}

// What each proxy sees of the instance at this place.
export function instanceAt(service, address, port, proxies) {
  const place = endpoint(address, port);
  return proxies.flatMap((proxy) => (proxy.Figures?.Pools ?? []).filter((pool) => (pool.Service || pool.Pool) === service)
    .flatMap((pool) => (pool.Instances ?? []).filter((instance) => instance.Address === place)
      .map((instance) => ({ key: `${proxy.Node} ${proxy.Address} ${proxy.Port} ${pool.Pool}`, proxy: proxy.Node, pool: pool.Pool, state: instance.State, ...figures(instance) }))));
}

// Proxies that could not be asked: { proxy, error }.
export function silent(proxies) {
  return proxies.filter((proxy) => proxy.Error).map((proxy) => ({ proxy: proxy.Node, error: proxy.Error }));
}
