// From the API's objects to what the page shows. Pure: no DOM, no clock, no network.

const SEVERITY = { passing: 0, warning: 1, critical: 2 };
const MAINTENANCE = "maintenance";

export function worst(states) {
  return states.reduce((a, b) => (SEVERITY[b] > SEVERITY[a] ? b : a), "passing");
}

function instanceOf(node, service) {
  const own = node.Checks.filter((check) => check.ServiceID === service.ID);
  const all = own.concat(node.Checks.filter((check) => check.ServiceID === ""));
  return {
    node: node.Node,
    id: service.ID,
    name: service.Service,
    address: service.Address || node.Address,
    port: service.Port,
    tags: service.Tags || [],
    state: worst(all.map((check) => check.Status)),
    maintenance: all.some((check) => check.Type === MAINTENANCE),
    since: latest(all.map((check) => check.SinceMs)),
    checks: own,
  };
}

// The newest of some instants, in ms since 1970; undefined when there is none.
function latest(instants) {
  return instants.length > 0 ? Math.max(...instants) : undefined;
}

function faultOf(node, check) {
  return {
    node: node.Node,
    service: check.ServiceName,
    name: check.Name,
    state: check.Status,
    maintenance: check.Type === MAINTENANCE,
    output: check.Type === MAINTENANCE ? check.Notes : check.Output,
    since: check.SinceMs,
  };
}

function nodeOf(node) {
  const own = node.Checks.filter((check) => check.ServiceID === "");
  return {
    name: node.Node,
    address: node.Address,
    state: worst(own.map((check) => check.Status)),
    since: latest(own.map((check) => check.SinceMs)),
    services: node.Services.map((service) => service.Service),
    failing: node.Checks.filter((check) => check.Status !== "passing").length,
    checks: node.Checks.length,
  };
}

function byText(key) {
  return (a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0);
}

function servicesOf(instances) {
  const groups = new Map();
  for (const instance of instances) {
    const group = groups.get(instance.name) || { name: instance.name, instances: [] };
    group.instances.push(instance);
    groups.set(instance.name, group);
  }
  return [...groups.values()].sort(byText("name")).map((group) => {
    const alive = group.instances.filter((instance) => instance.state !== "critical").length;
    return {
      ...group,
      alive,
      // A service is down when nothing of it lives; one lost instance of several is a warning.
      state: alive === 0 ? "critical" : alive < group.instances.length ? "warning" : worst(group.instances.map((i) => i.state)),
      tags: [...new Set(group.instances.flatMap((instance) => instance.tags))].sort(),
    };
  });
}

export function build(nodes) {
  const instances = nodes.flatMap((node) => (node.Services || []).map((service) => instanceOf(node, service)));
  const faults = nodes
    .flatMap((node) => node.Checks.filter((check) => check.Status !== "passing").map((check) => faultOf(node, check)))
    .sort((a, b) => SEVERITY[b.state] - SEVERITY[a.state] || b.since - a.since);
  const services = servicesOf(instances);
  const members = nodes.map(nodeOf).sort(byText("name"));
  return {
    faults,
    services,
    nodes: members,
    state: worst([...services.map((service) => service.state), ...members.map((node) => (node.state === "critical" ? "warning" : node.state))]),
    counts: {
      nodes: members.length,
      nodesAlive: members.filter((node) => node.state !== "critical").length,
      services: services.length,
      instances: instances.length,
      instancesAlive: instances.filter((instance) => instance.state !== "critical").length,
    },
  };
}

export function matches(service, words) {
  const text = [service.name, service.state, ...service.tags,
    ...service.instances.flatMap((i) => [i.node, i.id, i.address, i.state, ...i.tags])].join("\n").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

// "12 s", "3 min", "2 h 5 min", "4 d": how long ago, for people.
export function ago(instant, now) {
  if (!instant) return "";
  const seconds = Math.max(0, Math.round((now - instant) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}
