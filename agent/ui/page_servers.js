// The servers, and the engine that keeps the store: its members, who leads, how far they are.
import { follow, onSelf, redraw, Stable } from "./answer.js";
import { Table, element, facts, heading, nameOf, section, since, state } from "./dom.js";
import { size } from "./model_keys.js";
import { link } from "./router.js";

const yes = (told) => ({ true: "yes", false: "no" })[told] ?? told ?? null;

export const title = "Servers";
export const paths = ["/ui/servers"];

const columns = [
  { title: "State", cell: (s) => state(s.Healthy ? "passing" : "critical", s.Healthy ? "answers" : "silent") },
  { title: "Member", cell: (s) => [nameOf(s.Name, link("nodes", s.Name)), s.Leader ? element("strong", {}, " leader") : null] },
  { title: "Address", cell: (s) => s.Address }, { title: "Votes", cell: (s) => (s.Voter ? "yes" : "no") },
  { title: "Revision", class: "number", cell: (s) => s.LastIndex.toLocaleString("en") }];

export function show(place, context) {
  const verdict = element("div");
  const about = element("div", { class: "card" });
  const here = element("div", { class: "card" });
  const members = new Table({ label: "Members of the store's engine", columns, key: (s) => s.ID, none: "The engine was not looked at yet." });
  const servers = new Table({ label: "Agents that are servers", key: (m) => m.name, none: "No server is known, or this token does not show it.", columns: [
    { title: "State", cell: (m) => state(m.state) }, { title: "Server", cell: (m) => nameOf(m.name, link("nodes", m.name)) },
    { title: "Store", cell: (m) => m.store || "none" }, { title: "Version", cell: (m) => m.version || "–" }] });
  const stable = { members: new Stable((s) => s.ID), servers: new Stable((m) => m.name) };
  const known = { gossip: [], snapshot: null };

  const drawServers = () => known.gossip.length > 0 && servers.show(stable.servers.keep(known.gossip.filter((m) => m.Member.Tags.role === "consul").map((m) => ({
    name: m.Member.Name, state: context.catalog.nodes.get(m.Member.Name)?.state ?? (m.State === "alive" ? "passing" : "critical"), store: m.Member.Tags.rc_st,
    version: (m.Member.Tags.build || "").replace(/:.*/, "") }))));

  function drawHealth(value) {
    const list = Object.values(value.Servers);
    const lead = list.find((s) => s.Leader);
    const word = value.Healthy ? "passing" : lead ? "warning" : "critical";
    redraw(verdict, [word, lead?.Name, value.FailureTolerance], () => element("p", {}, state(word, value.Healthy ? "healthy" : lead ? "impaired" : "no leader"),
      lead ? ` ${lead.Name} leads; ${value.FailureTolerance} more member${value.FailureTolerance === 1 ? "" : "s"} may be lost.` : " Nothing can be written to the store, no lock taken, until a leader is there."));
    redraw(about, [value], () => facts([["Engine", value.Engine], ["Leader", lead ? lead.Name : "none"],
      ["Revision", Math.max(0, ...list.map((s) => s.LastIndex)).toLocaleString("en")],
      ["Size", size(value.SizeBytes)], ["Alarm", value.Alarm || "none"], ["Last snapshot", value.SnapshotMs ? [since(value.SnapshotMs), " ago"] : "never: rollcall snapshot save FILE"]]));
    members.show(stable.members.keep(list));
  }

  place.append(heading("Servers"), verdict,
    section("The store", follow(context, "/v1/operator/autopilot/state", { everyMs: 3000, needs: "operator:read", absent: "No server keeps a store here.", parts: [verdict, about, members.element] }, drawHealth), about, members.element),
    section("Servers", servers.element), section("As this agent sees the store", here));
  context.live("/v1/agent/gossip/members", {}, ({ value }) => { if (value) { known.gossip = value; drawServers(); } });
  context.onCatalog(drawServers);
  onSelf(context, ({ stats, self, server }) => self && redraw(here, [stats.store, stats.link, self], () => facts([["Agent", self],
    ["Keeps the store", server && stats.store?.engine !== "none" ? `yes, ${stats.store?.engine}` : "no: it asks a server"], ["Loaded", yes(stats.store?.loaded)], ["Knows a leader", yes(stats.store?.leader_known)], ["Age of what it knows", stats.store?.age_ms ? `${stats.store.age_ms} ms` : null],
    ["Conflict", stats.store?.conflict === "true" ? "yes: see its log" : null],
    ...Object.entries(stats.link ?? {}).map(([k, v]) => [`Link: ${k.replaceAll("_", " ")}`, typeof v === "object" ? JSON.stringify(v) : `${v}`])])));
}
