// How gossip works at this agent: is it well, what waits, what was refused, and does the pool agree on its keys.
import { Stable, follow, redraw } from "./answer.js";
import { Table, element, facts, heading, nameOf, section, since, state } from "./dom.js";
import { span } from "./model_nodes.js";
import { link } from "./router.js";

// "SavedByTCP" in words.
const words = (name) => name.replace(/([a-z])(?=[A-Z])/g, "$1 ").replace(/ [A-Z](?=[a-z])/g, (c) => c.toLowerCase());

export const title = "Gossip";
export const paths = ["/ui/gossip"];

const table = (label, key, none, columns) => ({ list: new Table({ label, key, none, columns }), stable: new Stable(key) });
const fill = ({ list, stable }, items) => list.show(stable.keep(items));
const agoOf = (row, key = "at") => since(row[key]);

const rowsOf = (given) => (Array.isArray(given) ? given : Object.entries(given ?? {}).map(([Name, value]) => ({ Name, ...value })));
// {alive: 5, failed: 0} as "5 alive"
const countsOf = (counts, none) => Object.entries(counts ?? {}).filter(([, n]) => n > 0).map(([word, n]) => `${n} ${word.replaceAll("_", " ")}`).join(", ") || none;

function keysWord(ring, keyring) {
  if (ring && ring.Keys > 0) return ring.Agree === false ? ["warning", "not all use it"] : ["passing", ring.Agree ? "in use by all" : "in use"];
  return keyring && keyring.Keys > 0 ? ["passing", "in use"] : ["warning", "none: gossip is not encrypted"];
}

export function show(place, context) {
  const known = { figures: null, debug: null };
  const health = element("div", { class: "card" });
  const keys = element("div", { class: "card" });
  const probes = element("div", { class: "card" });
  const queues = table("Queues", (q) => q.Name, "No queues are told.", [
    { title: "Queue", cell: (q) => q.Name }, { title: "Waiting", class: "number", cell: (q) => `${q.Length}` },
    { title: "Room", class: "number", cell: (q) => `${q.Max ?? "–"}` }, { title: "Dropped", class: "number", cell: (q) => `${q.Dropped ?? "–"}` },
    { title: "Too large", class: "number", cell: (q) => `${q.TooLarge ?? "–"}` }]);
  const refusals = table("Refused packets", (r) => `${r.Address} ${r.Reason}`, "Nothing was refused lately.", [
    { title: "From", cell: (r) => [r.Member ? nameOf(r.Member, link("nodes", r.Member)) : null, ` ${r.Address}`] },
    { title: "Why", cell: (r) => r.Reason }, { title: "How often", class: "number", cell: (r) => `${r.Count}` }, { title: "Last", cell: agoOf }]);
  const suspects = table("Suspected members", (s) => s.Member, "Nobody is suspected.", [
    { title: "Member", cell: (s) => nameOf(s.Member, link("nodes", s.Member)) },
    { title: "For", cell: agoOf }, { title: "Given up in", cell: (s) => span(s.LeftMs) }, { title: "Confirmed by", class: "number", cell: (s) => `${s.Confirmations} of ${s.Wanted}` }]);
  const changes = table("Latest changes", (t) => t.key, "Nothing has changed.", [
    { title: "Ago", cell: agoOf }, { title: "Member", cell: (t) => nameOf(t.Member, link("nodes", t.Member)) },
    { title: "From", cell: (t) => t.From || "–" }, { title: "To", cell: (t) => t.To }, { title: "Why", cell: (t) => t.Why }]);

  function draw() {
    const { figures, debug } = known;
    short.hidden = false;
    const score = figures?.Health ?? debug?.Health;
    const [word, text] = keysWord(figures?.KeyRing, debug?.Keyring);
    const ring = debug?.Keyring;
    redraw(health, [score, figures?.Members, figures?.Refused], () => facts([["Members", figures ? countsOf(figures.Members, "none") : null],
      ["Health of this agent", score ? element("span", {}, state(score.Score === 0 && !score.Deaf ? "passing" : "warning", score.Score === 0 ? "well" : `late, ${score.Score} of ${score.Max ?? 8}`),
        score.Deaf ? " It hears nobody: it may be cut off, so it blames no one." : null) : null],
      ["Packets refused, by reason", figures ? countsOf(figures.Refused, "none") : null], ["Members reached by TCP only", figures?.TCPOnly ? `${figures.TCPOnly}` : null],
      ["Open streams", figures?.Streams ? `${figures.Streams}` : null]]));
    redraw(keys, [word, text, ring, figures?.KeyRing], () => facts([["Encryption", state(word, text)], ["Keys", `${figures?.KeyRing?.Keys ?? ring?.Keys ?? 0}`],
      ["Primary key, fingerprint", figures?.KeyRing?.Primary ? element("code", {}, figures.KeyRing.Primary) : null], ["Cipher", figures?.KeyRing?.Cipher || ring?.Cipher || null],
      ["Opened by the first key", ring ? ring.OpenedByFirst.toLocaleString("en") : null], ["Opened by an older key", ring?.OpenedByOlder ? ring.OpenedByOlder.toLocaleString("en") : null],
      ["Takes plain packets", ring?.Keys > 0 ? (ring.TakesPlain ? "yes" : "no") : null]]));
    fill(queues, rowsOf(debug?.Queues ?? figures?.Queues));
    if (!debug) return;
    const now = debug.WallMs || Date.now();
    fill(refusals, debug.Refusals.map((r) => ({ ...r, AgoMs: 0, at: now - r.AgoMs })));
    fill(suspects, debug.Suspicions.map((s) => ({ ...s, at: now - s.AgoMs })));
    fill(changes, debug.Transitions.slice(0, 50).map((t) => {
      const at = Math.round((now - t.AgoMs) / 1000) * 1000;
      return { ...t, AgoMs: 0, at, key: `${t.Member} ${t.Incarnation} ${t.To} ${at}` };
    }));
    redraw(probes, [debug.Probes], () => facts(Object.entries(debug.Probes).map(([k, v]) => [words(k), v.toLocaleString("en")])));
  }

  const detail = (title, part) => section(title, part.element ?? part);
  const details = element("div", {}, detail("Suspected", suspects.list), detail("Refused", refusals.list), detail("Latest changes", changes.list), detail("Probes since the start", probes));
  const short = element("div", {}, health, section("Keys", keys), detail("Queues", queues.list));
  short.hidden = true;
  place.append(heading("Gossip"), element("p", { class: "faint" }, "As this agent sees it; ask another agent's page for its own view."),
    follow(context, "/v1/internal/ui/gossip", { everyMs: 2000, needs: "agent:read", absent: "The figures in short are not told by this agent." }, (value) => { known.figures = value; draw(); }),
    short, follow(context, "/v1/agent/debug/gossip", { everyMs: 2000, needs: "operator:read", parts: [details] }, (value) => { known.debug = value; draw(); }), details);
}
