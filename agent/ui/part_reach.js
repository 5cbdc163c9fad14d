// How a service is reached: the DNS names with what is answered to them now, and the proxies that route to it.
import { troubleOf } from "./answer.js";
import { Table, element, nameOf, say, section, state } from "./dom.js";
import { answerOf } from "./model_dns.js";
import { instanceAt, millis, perSecond, routesTo, silent } from "./model_proxies.js";
import { link } from "./router.js";

const DNS_MS = 5000;
const PROXIES_MS = 2000;
const RECORDS = 6; // shown of one answer
const PROXIES = "/v1/internal/ui/proxies";

function answerCell({ answer, error }) {
  if (error) return element("span", { class: "faint" }, troubleOf(error));
  if (!answer) return element("span", { class: "faint" }, "Asking …");
  return [state(answer.ok ? "passing" : "warning", answer.text), element("ul", { class: "plain records" }, answer.records.slice(0, RECORDS).map((record) => element("li", {}, element("code", {}, record))),
    answer.records.length > RECORDS ? element("li", { class: "faint" }, `and ${answer.records.length - RECORDS} more`) : null)];
}

// ask(names) tells which names there are, { name, type, what } each; they are asked about for as long as the page is open.
export function dnsSection(context) {
  const table = new Table({ label: "DNS names", key: (item) => item.key, none: "DNS has no name for it: only letters, digits, - and _ make one.", columns: [
    { title: "Name", cell: ({ name, what }) => [element("code", {}, name), element("p", { class: "faint small tight" }, what)] },
    { title: "Type", cell: ({ type }) => type },
    { title: "Answered now", cell: answerCell },
  ] });
  const rows = new Map();
  const draw = () => table.show([...rows.values()]);
  const ask = (names) => {
    for (const key of rows.keys()) if (!names.some((name) => `${name.type} ${name.name}` === key)) rows.delete(key);
    for (const name of names) {
      const key = `${name.type} ${name.name}`;
      if (rows.has(key)) continue;
      rows.set(key, { ...name, key });
      let last = "";
      context.live(`/v1/agent/dns?name=${encodeURIComponent(name.name)}&type=${name.type}`, { everyMs: DNS_MS }, ({ value, error }) => {
        const answer = value ? answerOf(value) : null;
        answer?.records.sort(); // the order is new each time: only what is said counts
        const now = JSON.stringify([answer, error?.message]);
        if (now === last || !rows.has(key)) return;
        last = now;
        rows.set(key, { ...name, key, answer, error });
        draw();
      });
    }
    draw();
  };
  return { element: section("DNS names", table.element), ask };
}

const figures = [
  { title: "Requests/s", class: "number", cell: (row) => perSecond(row.rate) },
  { title: "Errors/s", class: "number", cell: (row) => (row.errors > 0 ? element("span", { class: "trouble" }, perSecond(row.errors)) : perSecond(row.errors)) },
  { title: "p50", class: "number", cell: (row) => millis(row.p50) },
  { title: "p95", class: "number", cell: (row) => millis(row.p95) },
  { title: "p99", class: "number", cell: (row) => millis(row.p99) },
];

function proxies(context, columns, none, rowsOf) {
  const table = new Table({ label: "Proxies", none, columns: [{ title: "Proxy", cell: (row) => nameOf(row.proxy, link("nodes", row.proxy)) }, ...columns] });
  const trouble = element("p", { class: "faint", hidden: true });
  context.live(PROXIES, { everyMs: PROXIES_MS }, ({ value, error }) => {
    const list = Array.isArray(value) ? value : [];
    const quiet = silent(list);
    table.show(rowsOf(list));
    trouble.hidden = !error && quiet.length === 0;
    say(trouble, error ? troubleOf(error, { absent: "This agent does not ask proxies." }) : `Not heard: ${quiet.map(({ proxy, error: why }) => `the proxy on ${proxy} (${why})`).join(", ")}.`);
  });
  return section("Proxies", table.element, trouble);
}

export function proxiesOfService(context, service) {
  return proxies(context, [{ title: "Route", cell: (row) => row.route }, { title: "Pool", cell: (row) => row.pool }, ...figures],
    "No proxy that registered itself routes here.", (list) => routesTo(service, list));
}

const STATES = { __proto__: null, up: "passing", warming: "warning", trial: "warning", draining: "maintenance", ejected: "critical", failing: "critical", gone: "critical" };

export function proxiesOfInstance(context, service, placeOf) {
  return proxies(context, [{ title: "Takes it for", cell: (row) => state(STATES[row.state] ?? "unknown", row.state ?? "unknown") }, { title: "Pool", cell: (row) => row.pool }, ...figures],
    "No proxy that registered itself sends requests here.", (list) => { const at = placeOf(); return at ? instanceAt(service, at.address, at.port, list) : []; });
}
