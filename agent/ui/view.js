// What is shown, as DOM. Text only ever becomes text.
import { ago, matches } from "./model.js";

const SIGNS = { passing: "✓", warning: "!", critical: "✗" };

function element(name, properties = {}, ...children) {
  const { data, ...rest } = properties;
  const node = Object.assign(document.createElement(name), rest);
  for (const [key, value] of Object.entries(data || {})) node.dataset[key] = value;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function state(word, maintenance = false) {
  return element("span", { className: `state ${word}` }, `${SIGNS[word] || "?"} ${maintenance ? "maintenance" : word}`);
}

function since(instant, now) {
  const text = instant ? new Date(instant).toISOString() : "";
  return element("time", { dateTime: text, title: text }, ago(instant, now));
}

function table(titles, rows) {
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((cell, i) => element("td", { data: { label: titles[i] } }, cell))));
  return element("div", { className: "scroll" },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function box(number, text, total) {
  return element("div", {}, element("strong", {}, total === undefined ? `${number}` : `${number} of ${total}`), text);
}

function verdictText(model) {
  const down = model.services.filter((service) => service.state === "critical").map((service) => service.name);
  if (down.length > 0) return `Down: ${down.slice(0, 4).join(", ")}${down.length > 4 ? " …" : ""}`;
  if (model.faults.length > 0) return `Everything answers, ${model.faults.length} check${model.faults.length === 1 ? "" : "s"} not passing`;
  return "Everything is well";
}

export function drawVerdict(place, model) {
  const { counts } = model;
  place.replaceChildren(element("div", { className: "verdict" },
    element("div", { className: `sum ${model.state}` },
      element("strong", {}, `${SIGNS[model.state]} ${verdictText(model)}`)),
    box(counts.nodesAlive, "nodes alive", counts.nodes),
    box(counts.services, "services"),
    box(counts.instancesAlive, "instances usable", counts.instances)));
}

export function drawFaults(section, list, model, now) {
  section.hidden = model.faults.length === 0;
  list.replaceChildren(...model.faults.slice(0, 100).map((fault) => element("li",
    { className: `fault ${fault.state === "warning" ? "warning-edge" : ""}` },
    element("p", {}, state(fault.state, fault.maintenance), " ",
      element("strong", {}, fault.service ? `${fault.service} on ${fault.node}` : `node ${fault.node}`),
      ` — ${fault.name}`, fault.since ? ", for " : "", since(fault.since, now)),
    fault.output ? element("pre", {}, fault.output) : null)));
  if (model.faults.length > 100) {
    list.append(element("li", { className: "empty" }, `and ${model.faults.length - 100} more`));
  }
}

function instanceRow(instance, now) {
  const tags = element("span", {}, ...instance.tags.map((tag) => element("span", { className: "tag" }, tag)));
  const failing = instance.checks.filter((check) => check.Status !== "passing");
  const text = failing.length > 0 ? failing.map((check) => `${check.Name}: ${check.Output}`).join("\n")
    : `${instance.checks.length} check${instance.checks.length === 1 ? "" : "s"} passing`;
  const place = instance.address.includes(":") ? `[${instance.address}]` : instance.address;
  return [state(instance.state, instance.maintenance), `${instance.node}${instance.id === instance.name ? "" : ` (${instance.id})`}`,
    instance.port ? `${place}:${instance.port}` : place, tags, since(instance.since, now), failing.length > 0 ? element("pre", {}, text) : text];
}

export function drawServices(place, model, words, now) {
  const open = new Set([...place.querySelectorAll("details[open]")].map((details) => details.dataset.name));
  const shown = model.services.filter((service) => matches(service, words));
  if (shown.length === 0) {
    place.replaceChildren(element("p", { className: "empty" },
      model.services.length === 0 ? "No service is registered yet: PUT /v1/agent/service/register, or a service block in the configuration."
        : "Nothing matches."));
    return;
  }
  place.replaceChildren(...shown.map((service) => {
    const summary = element("summary", {}, state(service.state), element("span", { className: "name" }, service.name),
      element("span", { className: "rest" }, `${service.alive} of ${service.instances.length} usable`),
      element("span", { className: "rest" }, service.tags.join(", ")));
    const details = element("details", { open: open.has(service.name), data: { name: service.name } }, summary);
    const fill = () => {
      if (details.open && details.children.length === 1) {
        details.append(table(["State", "Node", "Address", "Tags", "For", "Checks"],
          service.instances.map((instance) => instanceRow(instance, now))));
      }
    };
    details.addEventListener("toggle", fill);
    fill();
    return details;
  }));
}

function behind(bytes) {
  return bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1)} MB` : `${Math.ceil(bytes / 1024)} kB`;
}

function memberRow(cluster, member) {
  const holds = cluster.Primary && cluster.Primary.Writable && cluster.Primary.Node === member.Node;
  const well = holds || member.ReadOk;
  return [state(well ? "passing" : member.State === "standby" ? "warning" : "critical"), member.Node,
    `${member.Address}:${member.Port}`, holds ? "primary" : member.State, `${member.Timeline}`,
    holds ? "–" : behind(member.LagBytes || 0), member.Sync ? "yes" : "–", member.Problem || member.Progress || ""];
}

export function drawPostgres(section, place, clusters) {
  section.hidden = clusters.length === 0;
  place.replaceChildren(...clusters.map((cluster) => element("div", {},
    element("p", {}, element("strong", {}, cluster.Cluster), ` — term ${cluster.Term}, `,
      cluster.Primary && cluster.Primary.Writable ? `primary ${cluster.Primary.Node}` : "nobody is primary",
      cluster.Mode ? `, mode ${cluster.Mode}` : "", cluster.Paused ? ", PAUSED" : "",
      cluster.Intent ? `, ${cluster.Intent.Kind} ${cluster.Intent.DueMs ? "planned" : "under way"}` : ""),
    table(["State", "Node", "Address", "Role", "Timeline", "Behind", "Sync", "Note"],
      cluster.Members.map((member) => memberRow(cluster, member))))));
}

export function drawNodes(place, model, now) {
  place.replaceChildren(table(["State", "Name", "Address", "For", "Services", "Checks"], model.nodes.map((node) => [
    state(node.state), node.name, node.address, since(node.since, now), node.services.join(", ") || "–",
    node.failing === 0 ? `${node.checks} passing` : `${node.failing} of ${node.checks} not passing`])));
}
