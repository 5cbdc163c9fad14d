// From the API's objects to what is shown. Pure: no DOM, no clock, no network.
//
// Two parts. flatten() and compare() run in the worker: they make one flat record of each node and instance and find those
// that changed. Catalog runs in the page: it takes the changes in and keeps a record of each service. A record never changes
// once it is made: who has drawn it knows by `===` that there is nothing to draw.

// How bad a state is. Maintenance is somebody's will, no fault; it takes an instance out all the same.
export const SEVERITY = { __proto__: null, passing: 0, maintenance: 1, warning: 2, critical: 3 };
const MAINTENANCE = "maintenance";
const HOUR_MS = 3600000;

export function worst(states) {
  return states.reduce((a, b) => ((SEVERITY[b] ?? 0) > SEVERITY[a] ? b : a), "passing");
}

// The newest of some instants, in ms since 1970; 0 when there is none.
function latest(instants) {
  return instants.reduce((a, b) => Math.max(a, b || 0), 0);
}

function checkOf(check) {
  const isMaintenance = check.Type === MAINTENANCE;
  return {
    id: check.CheckID, name: check.Name, node: check.Node, service: check.ServiceName, serviceId: check.ServiceID,
    state: isMaintenance ? MAINTENANCE : check.Status, type: check.Type, output: check.Output, notes: check.Notes,
    since: check.SinceMs || 0, flaps: check.Flaps || 0, restart: check.Restart ?? null, definition: check.Definition ?? {},
  };
}

// A lost node outweighs its maintenance: nobody is working there.
function stateOf(checks) {
  if (checks.some((check) => check.id === "serfHealth" && check.state === "critical")) return "critical";
  return checks.some((check) => check.state === MAINTENANCE) ? MAINTENANCE : worst(checks.map((check) => check.state));
}

function reasonOf(checks) {
  const check = checks.find(({ state }) => state === MAINTENANCE);
  return check ? check.notes || "no reason given" : null;
}

function flapsOf(checks) {
  return checks.reduce((sum, check) => sum + check.flaps, 0);
}

const instanceKey = (node, id) => `instance\n${node}\n${id}`;

function instanceOf(node, service, own, nodes) {
  const all = own.concat(nodes);
  return {
    kind: "instance", key: instanceKey(node.Node, service.ID), node: node.Node, id: service.ID, name: service.Service,
    address: service.Address || node.Address, port: service.Port || 0, tags: service.Tags || [], meta: service.Meta || {},
    weights: service.Weights ?? { Passing: 1, Warning: 1 }, tagged: service.TaggedAddresses || {},
    state: stateOf(all), maintenance: reasonOf(all), since: latest(all.map((check) => check.since)), flaps: flapsOf(own),
    checks: own, faults: own.filter((check) => check.state !== "passing"),
    source: service.RegisteredBy || (service.Meta || {})["external-source"] || "",
  };
}

function nodeOf(node, checks, own) {
  return {
    kind: "node", key: `node\n${node.Node}`, name: node.Node, id: node.ID, address: node.Address, meta: node.Meta || {},
    tagged: node.TaggedAddresses || {}, liveness: node.Liveness || "", livenessSince: node.LivenessSinceMs || 0,
    state: stateOf(own), maintenance: reasonOf(own), since: latest(own.map((check) => check.since)), flaps: flapsOf(own),
    services: [...new Set((node.Services || []).map((service) => service.Service))].sort(), instances: (node.Services || []).length,
    checks: own, checkCount: checks.length, failing: checks.filter((check) => check.state !== "passing").length,
    faults: own.filter((check) => check.state !== "passing"),
  };
}

// The answer of /v1/internal/ui/nodes as records of nodes and instances.
export function flatten(nodes) {
  const records = [];
  for (const node of nodes) {
    const checks = (node.Checks || []).map(checkOf);
    const byService = new Map();
    for (const check of checks) {
      const list = byService.get(check.serviceId);
      if (list) list.push(check);
      else byService.set(check.serviceId, [check]);
    }
    const own = byService.get("") || [];
    records.push(nodeOf(node, checks, own));
    for (const service of node.Services || []) records.push(instanceOf(node, service, byService.get(service.ID) || [], own));
  }
  return records;
}

// Which records are not as they were, and the keys of those that are gone. `signatures` is `known` of the next time.
export function compare(known, records) {
  const signatures = new Map();
  const changed = [];
  for (const record of records) {
    const signature = JSON.stringify(record);
    signatures.set(record.key, signature);
    if (known.get(record.key) !== signature) changed.push(record);
  }
  return { changed, gone: [...known.keys()].filter((key) => !signatures.has(key)), signatures };
}

export const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const byPlace = (a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

export const isUsable = (record) => record.state === "passing" || record.state === "warning";

// A service is down when nothing of it can be used; one lost instance of several is a warning.
function serviceState(instances, usable) {
  if (usable === 0) return instances.some((i) => i.state !== MAINTENANCE) ? "critical" : MAINTENANCE;
  return worst(instances.map(({ state }) => (state === "critical" ? "warning" : state)));
}

function serviceOf(name, group) {
  const instances = [...group.values()].sort(byPlace);
  const usable = instances.filter(isUsable).length;
  const states = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
  for (const instance of instances) states[instance.state]++;
  return {
    kind: "service", key: `service\n${name}`, name, instances, usable, states, total: instances.length,
    state: serviceState(instances, usable), since: latest(instances.map((i) => i.since)), flaps: flapsOf(instances),
    tags: [...new Set(instances.flatMap((instance) => instance.tags))].sort(),
    checks: countChecks(instances), // what somebody has taken out of service is told as that, not by its failing checks
    faults: instances.flatMap(({ maintenance, faults }) => (maintenance === null ? faults : faults.filter(({ state }) => state === MAINTENANCE))),
  };
}

function countChecks(records) {
  const counts = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
  for (const { checks } of records) for (const { state } of checks) counts[state] = (counts[state] || 0) + 1;
  return counts;
}

function addCounts(into, counts) {
  for (const [state, count] of Object.entries(counts)) into[state] += count;
}

// What the whole cluster looks like, kept up to date by what changes in it.
export class Catalog {
  constructor() {
    this.ready = false;
    this.filtered = false; // the token, or none, does not show all of it
    this.nodes = new Map(); // by name
    this.groups = new Map(); // name of a service -> key of an instance -> instance
    this.services = new Map(); // by name
    this.records = new Map(); // by key
    this.dirty = new Set();
    this.lists = {};
  }

  put(record) {
    this.remove(record.key);
    this.records.set(record.key, record);
    if (record.kind === "node") {
      this.nodes.set(record.name, record);
      return;
    }
    if (!this.groups.has(record.name)) this.groups.set(record.name, new Map());
    this.groups.get(record.name).set(record.key, record);
    this.dirty.add(record.name);
  }

  remove(key) {
    const record = this.records.get(key);
    if (!record) return;
    this.records.delete(key);
    if (record.kind === "node") {
      this.nodes.delete(record.name);
      return;
    }
    this.groups.get(record.name).delete(key);
    this.dirty.add(record.name);
  }

  // Takes part of a change in. True when it was the last part: now it may be drawn.
  apply({ changed, gone, more, filtered = false }) {
    changed.forEach((record) => this.put(record));
    gone.forEach((key) => this.remove(key));
    if (more) return false;
    for (const name of this.dirty) {
      const group = this.groups.get(name);
      if (group.size > 0) this.services.set(name, serviceOf(name, group));
      else { this.groups.delete(name); this.services.delete(name); }
    }
    this.dirty.clear();
    this.lists = {};
    this.ready = true;
    this.filtered = filtered;
    return true;
  }

  list(name, make) {
    return (this.lists[name] ??= make());
  }

  get serviceList() { return this.list("services", () => [...this.services.values()].sort(byName)); }

  get nodeList() { return this.list("nodes", () => [...this.nodes.values()].sort(byName)); }

  // Every check that does not pass, the worst first, the newest of them first.
  get faults() {
    return this.list("faults", () => [...this.nodeList.flatMap((node) => node.faults), ...this.serviceList.flatMap((s) => s.faults)]
      .sort((a, b) => SEVERITY[b.state] - SEVERITY[a.state] || b.since - a.since));
  }

  get counts() { return this.list("counts", () => this.count()); }

  count() {
    const zero = () => ({ passing: 0, warning: 0, critical: 0, maintenance: 0 });
    const counts = { nodes: zero(), services: zero(), instances: zero(), checks: countChecks(this.nodes.values()) };
    for (const { state } of this.nodes.values()) counts.nodes[state]++;
    for (const service of this.services.values()) {
      counts.services[service.state]++;
      addCounts(counts.instances, service.states);
      addCounts(counts.checks, service.checks);
    }
    return counts;
  }

  instance(node, id) { return this.records.get(instanceKey(node, id)) ?? null; }
}

// What is wrong, as few sentences as that takes: a check that fails on many instances alike is one trouble, and what a lost node
// takes with it is not told for each instance again. [{ key, state, service, node, id, check, since, output, count, places }]
export function troubles(faults) {
  const groups = new Map();
  for (const check of faults) {
    if (check.state === MAINTENANCE) continue;
    const key = check.serviceId === "" ? `${check.state}\n${check.node}\n${check.id}` : `${check.state}\n${check.service}\n${check.name}\n`;
    const group = groups.get(key);
    if (!group) {
      groups.set(key, { key, state: check.state, service: check.service, node: check.node, id: check.serviceId, isLost: check.id === "serfHealth" && check.serviceId === "",
        check: check.name, since: check.since, output: check.output, count: 1, restart: check.restart });
      continue;
    }
    group.count++;
    group.since = Math.min(group.since, check.since) || group.since;
  }
  return [...groups.values()].sort((a, b) => SEVERITY[b.state] - SEVERITY[a.state] || b.isLost - a.isLost || b.since - a.since);
}

export const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

const many = (number, one, more = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;

function names(records) {
  return records.slice(0, 3).map((record) => record.name).join(", ") + (records.length > 3 ? ` and ${records.length - 3} more` : "");
}

// Why there is no service to be shown. Nothing to see is not the same as nothing there.
export function noService(catalog) {
  return catalog.filtered ? "No service may be seen with this token, or without one."
    : "No service is registered yet: put a service block into the configuration, or PUT /v1/agent/service/register.";
}

// The state of everything in one word and one sentence.
export function verdict(catalog) {
  if (catalog.records.size === 0) return { state: "unknown", text: catalog.filtered ? "Nothing may be seen with this token, or without one" : "No node is known yet" };
  const down = catalog.serviceList.filter((service) => service.state === "critical");
  const lost = catalog.nodeList.filter((node) => node.state === "critical");
  const partly = catalog.serviceList.filter((service) => service.state === "warning");
  const mended = catalog.counts.instances.maintenance + catalog.counts.nodes.maintenance;
  if (down.length > 0) return { state: "critical", text: `${many(down.length, "service")} down: ${names(down)}` };
  if (lost.length > 0) return { state: "warning", text: `Every service answers, but ${many(lost.length, "node")} is lost: ${names(lost)}`.replace(/(s) is lost/, "$1 are lost") };
  if (partly.length > 0) return { state: "warning", text: `Every service answers, not everything of ${names(partly)} does` };
  if (catalog.faults.some((check) => check.state !== MAINTENANCE)) return { state: "warning", text: "Every service answers, some checks do not pass" };
  if (mended > 0) return { state: MAINTENANCE, text: "Everything answers that is not in maintenance" };
  if (catalog.filtered) return { state: "passing", text: "Everything that may be seen with this token is well" };
  if (catalog.services.size === 0) return { state: "passing", text: "Every node answers; no service is registered" };
  return { state: "passing", text: "Everything is well" };
}

// "12 s", "3 min", "2 h 5 min", "4 d": how long ago, for people.
export function ago(instant, now) {
  if (!instant) return "";
  return span(now - instant);
}

export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}

// "10.0.0.1:80", "[fd00::1]:80", and without a port the address alone.
export function endpoint(address, port) {
  if (!port) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function plural(number, one, more) { return many(number, one, more); }
export { HOUR_MS };
