// Which proxies route to a service, and how it goes (`/v1/internal/ui/proxies`). Pure.
import { endpoint } from "./model.js";

const number = (value) => (Number.isFinite(value) ? value : null);

export function perSecond(rate) {
  if (rate === null) return "–";
  if (rate >= 10000) return `${(rate / 1000).toFixed(1)}k`;
  return rate >= 100 || Number.isInteger(rate) ? rate.toFixed(0) : rate.toFixed(1);
}

export function millis(ms) {
  if (ms === null) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(0)} s`;
}

const figures = (row) => ({
  rate: number(row.PerSecond), errors: number(row.Errors5xxPerSecond ?? row.ErrorsPerSecond), p50: number(row.P50Ms), p95: number(row.P95Ms), p99: number(row.P99Ms),
});

// Rows for each route that leads to `service`: a pool is of the service it discovers, or bears its name.
export function routesTo(service, proxies) {
  return proxies.flatMap((proxy) => {
    const told = proxy.Figures ?? {};
    const pools = new Set((told.Pools ?? []).filter((pool) => (pool.Service || pool.Pool) === service).map((pool) => pool.Pool));
    return (told.Routes ?? []).filter((route) => pools.has(route.Pool))
      .map((route) => ({ key: `${proxy.Node} ${proxy.Address} ${route.Route} ${route.Pool}`, proxy: proxy.Node, route: route.Route || `${route.Host ?? ""}${route.Path ?? ""}`, pool: route.Pool, ...figures(route) }));
  });
}

// What each proxy sees of the instance at this place.
export function instanceAt(service, address, port, proxies) {
  const place = endpoint(address, port);
  return proxies.flatMap((proxy) => (proxy.Figures?.Pools ?? []).filter((pool) => (pool.Service || pool.Pool) === service)
    .flatMap((pool) => (pool.Instances ?? []).filter((instance) => instance.Address === place)
      .map((instance) => ({ key: `${proxy.Node} ${proxy.Address} ${pool.Pool}`, proxy: proxy.Node, pool: pool.Pool, state: instance.State, ...figures(instance) }))));
}

// Proxies that could not be asked: { proxy, error }.
export function silent(proxies) {
  return proxies.filter((proxy) => proxy.Error).map((proxy) => ({ proxy: proxy.Node, error: proxy.Error }));
}
