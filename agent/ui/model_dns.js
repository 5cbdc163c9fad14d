// The DNS names that reach a service, and what is answered to them now (`/v1/agent/dns`). Pure.

const TAGS = 8; // names by tag that are asked about

// A label that DNS takes as it is; what it does not take has no name.
const isLabel = (text) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(text);

// [{ name, type, what }] in the order of use. `domain` as the agent tells it, "rollcall.".
export function namesOf(service, tags, domain) {
  const zone = domain.replace(/\.$/, "");
  if (!isLabel(service)) return [];
  return [
    { name: `${service}.service.${zone}`, type: "A", what: "usable instances, in a new order each time" },
    { name: `_${service}._tcp.service.${zone}`, type: "SRV", what: "the same with ports and weights" },
    ...tags.filter(isLabel).slice(0, TAGS).map((tag) => ({ name: `${tag}.${service}.service.${zone}`, type: "A", what: `those with the tag ${tag}` })),
  ];
}

export function nodeName(node, domain) {
  return isLabel(node) ? { name: `${node}.node.${domain.replace(/\.$/, "")}`, type: "A", what: "the machine it is on" } : null;
}

// "10.0.0.1", or for SRV "web1.node.dc1.rollcall port 80 weight 1": a record without its head.
function recordOf(line) {
  const [, , , type, ...data] = line.split(" ");
  return type === "SRV" ? `${data[3]?.replace(/\.$/, "")} port ${data[2]}, weight ${data[1]}` : data.join(" ");
}

// What was answered: { ok, records, text }.
export function answerOf(body) {
  const answer = (body.Answers ?? [])[0];
  if (!answer) return { ok: false, records: [], text: "no answer" };
  const records = (answer.Answer ?? []).map(recordOf);
  const left = (body.Instances ?? []).filter(({ Usable, Reasons }) => !Usable && !(Reasons ?? []).some(({ Kind }) => Kind === "tag")).length;
  const out = left > 0 ? `, ${left} left out` : "";
  if (records.length > 0) return { ok: true, records, text: `${records.length} record${records.length === 1 ? "" : "s"}${out}` };
  return { ok: false, records, text: `${answer.Withheld ? "withheld" : answer.Status}${out}` };
}
