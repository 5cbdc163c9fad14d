// The pages there are, and the way to them. A page is a module that exports
//   title   a text, or title(params): what the browser's tab shows
//   name    (if it has rules of its own in style.css) its class
//   paths   the addresses it answers to, as in router.js: the first page whose path fits is shown
//   show(place, context)  fills the element `place`; what it subscribes to ends with context.signal (see app.js)
import * as nowhere from "./page_nowhere.js";
import * as overview from "./page_overview.js";
import * as service from "./page_service.js";
import * as instance from "./page_instance.js";
import * as services from "./page_services.js";

export const pages = [overview, services, service, instance];
export const lost = nowhere;

const notPassing = (records) => records.filter((record) => record.state === "warning" || record.state === "critical").length;

// faults(catalog): how many of them are not well, shown beside the label.
export const navigation = [
  { label: "Overview", to: "/ui/" },
  { label: "Services", to: "/ui/services", faults: (catalog) => notPassing(catalog.serviceList) },
];
