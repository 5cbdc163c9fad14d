// Tokens, roles and policies, where they are in use: who may do what. Secrets are never asked for, so never shown.
import { Stable, follow } from "./answer.js";
import { Table, element, heading, nameOf, section } from "./dom.js";

export const title = "Tokens";
export const paths = ["/ui/tokens"];

const NEEDS = { needs: "acl:read", everyMs: 10000 };
const names = (links, of = (l) => l.Name) => (links || []).map((l, i) => [i > 0 ? ", " : null, element("bdi", {}, of(l))]);

function grants(o) {
  const parts = [["policies ", names(o.Policies)], ["roles ", names(o.Roles)], ["services ", names(o.ServiceIdentities, (i) => i.ServiceName)],
    ["nodes ", names(o.NodeIdentities, (i) => i.NodeName)]].filter(([, list]) => list.length > 0);
  return parts.length > 0 ? parts.map(([word, list]) => element("div", {}, element("span", { class: "faint" }, word), list)) : element("span", { class: "faint" }, "nothing of its own");
}

const when = (text) => (text ? element("time", { datetime: text }, new Date(text).toLocaleString()) : "–");

const tokens = [
  { title: "Token", cell: (t) => [nameOf(t.Description || "(no description)"), element("code", { class: "faint small" }, ` ${t.AccessorID}`)] },
  { title: "May", cell: grants }, { title: "Created", cell: (t) => when(t.CreateTime) },
  { title: "Ends", cell: (t) => (t.ExpirationTime ? when(t.ExpirationTime) : "never") }];
const roles = [{ title: "Role", cell: (r) => nameOf(r.Name) }, { title: "Description", cell: (r) => element("bdi", {}, r.Description || "–") }, { title: "May", cell: grants }];
const policies = [{ title: "Policy", cell: (p) => nameOf(p.Name) }, { title: "Description", cell: (p) => element("bdi", {}, p.Description || "–") },
  { title: "ID", cell: (p) => element("code", { class: "faint small" }, p.ID) }];

export function show(place, context) {
  const part = (name, path, columns, key) => {
    const stable = new Stable((o) => o[key]);
    const table = new Table({ label: name, columns, key: (o) => o[key], none: "There are none." });
    const note = follow(context, path, { ...NEEDS, parts: [table.element] }, (value) => table.show(stable.keep(value)));
    return section(name, note, table.element);
  };
  place.append(heading("Tokens"), element("p", { class: "faint" }, "Tokens are made and changed with ", element("code", {}, "rollcall acl"), "; ",
    element("code", {}, "rollcall acl explain"), " says why a request is refused. The page never asks for secrets."),
  part("Tokens", "/v1/acl/tokens", tokens, "AccessorID"), part("Roles", "/v1/acl/roles", roles, "ID"), part("Policies", "/v1/acl/policies", policies, "ID"));
}
