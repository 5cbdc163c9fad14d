// From addresses to pages and back. Pure; app.js holds it against the browser's history.

// A name may be anything, but browsers and agents fold "." and "..", and empty segments: such names get a "~" before them. Where that
// happens within a name, or where it has control characters, it is encoded twice, behind "~=".
function encode(name) {
  const text = String(name);
  const parts = text.split("/");
  const isFolded = parts.length > 1 && parts.some((part) => /^\.{0,2}$/.test(part));
  if (isFolded || /[\u0000-\u001f\u007f]/.test(text)) return `~=${encodeURIComponent(encodeURIComponent(text))}`;
  return encodeURIComponent(/^$|^\.{1,2}$|^~/.test(text) ? `~${text}` : text);
}

function decode(segment) {
  try {
    const text = decodeURIComponent(segment);
    if (text.startsWith("~=")) return decodeURIComponent(text.slice(2));
    return text.startsWith("~") ? text.slice(1) : text;
  } catch {
    return segment; // not percent-encoded text: as it stands
  }
}

// link("services", "web") is "/ui/services/web"; names may hold anything.
export function link(...names) {
  return `/ui/${names.map(encode).join("/")}`;
}

// The same with a query: { q: "state:critical" }. Empty values are left out.
export function withQuery(path, values) {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length > 0 ? `${path}?${new URLSearchParams(kept)}` : path;
}

const split = (path) => path.replace(/^\/ui\/?/, "").replace(/\/$/, "").split("/");

// What `path` gives to the names of `pattern`, or null: "/ui/services/:service", and "/ui/kv/*key" for all that follows.
export function match(pattern, path) {
  const parts = split(pattern);
  const segments = split(path);
  const params = {};
  for (let i = 0; i < parts.length; i++) {
    if (parts[i].startsWith("*")) {
      params[parts[i].slice(1)] = segments.slice(i).map(decode).join("/");
      return params;
    }
    if (i >= segments.length) return null;
    if (parts[i].startsWith(":")) params[parts[i].slice(1)] = decode(segments[i]);
    else if (parts[i] !== segments[i]) return null;
  }
  return parts.length === segments.length ? params : null;
}

// The first page one of whose paths fits: { page, params }, or null.
export function find(pages, path) {
  for (const page of pages) {
    for (const pattern of page.paths) {
      const params = match(pattern, path);
      if (params !== null) return { page, params };
    }
  }
  return null;
}
