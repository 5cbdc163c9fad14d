// Keys and values: folders, what a value is, and how it is written for people. Pure.

export const TEXT_MAX = 64 * 1024;   // characters shown of a text
export const HEX_MAX = 4 * 1024;     // bytes shown of anything else
export const VALUE_MAX = 512 * 1024; // the API takes no more

// Slashes too: the API cleans a path with two of them.
export const path = (key) => `/v1/kv/${encodeURIComponent(key)}`;

export function parent(key) {
  const end = key.endsWith("/") ? key.length - 1 : key.length;
  const at = key.lastIndexOf("/", end - 1);
  return at < 0 ? "" : key.slice(0, at + 1);
}

// [{name, path}] from the root to `key`, for a trail of links.
export function trail(key) {
  const out = [];
  for (let at = key.indexOf("/"); at >= 0; at = key.indexOf("/", at + 1)) {
    out.push({ name: key.slice(out.length > 0 ? out[out.length - 1].path.length : 0, at + 1), path: key.slice(0, at + 1) });
  }
  if (!key.endsWith("/") && key !== "") out.push({ name: key.slice(out.length > 0 ? out[out.length - 1].path.length : 0), path: key });
  return out;
}

// Of `?keys&separator=/` below `prefix`: folders first, each with the name to be shown.
export function children(keys, prefix) {
  return keys.filter((key) => key !== prefix)
    .map((key) => ({ key, name: key.slice(prefix.length), folder: key.endsWith("/") }))
    .sort((a, b) => b.folder - a.folder || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export function bytesOf(base64) {
  return base64 ? Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)) : new Uint8Array(0);
}

function textOf(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    // eslint-disable-next-line no-control-regex
    return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

// {kind: "empty" | "json" | "text" | "binary", text?}: binary is what is no UTF-8 or has control characters.
export function valueOf(bytes) {
  if (bytes.length === 0) return { kind: "empty", text: "" };
  const text = textOf(bytes);
  if (text === null) return { kind: "binary" };
  if (/^\s*[[{]/.test(text) && text.length <= TEXT_MAX) {
    try {
      return { kind: "json", text, pretty: JSON.stringify(JSON.parse(text), null, 2) };
    } catch {
      // Looks like it, but is none: a text.
    }
  }
  return { kind: "text", text };
}

// "00000000  52 6f 6c 6c  63 61 ..  |Roll|", 16 bytes a line.
export function hex(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, HEX_MAX); at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const digits = row.map((b, i) => (i === 8 ? " " : "") + b.toString(16).padStart(2, "0")).join(" ");
    const signs = row.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : "·")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(48)}  ${signs}`);
  }
  return lines.join("\n");
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1 << 20) return `${(bytes / 1024).toFixed(1)} kB`;
  if (bytes < 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MB`;
  return `${(bytes / 2 ** 30).toFixed(1)} GB`;
}

// What the API would refuse of a key's name, in its words; "" when it is fine.
export function fault(key) {
  if (key === "") return "A key needs a name.";
  if (new TextEncoder().encode(key).length > 4096) return "A key has at most 4096 bytes.";
  if (key.startsWith("/")) return "A key does not begin with a '/'.";
  if (/\/\//.test(key)) return "Two slashes side by side would be taken for one.";
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(key)) return "A key has no control characters.";
  return key.split("/").some((part) => part === "." || part === "..") ? "'.' and '..' are no parts of a key." : "";
}
