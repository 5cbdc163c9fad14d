// The last hour, from the agents' events (`/v1/internal/ui/events`) and from since when checks are as they are. Pure.
import { SEVERITY } from "./model.js";

export const CELLS = 60; // a strip shows so many parts of its time
export const SPAN_MS = 3600000;

const HAS_NODE = { failed: "critical", leave: "critical", join: "passing" };

// Events by what they tell about: an instance's checks, and a node's.
export function index(events) {
  const byThing = new Map();
  for (const event of events) {
    const key = event.ServiceID ? `${event.Node}\n${event.ServiceID}` : `${event.Node}\n`;
    const list = byThing.get(key);
    if (list) list.push(event);
    else byThing.set(key, [event]);
  }
  return byThing;
}

// What one check (or the node's own life) was like: [{ at, state }] with rising times; null before it was known.
function chain(events) {
  return [{ at: 0, state: events[0].From || null }, ...events.map((event) => ({ at: event.AtMs, state: event.To }))];
}

// Switched on and off; while it is off no check tells of it.
function ofMaintenance(events) {
  const own = events.filter((event) => event.Kind === "maintenance");
  const state = (word) => (word === "on" ? "maintenance" : "passing");
  return own.length > 0 ? [chain(own.map((event) => ({ ...event, From: state(event.From), To: state(event.To) })))] : [];
}

function ofCheck(check, events, from) {
  const own = events.filter((event) => event.Kind === "check" && (event.Check === check.id || event.Check === check.name));
  if (own.length > 0) return chain(own);
  return check.since > from ? [{ at: 0, state: null }, { at: check.since, state: check.state }] : [{ at: 0, state: check.state }];
}

function ofNode(events) {
  const own = events.filter((event) => Object.hasOwn(HAS_NODE, event.Kind))
    .map((event) => ({ ...event, To: HAS_NODE[event.Kind], From: event.Kind === "join" ? null : "passing" }));
  return own.length > 0 ? [chain(own)] : [];
}

// The worst state of a chain between two instants, or null.
function worstIn(points, from, to) {
  let result = null;
  for (let i = 0; i < points.length; i++) {
    const until = i + 1 < points.length ? points[i + 1].at : Infinity;
    const { at, state } = points[i];
    if (state && at < to && until > from && (result === null || SEVERITY[state] > SEVERITY[result])) result = state;
  }
  return result;
}

// As with the state of now (model.js), maintenance outweighs what checks say.
function cellOf(chains, from, to) {
  const states = chains.map((points) => worstIn(points, from, to)).filter((state) => state !== null);
  if (states.includes("maintenance")) return "maintenance";
  return states.reduce((a, b) => (a === null || SEVERITY[b] > SEVERITY[a] ? b : a), null);
}

// Since when anything is known of a node: an agent that has just started knows nothing of before.
function knownFrom(node, events) {
  const first = events.find((event) => Object.hasOwn(HAS_NODE, event.Kind));
  if (first) return first.Kind === "join" ? first.AtMs : 0;
  return node?.livenessSince ?? 0;
}

// A switch for which there are no events tells of itself what a check does.
const isAsked = (list) => (check) => check.state !== "maintenance" || !list.some((event) => event.Kind === "maintenance");

// States of one instance in CELLS equal parts of the last hour, the newest last; null where nothing is known.
// `node`: its node's record, or null; `since`: when the agent that is asked began to look.
export function ofInstance(instance, node, events, now, since = 0) {
  const from = now - SPAN_MS;
  const nodeChecks = node?.checks ?? [];
  const own = events.get(`${instance.node}\n${instance.id}`) ?? [];
  const ofItsNode = events.get(`${instance.node}\n`) ?? [];
  const ownChains = instance.checks.filter(isAsked(own)).map((check) => ofCheck(check, own, from));
  const life = ofNode(ofItsNode); // who is lost works on nothing
  const chains = [...ownChains, ...nodeChecks.filter(isAsked(ofItsNode)).map((check) => ofCheck(check, ofItsNode, from)), ...life, ...ofMaintenance(own), ...ofMaintenance(ofItsNode)];
  const registered = own.find((event) => event.Kind === "register")?.AtMs ?? 0;
  const born = Math.max(registered, since, knownFrom(node, ofItsNode));
  const cells = [];
  for (let i = 0; i < CELLS; i++) {
    const start = from + (i * SPAN_MS) / CELLS;
    const end = from + ((i + 1) * SPAN_MS) / CELLS;
    const known = ownChains.length === 0 || cellOf(ownChains, start, end) !== null; // its node alone says nothing of it
    if (end > since && cellOf(life, start, end) === "critical") cells.push("critical");
    else cells.push(end <= born || !known ? null : cellOf(chains, start, end) ?? (chains.length === 0 ? "passing" : null));
  }
  return cells;
}

// A service as a whole: down where nothing of it could be used, a warning where something could not.
export function ofService(service, nodes, events, now, since = 0) {
  const rows = service.instances.slice(0, 200).map((instance) => ofInstance(instance, nodes.get(instance.node) ?? null, events, now, since));
  return Array.from({ length: CELLS }, (_, i) => {
    const states = rows.map((row) => row[i]).filter((state) => state !== null);
    if (states.length === 0) return null;
    const worst = states.reduce((a, b) => (SEVERITY[b] > SEVERITY[a] ? b : a));
    const usable = states.some((state) => state === "passing" || state === "warning");
    return worst === "critical" && usable ? "warning" : worst;
  });
}

// Neighbours that are alike, as one: [{ state, from, to }] in cells.
export function runs(cells) {
  const list = [];
  cells.forEach((state, i) => {
    const last = list[list.length - 1];
    if (last && last.state === state) last.to = i + 1;
    else list.push({ state, from: i, to: i + 1 });
  });
  return list;
}

// The same in words, for those who do not see the strip.
export function inWords(cells) {
  const minutes = SPAN_MS / 60000 / CELLS;
  const parts = ["critical", "warning", "maintenance"].map((state) => [state, cells.filter((cell) => cell === state).length * minutes])
    .filter(([, number]) => number > 0).map(([state, number]) => `${state} in ${number} min`);
  const known = cells.filter((cell) => cell !== null).length;
  if (known === 0) return "last hour: nothing is known";
  return `last hour: ${parts.join(", ") || "passing"}${known < CELLS ? `, ${(CELLS - known) * minutes} min not known` : ""}`;
}

const KINDS = {
  __proto__: null,
  join: ["passing", "joined"], failed: ["critical", "is lost"], leave: ["maintenance", "left"], reap: ["unknown", "forgotten"],
  register: ["passing", "registered"], deregister: ["unknown", "deregistered"], promotion: ["warning", "promotion"],
  leader: ["warning", "leader"], maintenance: ["maintenance", "maintenance"], restart: ["warning", "restart"],
};

// What an event is to people: { state, word, text, service, id, node, at }.
export function told(event) {
  const over = event.Kind === "maintenance" && event.To === "off";
  const [state, word] = event.Kind === "check" ? [event.To, event.To] : over ? ["passing", "in service"] : KINDS[event.Kind] ?? ["unknown", event.Kind];
  return { at: event.AtMs, state: SEVERITY[state] === undefined ? "unknown" : state, word, node: event.Node || "", service: event.Service || "", id: event.ServiceID || "",
    text: event.Text || [event.Check, event.From && event.To ? `${event.From} → ${event.To}` : ""].filter(Boolean).join(": ") };
}

// How much happened in each part of the hour, and how bad the worst of it was: [{ count, state }].
export function density(events, now) {
  const cells = Array.from({ length: CELLS }, () => ({ count: 0, state: "unknown" }));
  for (const event of events) {
    const i = Math.floor(((event.AtMs - (now - SPAN_MS)) * CELLS) / SPAN_MS);
    if (i < 0 || i > CELLS) continue;
    const cell = cells[Math.min(i, CELLS - 1)];
    const { state } = told(event);
    cell.count++;
    if (cell.state === "unknown" || SEVERITY[state] > SEVERITY[cell.state]) cell.state = state;
  }
  return cells;
}
