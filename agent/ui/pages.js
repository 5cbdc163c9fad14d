// The pages there are, and the way to them. A page is a module that exports
//   title   a text, or title(params): what the browser's tab shows
//   name    (if it has rules of its own in style.css) its class
//   paths   the addresses it answers to, as in router.js: the first page whose path fits is shown
//   show(place, context)  fills the element `place`; what it subscribes to ends with context.signal (see app.js)
import * as gossip from "./page_gossip.js";
import * as keys from "./page_keys.js";
import * as map from "./page_map.js";
import * as node from "./page_node.js";
import * as nodes from "./page_nodes.js";
import * as nowhere from "./page_nowhere.js";
import * as overview from "./page_overview.js";
import * as postgres from "./page_postgres.js";
import * as servers from "./page_servers.js";
import * as sessions from "./page_sessions.js";
import * as settings from "./page_settings.js";
import * as tokens from "./page_tokens.js";
import * as service from "./page_service.js";
import * as instance from "./page_instance.js";
import * as services from "./page_services.js";

export const pages = [overview, services, service, instance, nodes, node, map, keys, sessions, postgres, tokens, servers, gossip, settings];
export const lost = nowhere;

const notPassing = (records) => records.filter((record) => record.state === "warning" || record.state === "critical").length;

// faults(catalog): how many of them are not well, shown beside the label.
export const navigation = [
  { label: "Overview", to: "/ui/" },
  { label: "Services", to: "/ui/services", faults: (catalog) => notPassing(catalog.serviceList) },
  { label: "Nodes", to: "/ui/nodes", faults: (catalog) => notPassing(catalog.nodeList) },
  { label: "Map", to: "/ui/map" },
  { label: "PostgreSQL", to: "/ui/postgres" },
  { label: "Keys", to: "/ui/kv" },
  { label: "Sessions", to: "/ui/sessions" },
  { label: "Servers", to: "/ui/servers" },
  { label: "Gossip", to: "/ui/gossip" },
  { label: "Tokens", to: "/ui/tokens" },
  { label: "Settings", to: "/ui/settings" },
];
