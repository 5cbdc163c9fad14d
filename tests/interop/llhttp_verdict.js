// llhttp_verdict.js - what llhttp, as Node carries it, makes of each head: as http_verdict.c, and "no CODE".
"use strict";
process.removeAllListeners("warning");
process.on("warning", () => {});
const { HTTPParser } = process.binding("http_parser");
const fs = require("fs");

function escaped(buffer) {
  let out = "";
  for (const byte of buffer) {
    const char = String.fromCharCode(byte);
    out += /[A-Za-z0-9\-._~/]/.test(char) ? char : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return out;
}
const text = (string) => escaped(Buffer.from(string, "latin1"));

function judge(bytes) {
  const parser = new HTTPParser();
  let head = null, fields = [], url = "", body = [], done = false;
  parser.initialize(HTTPParser.REQUEST, {}, 65536);
  parser[HTTPParser.kOnHeaders] = (some, part) => { fields.push(...some); url += part; };
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, some, method, target, status, reason, upgrade) => {
    if (head) { return; }
    if (some) { fields.push(...some); }
    head = { major, minor, method: HTTPParser.methods ? HTTPParser.methods[method] : method, url: url + (target || ""), upgrade };
  };
  parser[HTTPParser.kOnBody] = (piece) => { if (!done) { body.push(Buffer.from(piece)); } };
  parser[HTTPParser.kOnMessageComplete] = () => { if (head && !done) { done = true; head.fields = fields; fields = []; } };
  const result = parser.execute(bytes);
  const failed = typeof result !== "number";
  if (!head) { return failed ? "no " + result.code : "more"; }
  head.fields = head.fields || fields;
  const pairs = [];
  for (let i = 0; i < head.fields.length; i += 2) {
    pairs.push(text(head.fields[i].toLowerCase()) + "=" + text(head.fields[i + 1]));
  }
  const end = done ? "done:" : failed ? "bad" : "more:";
  return ["ok", text(methods[head.method] || (head.method === 34 ? "PRI" : String(head.method))), text(head.url), head.minor,
    head.upgrade ? "upgrade" : end + (end === "bad" ? "" : escaped(Buffer.concat(body))), pairs.join("&"),
    head.major].join(" ");
}

const methods = process.binding("http_parser").allMethods || process.binding("http_parser").methods;
const input = fs.readFileSync(process.argv[2]);
let at = 0, lines = [];
while (at < input.length) {
  const size = input.readUInt32BE(at);
  lines.push(judge(input.subarray(at + 4, at + 4 + size)));
  at += 4 + size;
  if (lines.length === 5000) { fs.writeSync(1, lines.join("\n") + "\n"); lines = []; }
}
if (lines.length) { fs.writeSync(1, lines.join("\n") + "\n"); }
