// What one question answers, shown in one place; and in words, why there is no answer. Several pages are made of such parts.
import { element, say } from "./dom.js";

// needs: what a token must allow; absent: what it means that there is nothing of the kind.
export function troubleOf(error, { needs = "", absent = "" } = {}) {
  if (error.kind === "refused") {
    const off = /ACL support disabled/.test(error.message);
    return off ? "Tokens are not in use here." : `This may not be seen${needs ? `: it needs a token with ${needs}` : ""}.`;
  }
  if (error.kind === "absent") return absent || "There is nothing of the kind at this agent.";
  if (error.kind === "lost") return "";
  return /No cluster leader/.test(error.message) ? "The store has no leader at the moment: what it keeps cannot be read."
    : `The agent answers: ${error.message}.`;
}

// Asks `path` for as long as the page is shown. draw(value) fills what is its own; the element that is returned tells, besides,
// why there is nothing, or that it is old. `parts` are seen only while there is an answer: what is not known is not "none".
export function follow(context, path, { everyMs = 0, needs, absent, parts = [], failed }, draw) {
  const note = element("p", { class: "empty", role: "status" }, "Asking …");
  const reveal = (seen) => parts.forEach((part) => { part.hidden = !seen; });
  reveal(false);
  context.live(path, { everyMs }, ({ value, error, filtered }) => {
    const nothing = filtered && Array.isArray(value) && value.length === 0;
    const text = error ? troubleOf(error, { needs, absent }) : nothing ? `Nothing of it is shown to this token, or without one${needs ? `: it takes ${needs}` : ""}.`
      : filtered ? "A part is left out: the token, or none, does not show it." : "";
    if (value !== undefined || error) {
      say(note, value !== undefined && error && text ? `${text} What is shown is what was last heard.` : text);
      note.hidden = text === "";
    }
    if (value !== undefined && value !== null && (!error || error.kind === "lost")) {
      reveal(!nothing);
      draw(value);
    } else if (error && error.kind !== "lost") {
      reveal(false);
      failed?.(error);
    }
  });
  return note;
}

// Items of which those that say the same stay the same object, so that what is drawn of them stays too.
export class Stable {
  constructor(keyOf) {
    Object.assign(this, { keyOf, known: new Map() });
  }

  keep(items) {
    const next = new Map();
    const out = items.map((item) => {
      const text = JSON.stringify(item);
      const key = this.keyOf(item);
      const before = this.known.get(key);
      const kept = before && before.text === text ? before : { text, item };
      next.set(key, kept);
      return kept.item;
    });
    this.known = next;
    return out;
  }
}

const drawn = new WeakMap();

// Fills `place` anew only when `what` is not as it was: the focus and what is unfolded stay.
export function redraw(place, what, make) {
  const text = JSON.stringify(what);
  if (drawn.get(place) === text) return;
  drawn.set(place, text);
  place.replaceChildren(...[make()].flat());
}

// What this agent says of itself: told as {self, acl, config, ...} at once and when it changes. Who may not ask it knows that
// tokens are in use.
export function onSelf(context, listener) {
  context.live("/v1/agent/self", { everyMs: 30000 }, ({ value, error }) => { // as app.js asks it: one question
    if (value) {
      listener({ self: value.Config.NodeName, acl: value.Stats?.consul?.acl === "enabled", server: value.Config.Server, datacenter: value.Config.Datacenter,
        settings: value.DebugConfig ?? {}, stats: value.Stats ?? {}, version: value.Config.Version });
    } else if (error && error.kind === "refused") {
      listener({ self: "", acl: true, server: false, datacenter: "", settings: {}, stats: {}, version: "" });
    }
  });
}

// A command as a shell takes it, with a button that copies it.
export function command(text) {
  const button = element("button", { type: "button", class: "copy", on: { click: () => copy() } }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      say(button, "Copied");
    } catch {
      say(button, "Select it by hand"); // not over plain http from another machine
    }
  }
  return element("div", { class: "command" }, element("code", {}, text), button);
}
