// Sessions, and what is locked under them: by whom, under which term, and when it would end.
import { button, identify } from "./actions.js";
import { Stable, follow } from "./answer.js";
import { Table, element, heading, nameOf, section } from "./dom.js";
import { destroySession } from "./model_actions.js";
import { placeOfKey } from "./page_keys.js";
import { sessionColumns, ttlOf } from "./page_node.js";
import { link } from "./router.js";

export const title = "Sessions and locks";
export const paths = ["/ui/sessions"];

const ABSENT = "No server keeps a store here: there are no sessions.";

export function show(place, context) {
  const known = { sessions: [], locks: [] };
  const identity = identify(context);
  const heldBy = (id) => known.locks.filter((lock) => lock.Session === id);
  const stable = { sessions: new Stable((s) => s.ID), locks: new Stable((l) => l.Key) };
  const sessions = new Table({ label: "Sessions", key: (s) => s.ID, none: "There is no session.", columns: [...sessionColumns.slice(0, 1),
    { title: "Node", cell: (s) => nameOf(s.Node, link("nodes", s.Node)) },
    { title: "Holds", cell: (s) => [s.held.length === 0 ? "nothing" : s.held.slice(0, 5).map((key, i) => [i > 0 ? ", " : null, nameOf(key, placeOfKey(key))]),
      s.held.length > 5 ? ` and ${s.held.length - 5} more` : null] },
    ...sessionColumns.slice(1), { title: "End it", class: "keep", cell: (s) => button(context, identity, "Destroy …", () => destroySession(s, heldBy(s.ID)), { danger: true }) }] });
  const locks = new Table({ label: "Locked keys", key: (l) => l.Key, none: "Nothing is locked.", columns: [
    { title: "Key", cell: (l) => nameOf(l.Key, placeOfKey(l.Key)) },
    { title: "Holder", cell: (l) => (l.about ? nameOf(l.about.Name || l.Session) : element("code", { class: "small" }, l.Session)) },
    { title: "Node", cell: (l) => (l.about ? nameOf(l.about.Node, link("nodes", l.about.Node)) : "–") },
    { title: "Term", class: "number", cell: (l) => `${l.Term ?? "–"}` },
    { title: "Lease", cell: (l) => (l.about ? ttlOf(l.about.TTL) : "–") },
    { title: "Taken so far", class: "number", cell: (l) => `${l.LockIndex}` }] });

  function draw() {
    const byId = new Map(known.sessions.map((s) => [s.ID, s]));
    sessions.show(stable.sessions.keep(known.sessions.map((s) => ({ ...s, held: heldBy(s.ID).map((l) => l.Key) }))));
    locks.show(stable.locks.keep(known.locks.map(({ Key, Session, Term, LockIndex }) => ({ Key, Session, Term, LockIndex, about: byId.get(Session) ?? null }))));
  }

  place.append(heading("Sessions and locks"),
    element("p", { class: "faint" }, "A program keeps a session by renewing it within its TTL; its locks are free again when it ends. A term grows with every new holder."),
    section("Locks", follow(context, "/v1/internal/ui/locks", { needs: "key:read", absent: ABSENT, parts: [locks.element] }, (value) => { known.locks = value; draw(); }), locks.element),
    section("Sessions", follow(context, "/v1/session/list", { needs: "session:read", absent: ABSENT, parts: [sessions.element] }, (value) => { known.sessions = value; draw(); }), sessions.element));
}
