"""Heads by a grammar and its mutations, to our parser, h11 and llhttp: every difference has a rule that explains it.

`make proxy-differential HEADS=1000000`, or `proxy_differential.py --heads 20000 --seed 7`. A head is a function of the seed
and its number, so that one is replayed by `--seed S --show N`. A rule looks at the bytes themselves, not at what our
parser said of them: a head that we refuse for a wrong reason is found, too.
"""
import argparse
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter

import h11

HERE = pathlib.Path(__file__).resolve().parent
PROBE = b"3\r\nabc\r\n0\r\n\r\n" + b"z" * 60  # behind every head: a body of any framing can be told by it

# --- generation ---

METHODS = [b"GET"] * 6 + [b"POST"] * 4 + [b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"BREW", b"get", b"M-SEARCH",
                                          b"PRI", b"TRACE", b"QUERY"]
TARGETS = [b"/"] * 5 + [b"/a/b?c=d", b"/%20", b"*", b"http://h.test/x", b"http://h.test", b"https://h.test:8443/?q", b"/a#b",
                        b"//x", b"/\xe4", b"http://u@h/", b"x", b"/" + b"a" * 300, b"/?{}|\\^`", b"h.test:80", b"http://[::1]/",
                        b"HTTP://h.test/", b"ftp://h.test/", b"http:///", b"/\"<>"]
VERSIONS = [b"HTTP/1.1"] * 14 + [b"HTTP/1.0"] * 3 + [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1", b"HTTP/1.10",
                                                     b"HTTP/11", b"HTTP/3.0", b"XTTP/1.1", b""]
HOSTS = [b"h.test"] * 8 + [b"h.test:80", b"[::1]", b"[::1]:8", b"", b"a@b", b"a b", b"a,b", b"H.TEST.", b"h:x", b"h:123456", b"%41",
                           b"%4", b"h_x", b"\xe4", b"a/b", b"[::", b"1.2.3.4", b"h:", b"xn--a"]
LENGTHS = [b"3"] * 5 + [b"0"] * 3 + [b"10", b"007", b"3, 3", b"3, 4", b"+3", b"-1", b"0x3", b"", b"3 3", b"9" * 19, b"9" * 25, b"3;", b"3\x0b",
                                     b"18446744073709551616", b"0" * 30 + b"3"]
CODINGS = [b"chunked"] * 6 + [b"CHUNKED", b"gzip, chunked", b"chunked, gzip", b"identity", b"", b"xchunked", b"chunked, chunked",
                              b"\"chunked\"", b"chunked;a", b",chunked", b"chunked,", b"gzip", b"\x0bchunked", b"chun ked"]
CONNECTIONS = [b"keep-alive"] * 3 + [b"close"] * 3 + [b"x", b"Upgrade", b"Transfer-Encoding", b"content-length", b"host", b"a b", b"", b",",
                                                      b"close, Cookie", b"te", b"X-Forwarded-For", b"upgrade, http2-settings", b"\"close\""]
EXPECTS = [b"100-continue"] * 3 + [b"100-Continue", b"200-ok", b"", b"100-continue, x"]
NAMES = [b"X", b"Accept", b"User-Agent", b"Cookie", b"TE", b"Upgrade", b"Keep-Alive", b"Trailer", b"X_Y", b"Content_Length", b"a!#$%&'*+-.^_`|~9",
         b"Via", b"Referer", b"Content-Type", b"Transfer-Encodings", b"Contentlength"]
VALUES = [b"v", b"", b"a b", b"a\tb", b"\xff\x80", b"trailers", b"websocket", b"\"q\\\"s\"", b"(c)", b"  x  ", b"a:b", b"x" * 200, b"h2c", b":",
          b"http://h/", b"=;,"]
BYTES = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"\x0b", b"\x0c", b"\x7f", b"\x01", b"\xa0", b"\xff", b",", b";", b"0", b"a", b"/",
         b"#", b"\r\n ", b"\r\n\r\n", b"\x1b", b"\"", b"@", b"%", b"?", b"[", b"\xc3\xa4", b"\r\r\n", b"\n\n", b"\\"]
SPACES = [b" "] * 12 + [b"", b"  ", b"\t", b" \t ", b"\x0b"]
LINE_ENDS = [b"\r\n"] * 60 + [b"\n", b"\r", b"\r\r\n", b"\n\r"]


def field(rng, pick):
    kind = rng.random()
    if kind < 0.10:
        name, value = b"Content-Length", pick(LENGTHS)
    elif kind < 0.20:
        name, value = b"Transfer-Encoding", pick(CODINGS)
    elif kind < 0.32:
        name, value = b"Connection", pick(CONNECTIONS)
    elif kind < 0.36:
        name, value = b"Expect", pick(EXPECTS)
    elif kind < 0.37:
        name, value = b"Host", pick(HOSTS)
    else:
        name, value = rng.choice(NAMES), rng.choice(VALUES)
    if rng.random() < 0.1:
        name = bytes(c ^ 0x20 if 65 <= (c & 0xdf) <= 90 and rng.random() < 0.5 else c for c in name)
    before = pick([b""] * 60 + [b" ", b"\t", b"\x0b"])
    return name + before + b":" + pick(SPACES) + value + rng.choice([b""] * 10 + [b" ", b"\t"])


def mutate(rng, data):
    """One to three small wounds."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at, kind = rng.randrange(len(data) + 1), rng.random()
        if kind < 0.4:
            data = data[:at] + rng.choice(BYTES) + data[at:]
        elif kind < 0.6:
            data = data[:at] + data[at + rng.randint(1, 3):]
        elif kind < 0.8:
            data = data[:at] + rng.choice(BYTES) + data[at + 1:]
        elif kind < 0.9:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        else:
            end = min(len(data), at + rng.randint(1, 30))
            data = data[:end] + data[at:end] + data[end:]
        data = data or b"\r\n"
    return data


def head(seed, number):
    rng = random.Random("%d/%d" % (seed, number))
    odd = rng.choice([0.02, 0.05, 0.5])  # how often any of a list, instead of its first, is taken

    def pick(choices):
        return rng.choice(choices) if rng.random() < odd else choices[0]

    space = pick([b" "] * 20 + [b"  ", b"\t"])
    method, target = rng.choice(METHODS[:13]) if rng.random() < 0.8 else rng.choice(METHODS), pick(TARGETS)
    lines = [method + space + (target if rng.random() < 0.6 else rng.choice(TARGETS[:8])) + pick([b" "] * 20 + [b"  "]) + pick(VERSIONS)]
    if rng.random() < 0.98:
        lines.append(rng.choice([b"Host"] * 9 + [b"hOST"]) + b": " + pick(HOSTS))
    lines += [field(rng, pick) for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 4, 6]))]
    if rng.random() < 0.002:
        lines += [b"X: y"] * rng.choice([97, 98, 99, 100, 101, 102, 130])
    if rng.random() < 0.002:
        lines.append(b"X: " + b"y" * rng.choice([8000, 16000, 16300, 17000]))
    if rng.random() < 0.001:
        lines[0] = b"GET /" + b"a" * rng.choice([8000, 8180, 8300]) + b" HTTP/1.1"
    if rng.random() < 0.1:
        rng.shuffle(lines[1:])
    end = LINE_ENDS if rng.random() < 0.25 else LINE_ENDS[:1]
    data = pick([b""] * 30 + [b"\r\n", b"\r\n\r\n", b"\n", b" "]) + b"".join(line + rng.choice(end) for line in lines) + rng.choice(end)
    if rng.random() < 0.3:
        data = mutate(rng, data)
    return data


# --- the three verdicts, as one line each ---

SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
TABLE = [chr(b) if b in SAFE else "%%%02X" % b for b in range(256)]


def escaped(data):
    return "".join([TABLE[b] for b in data])


def h11_verdict(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    try:
        connection.receive_data(data)
        event = connection.next_event()
    except h11.RemoteProtocolError as problem:
        return "no " + str(problem)
    if event is h11.NEED_DATA:
        return "more"
    if type(event) is not h11.Request:
        return "no " + repr(event)
    body, end = b"", None
    try:
        while end is None:
            piece = connection.next_event()
            if type(piece) is h11.Data:
                body += bytes(piece.data)
            elif type(piece) is h11.EndOfMessage:
                end = "done:" + escaped(body)
            else:
                end = "more:" + escaped(body)
    except h11.RemoteProtocolError:
        end = "bad"
    fields = "&".join(escaped(n) + "=" + escaped(v) for n, v in event.headers)
    minor = event.http_version.split(b".")[-1].decode()
    return " ".join(["ok", escaped(event.method), escaped(event.target), minor, end, fields, event.http_version.split(b".")[0].decode()])


def program():
    named = os.environ.get("HTTP_VERDICT")
    return named or str(HERE.parents[1] / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "tests/interop/http_verdict")


def verdicts(heads):
    """Three lists of lines."""
    with tempfile.NamedTemporaryFile(prefix="rollcall-heads-") as file:
        for data in heads:
            file.write(struct.pack(">I", len(data) + len(PROBE)) + data + PROBE)
        file.flush()
        node = subprocess.Popen(["node", "--no-warnings", str(HERE / "llhttp_verdict.js"), file.name], stdout=subprocess.PIPE)
        with open(file.name, "rb") as again:
            ours = subprocess.run([program()], stdin=again, stdout=subprocess.PIPE, check=True).stdout
        theirs = [h11_verdict(data + PROBE) for data in heads]
        said = node.communicate()[0]
        assert node.returncode == 0
    split = [ours.decode("ascii").split("\n")[:-1], theirs, said.decode("ascii").split("\n")[:-1]]
    assert all(len(lines) == len(heads) for lines in split), [len(lines) for lines in split]
    return split


# --- what explains a difference ---

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


class Facts:
    """What stands in the bytes, by another reading than our parser's: lines at LF, whatever ends them."""

    def __init__(self, data):
        self.data = data
        full = data + PROBE
        self.skipped = 2 if full.startswith(b"\r\n") else 0
        end = re.compile(rb"\n\r?\n").search(full, self.skipped)
        self.head = full[:end.end()] if end else full
        self.lines = self.head[self.skipped:].split(b"\n")
        self.first = self.lines[0].rstrip(b"\r")
        self.fields = []
        for line in self.lines[1:]:
            line = line[:-1] if line.endswith(b"\r") else line
            name, colon, value = line.partition(b":")
            if colon:
                self.fields.append((name.strip(b" \t\x0b").lower(), value.strip(b" \t")))

    def values(self, name):
        return [v for n, v in self.fields if n == name]

    def words(self):
        return self.first.split(b" ")

    def method(self):
        return self.words()[0]

    def target(self):
        words = self.words()
        return words[1] if len(words) > 1 else b""

    def version(self):
        return self.words()[-1]

    def members(self):
        return [m.strip(b" \t").lower() for v in self.values(b"connection") for m in v.split(b",")]


def has_bare_lf(f):
    # A line end that is not CRLF; or the last line of the head is not an empty one ended by CRLF.
    return re.search(rb"(?<!\r)\n", f.head) is not None


AUTHORITY = rb"(\[[0-9A-Fa-f:.]{2,}\]|([!$&'()*+,;=._~0-9A-Za-z-]|%[0-9A-Fa-f]{2})+)(:[0-9]{0,5})?"
HOST = AUTHORITY.replace(b",", b"")


def bad_host(f):
    hosts = f.values(b"host")
    return len(hosts) > 1 or (not hosts and f.version() != b"HTTP/1.0") or any(not re.fullmatch(HOST, h) for h in hosts)


def bad_target(f):
    target = f.target()
    if not re.fullmatch(rb"[\x21\x22\x24-\x7e]+", target):
        return True
    absolute = re.fullmatch(rb"(?i:https?)://(" + HOST + rb")([/?].*)?", target)
    star = target == b"*" and f.method() == b"OPTIONS"
    return not (target.startswith(b"/") or absolute or star)


def bad_request_line(f):
    return (not re.fullmatch(TOKEN + rb" [^ ]+ .*", f.first, re.S) or f.first == b"" or
            (f.method() == b"PRI" and not f.version().startswith(b"HTTP/1")))


def bad_version(f):
    rest = f.first.split(b" ", 2)
    return len(rest) < 3 or not re.fullmatch(rb"HTTP/1\.[0-9]", rest[2])


def bad_name(f):
    lines = [line[:-1] if line.endswith(b"\r") else line for line in f.lines[1:]]
    return any(line and not re.match(TOKEN + rb":", line) for line in lines)


def bad_value(f):
    lines = [line[:-1] if line.endswith(b"\r") else line for line in f.lines[1:]]
    return any(re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line) for line in lines)


def folded(f):
    return any(line[:1] in (b" ", b"\t") for line in f.lines[1:])


def bad_length(f):
    lengths = f.values(b"content-length")
    return len(lengths) > 1 or any(not re.fullmatch(rb"[0-9]{1,19}", v) or int(v) >= 1 << 63 for v in lengths)


def bad_coding(f):
    codings = f.values(b"transfer-encoding")
    return len(codings) > 1 or any(v.lower() != b"chunked" for v in codings) or (codings and f.version() == b"HTTP/1.0")


def length_and_coding(f):
    return f.values(b"content-length") and f.values(b"transfer-encoding")


RELIED_ON = {b"via", b"host", b"expect", b"cookie", b"forwarded", b"x-real-ip", b"set-cookie", b"retry-after", b"x-request-id",
             b"max-forwards", b"content-type", b"content-range", b"authorization", b"content-length", b"idempotency-key",
             b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"content-encoding", b"www-authenticate",
             b"transfer-encoding", b"x-forwarded-proto", b"sec-websocket-key"}


def bad_connection(f):
    return any((m and not re.fullmatch(TOKEN, m)) or m.replace(b"_", b"-") in RELIED_ON or
               (b"_" in m and m.replace(b"_", b"-") in (b"keep-alive", b"te")) for m in f.members()) or \
        sum(1 for m in f.members() if m) > 32


def bad_expectation(f):
    return len(f.values(b"expect")) > 1 or any(v.lower() != b"100-continue" for v in f.values(b"expect"))


def too_long(f):
    return len(f.first) >= 8190


def too_large(f):
    return len(f.head) >= 16384 or len(f.lines) > 101 or not f.head.endswith(b"\n")


# We refuse, they accept. The first column is our label; it must be true by the second, a reading of its own.
WE_REFUSE = {
    "bare_lf": (has_bare_lf, "RFC 9112 2.2 lets us; h11 takes LF for CRLF, llhttp some of them"),
    "request_line": (lambda f: bad_request_line(f) or f.data.startswith(b"\r\n\r\n") or f.data.startswith(b" "),
                     "RFC 9112 3: one space, a token, one empty line before at most; llhttp skips more"),
    "target": (bad_target, "RFC 9112 3.2, RFC 3986: forms, VCHAR only, no fragment, no user; neither looks at all of that"),
    "version": (bad_version, "RFC 9110 2.5: 1.x only; h11 takes any, llhttp 0.9 and 2.0"),
    "field_name": (bad_name, "RFC 9112 5.1: a token and a colon"),
    "field_value": (bad_value, "RFC 9110 5.5: no control bytes; h11 passes some"),
    "folded_line": (folded, "RFC 9112 5.2 lets us; h11 unfolds"),
    "host": (bad_host, "RFC 9112 3.2: one, and a valid one; h11 counts them, llhttp passes all"),
    "content_length": (bad_length, "RFC 9112 6.3: one number; h11 takes equal ones, and any size"),
    "transfer_encoding": (bad_coding, "we know chunked only, once, not in 1.0; llhttp takes lists, h11 takes it in 1.0"),
    "length_and_encoding": (length_and_coding, "RFC 9112 6.1 lets us; h11 prefers the coding"),
    "connection": (bad_connection, "RFC 9110 7.6.1: it must not name what all rely on; neither looks"),
    "expectation": (bad_expectation, "RFC 9110 10.1.1: 417; neither looks"),
    "line_too_long": (too_long, "8 KiB: RFC 9112 3 lets us"),
    "head_too_large": (too_large, "16 KiB, 100 fields: RFC 9110 5.4 lets us"),
}

KNOWN_METHODS = set()  # llhttp's, asked from node


def llhttp_methods():
    if not KNOWN_METHODS:
        said = subprocess.run(["node", "--no-warnings", "-p", "const p = process.binding('http_parser'); (p.allMethods || p.methods).join(' ')"],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
        KNOWN_METHODS.update(word.encode() for word in said.split())
    return KNOWN_METHODS


def ends_in_tab(f):
    return re.search(rb"(?im)^(content-length|transfer-encoding):[^\n]*\t[ \t]*\r\n", f.head) is not None


# They refuse, we accept: (who, pattern of what they say, a reading of the bytes, why).
THEY_REFUSE = [
    ("llhttp", r"HPE_INVALID_METHOD", lambda f: f.method() not in llhttp_methods(), "it knows a list of methods; any token is one (RFC 9110 9.1)"),
    ("llhttp", r"HPE_INVALID_CONSTANT|HPE_INVALID_METHOD|HPE_INVALID_VERSION", lambda f: f.method() in (b"PRI", b"SOURCE", b"QUERY"),
     "methods it treats apart"),
    ("llhttp", r"HPE_INVALID_VERSION", lambda f: re.fullmatch(rb"HTTP/1\.[2-9]", f.version()), "1.2 to 1.9 are served as 1.1 (RFC 9110 2.5)"),
    ("h11", r"no request line received", lambda f: f.data.startswith(b"\r\n"), "one empty line before is skipped (RFC 9112 2.2)"),
    ("h11", r"illegal request line", lambda f: f.data.startswith(b"\r\n"), "one empty line before is skipped (RFC 9112 2.2)"),
    ("llhttp", r"HPE_INVALID_CONTENT_LENGTH|HPE_INVALID_TRANSFER_ENCODING", lambda f: ends_in_tab(f),
     "a tab behind a length or coding is white space, too (RFC 9110 5.6.3)"),
]

# Both accept, and see something else: (who, what differs, a reading of the bytes, why).
THEY_SEE = [
    ("llhttp", "body", lambda f: ends_in_tab(f), "a tab behind a length or coding is white space, too (RFC 9110 5.6.3)"),
    ("llhttp", "body", lambda f: b"upgrade" in f.members() and f.values(b"upgrade"), "with Upgrade it leaves the rest to others"),
    ("both", "minor", lambda f: re.fullmatch(rb"HTTP/1\.[2-9]", f.version()), "1.2 to 1.9 are served as 1.1 (RFC 9110 2.5)"),
]


def parts(line):
    words = line.split(" ")
    # h11 hands the coding out in lower case.
    words[5] = re.sub(r"(?<![^&])transfer-encoding=[^&]*", lambda found: found.group().lower(), words[5])
    return {"method": words[1], "target": words[2], "minor": words[3], "body": words[4], "fields": words[5]}


def explain(data, who, ours, theirs):
    """The rules that explain every difference between two verdicts, or None where one is missing; [] when they agree."""
    we, they = ours.split(" ", 1)[0], theirs.split(" ", 1)[0]
    if we == they == "ok":
        mine, other = parts(ours), parts(theirs)
        used = []
        for what in mine:
            ended = [body.startswith("done:") for body in (mine["body"], other["body"])]
            if mine[what] == other[what] or (what == "body" and ended == [False, False]):
                continue  # a body that ends for nobody is passed on by nobody
            rule = next((i for i, (whose, part, reads, _) in enumerate(THEY_SEE)
                         if whose in (who, "both") and part == what and reads(Facts(data))), None)
            if rule is None:
                return None
            used.append("%s sees another %s: %s" % (who, what, THEY_SEE[rule][3]))
        return used
    if we != "ok" and they != "ok":
        return []  # who refuses, and who waits for more, passes nothing on
    if we == "no":
        label = ours.split(" ", 1)[1]
        reads, why = WE_REFUSE[label]
        return ["we refuse %s: %s" % (label, why)] if reads(Facts(data)) else None
    if we == "more":
        return ["we wait: the head has no CRLF CRLF"] if b"\r\n\r\n" not in Facts(data).head else None
    for whose, pattern, reads, why in THEY_REFUSE:
        if whose == who and re.search(pattern, theirs) and reads(Facts(data)):
            return ["%s refuses: %s" % (who, why)]
    return None


def compare(seed, start, count, tally, unexplained):
    heads = [head(seed, number) for number in range(start, start + count)]
    ours, by_h11, by_llhttp = verdicts(heads)
    for i, data in enumerate(heads):
        tally["heads"] += 1
        tally["we accept"] += ours[i].startswith("ok")
        tally["h11 accepts"] += by_h11[i].startswith("ok")
        tally["llhttp accepts"] += by_llhttp[i].startswith("ok")
        for who, theirs in (("h11", by_h11[i]), ("llhttp", by_llhttp[i])):
            rules = explain(data, who, ours[i], theirs)
            if rules is None:
                unexplained.append((start + i, who, data, ours[i], theirs))
                continue
            for rule in rules:
                tally["%s | %s" % (who, rule)] += 1


def run(seed, count, batch=20000, said=lambda text: None):
    """(tally, unexplained) of `count` heads."""
    tally, unexplained = Counter(), []
    for start in range(0, count, batch):
        compare(seed, start, min(batch, count - start), tally, unexplained)
        said("%d heads, %d unexplained" % (tally["heads"], len(unexplained)))
    return tally, unexplained


def shown(unexplained, most=10):
    return "\n".join("head %d, %s\n  %r\n  ours   %s\n  theirs %s" % (number, who, data[:400], ours[:300], theirs[:300])
                     for number, who, data, ours, theirs in unexplained[:most])


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--heads", type=int, default=20000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--show", type=int, help="print the verdicts about one head")
    chosen = options.parse_args()
    if chosen.show is not None:
        data = head(chosen.seed, chosen.show)
        print(data)
        print("\n".join(lines[0] for lines in verdicts([data])))
        return 0
    tally, unexplained = run(chosen.seed, chosen.heads, said=lambda text: print(text, flush=True))
    for what, count in sorted(tally.items(), key=lambda item: -item[1]):
        print("%9d  %s" % (count, what))
    print("%9d  unexplained" % len(unexplained))
    print(shown(unexplained))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
