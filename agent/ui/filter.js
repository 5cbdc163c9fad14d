// What is typed into a filter, as a question to instances. Pure.
//
//   web 10.0.0     every word occurs in the name, id, node, address, tags, meta or state
//   /^web\d/       a regular expression over the same; upper and lower case are alike
//   name: node: id: address: check:   occurs there (check: in names and output of checks); or a /regular expression/
//   tag:v2         has just this tag, or one that a /regular expression/ finds
//   meta:owner     has this key;  meta:owner=team-a or owner=team-a  with this value
//   state:critical passing, warning, critical or maintenance; failing: warning or critical
//   port:8080      or a range, port:8000-8099
//   -tag:v1        not so;  "two words"  as one
// All of it must hold, for one and the same instance.
import { endpoint } from "./model.js";

export const FIELDS = ["name", "node", "id", "tag", "meta", "state", "address", "port", "check"];
const STATES = { passing: ["passing"], warning: ["warning"], critical: ["critical"], maintenance: ["maintenance"], failing: ["warning", "critical"] };

class Mistake extends Error {}

// Up to the closing `mark`, behind which `at` is left. A backslash takes the next character as it is.
function enclosed(text, at, mark, what) {
  let value = "";
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === mark) return { value, at: i + 1 };
    if (text[i] === "\\" && i + 1 < text.length) value += mark === "/" && text[i + 1] !== "/" ? text[i] + text[++i] : text[++i];
    else value += text[i];
  }
  throw new Mistake(`${what} that begins with ${text.slice(at, at + 12)} does not end: ${mark} is missing`);
}

function word(text, at) {
  const end = text.slice(at).search(/\s/);
  return end < 0 ? { value: text.slice(at), at: text.length } : { value: text.slice(at, at + end), at: at + end };
}

function value(text, at) {
  if (text[at] === '"') return { ...enclosed(text, at, '"', "The text"), kind: "text" };
  if (text[at] === "/") return { ...enclosed(text, at, "/", "The regular expression"), kind: "pattern" };
  return { ...word(text, at), kind: "text" };
}

function termAt(text, at) {
  const not = text[at] === "-" && at + 1 < text.length && !/\s/.test(text[at + 1]);
  const from = not ? at + 1 : at;
  const field = /^([a-z]+):/i.exec(text.slice(from));
  if (!field) return { not, field: "", ...value(text, from) };
  const name = field[1].toLowerCase();
  if (!FIELDS.includes(name)) throw new Mistake(`There is no "${field[0]}"; use ${FIELDS.map((f) => `${f}:`).join(" ")} or put it in quotes`);
  const found = value(text, from + field[0].length);
  if (found.value === "") throw new Mistake(`${field[0]} wants something behind it`);
  return { not, field: name, ...found };
}

function terms(text) {
  const list = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text[at])) at++;
    if (at >= text.length) return list;
    const term = termAt(text, at);
    at = term.at;
    if (term.value !== "") list.push(term);
  }
}

// A question to one text.
function asker({ kind, value: wanted }) {
  if (kind === "pattern") {
    try {
      const pattern = new RegExp(wanted, "i");
      return (text) => pattern.test(text);
    } catch (error) {
      throw new Mistake(`/${wanted}/ is no regular expression: ${error.message.split(": ").pop()}`);
    }
  }
  const lower = wanted.toLowerCase();
  return (text) => text.toLowerCase().includes(lower);
}

function isExactly(term) {
  const lower = term.value.toLowerCase();
  return term.kind === "pattern" ? asker(term) : (text) => text.toLowerCase() === lower;
}

const texts = new WeakMap();

function textOf(instance) {
  let text = texts.get(instance);
  if (text === undefined) {
    text = [instance.name, instance.id, instance.node, endpoint(instance.address, instance.port), instance.state, ...instance.tags,
      ...Object.entries(instance.meta).map(([key, of]) => `${key}=${of}`)].join("\n");
    texts.set(instance, text);
  }
  return text;
}

function metaAsker(term) {
  const at = term.value.indexOf("=");
  if (term.kind === "pattern" || at < 0) {
    const ask = isExactly(term);
    return (instance) => Object.keys(instance.meta).some(ask);
  }
  const key = term.value.slice(0, at).toLowerCase();
  const wanted = term.value.slice(at + 1).toLowerCase();
  return (instance) => Object.entries(instance.meta).some(([k, v]) => k.toLowerCase() === key && v.toLowerCase() === wanted);
}

function portAsker({ value: text }) {
  const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!range || Number(range[1]) > 65535 || Number(range[2] ?? 0) > 65535) throw new Mistake(`port:${text}: a port is a number up to 65535, or a range such as 8000-8099`);
  const first = Number(range[1]);
  const last = Number(range[2] ?? range[1]);
  if (last < first) throw new Mistake(`port:${text}: the range ends before it begins`);
  return ({ port }) => port >= first && port <= last;
}

function stateAsker({ value: text }) {
  const wanted = Object.hasOwn(STATES, text.toLowerCase()) ? STATES[text.toLowerCase()] : null;
  if (!wanted) throw new Mistake(`There is no state "${text}": ${Object.keys(STATES).join(", ")}`);
  return ({ state }) => wanted.includes(state);
}

const ASKERS = {
  "": (term) => {
    if (term.kind === "text" && /^[^\s=:"/]+=./.test(term.value)) return metaAsker(term);
    const ask = asker(term);
    return (instance) => ask(textOf(instance));
  },
  name: (term) => { const ask = asker(term); return ({ name }) => ask(name); },
  node: (term) => { const ask = asker(term); return ({ node }) => ask(node); },
  id: (term) => { const ask = asker(term); return ({ id }) => ask(id); },
  address: (term) => { const ask = asker(term); return ({ address, port }) => ask(endpoint(address, port)); },
  check: (term) => { const ask = asker(term); return ({ checks }) => checks.some((check) => ask(check.name) || ask(check.output)); },
  tag: (term) => { const ask = isExactly(term); return ({ tags }) => tags.some(ask); },
  meta: metaAsker, port: portAsker, state: stateAsker,
};

// { error, matches(instance), isAll }: error is "" or says what to change; then nothing is filtered out.
export function parse(text) {
  try {
    const all = terms(text).map((term) => {
      const ask = ASKERS[term.field](term);
      return term.not ? (instance) => !ask(instance) : ask;
    });
    return { error: "", isAll: all.length === 0, matches: (instance) => all.every((ask) => ask(instance)) };
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    return { error: error.message, isAll: true, matches: () => true };
  }
}
