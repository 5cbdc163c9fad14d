"""Answers of an instance that leave open where they end, and what the client gets of each through rollcall-proxy.

One entry: name, section, the request's method, the instance's bytes, whether it closes behind them, and the verdict:

    refused               502, and the connection to the instance is not used again
    passed(body, kept)    200 with this body; `kept`: the connection may serve another request
    truncated             the client can see that something is missing
"""
from collections import namedtuple

Answer = namedtuple("Answer", "name section method bytes closes verdict")
Verdict = namedtuple("Verdict", "kind status body kept")

REFUSED = Verdict("refused", 502, None, False)
TRUNCATED = Verdict("truncated", 200, None, False)


def passed(body, kept, status=200):
    return Verdict("passed", status, body, kept)


def answer(fields, body=b"", line=b"HTTP/1.1 200 OK"):
    return line + b"\r\n" + fields + b"\r\n" + body


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
CL2, TE = b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

ANSWERS = []


def add(section, *entries):
    for name, data, verdict, *more in entries:
        ANSWERS.append(Answer(name, section, more[0] if more else "GET", data, len(more) > 1, verdict))


add("9112 6.3",
    ("CL and TE", answer(CL2 + TE, CHUNKS), passed(b"ok", False)),
    ("TE and CL that hides an answer", answer(TE + b"Content-Length: 100\r\n", CHUNKS), passed(b"ok", False)),
    ("two CL that differ", answer(CL2 + b"Content-Length: 3\r\n", b"ok!"), REFUSED),
    ("two CL that are equal", answer(CL2 + CL2, b"ok"), REFUSED),
    ("CL list", answer(b"Content-Length: 2, 2\r\n", b"ok"), REFUSED),
    ("CL with a plus", answer(b"Content-Length: +2\r\n", b"ok"), REFUSED),
    ("CL in hex", answer(b"Content-Length: 0x2\r\n", b"ok"), REFUSED),
    ("CL beyond 64 bits", answer(b"Content-Length: 18446744073709551618\r\n", b"ok"), REFUSED),
    ("CL empty", answer(b"Content-Length:\r\n", b"ok"), REFUSED),
    ("CL negative", answer(b"Content-Length: -1\r\n", b"ok"), REFUSED),
    ("TE gzip", answer(b"Transfer-Encoding: gzip\r\n", b"ok"), REFUSED),
    ("TE twice", answer(TE + TE, CHUNKS), REFUSED),
    ("TE chunked, chunked", answer(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS), REFUSED),
    ("TE in 1.0", answer(TE, CHUNKS, b"HTTP/1.0 200 OK"), REFUSED),
    ("TE with a vertical tab", answer(b"Transfer-Encoding:\x0bchunked\r\n", CHUNKS), REFUSED),
    ("204 with CL and a body", answer(CL2, b"ok", b"HTTP/1.1 204 No"), passed(b"", False, 204)),
    ("204 with TE and a body", answer(TE, CHUNKS, b"HTTP/1.1 204 No"), passed(b"", False, 204)),
    ("304 with a body", answer(CL2, b"ok", b"HTTP/1.1 304 No"), passed(b"", False, 304)),
    ("HEAD with a body", OK, passed(b"", False), "HEAD"),
    ("HEAD with chunks", answer(TE, CHUNKS), passed(b"", False), "HEAD"))

add("9112 6.3, 9.2",
    ("bytes behind the answer", OK + b"junk", passed(b"ok", False)),
    ("a second answer behind it", OK + EVIL, passed(b"ok", False)),
    ("a second answer behind chunks", answer(TE, CHUNKS) + EVIL, passed(b"ok", False)),
    ("CRLF behind the answer", OK + b"\r\n", passed(b"ok", False)),
    ("interim answer behind it", OK + b"HTTP/1.1 100 Continue\r\n\r\n", passed(b"ok", False)),
    ("close", answer(CL2 + b"Connection: close\r\n", b"ok"), passed(b"ok", False)),
    ("1.0", answer(CL2, b"ok", b"HTTP/1.0 200 OK"), passed(b"ok", False)),
    ("1.0 that stays", answer(CL2 + b"Connection: keep-alive\r\n", b"ok", b"HTTP/1.0 200 OK"), passed(b"ok", True)),
    ("until the end", answer(b"", b"ok"), passed(b"ok", False), "GET", "closes"),
    ("plain", OK, passed(b"ok", True)))

add("9112 7.1, 8",
    ("short body", answer(b"Content-Length: 9\r\n", b"ok"), TRUNCATED, "GET", "closes"),
    ("no last chunk", answer(TE, b"2\r\nok\r\n"), TRUNCATED, "GET", "closes"),
    ("half a chunk", answer(TE, b"9\r\nok"), TRUNCATED, "GET", "closes"),
    ("bad chunk size", answer(TE, b"2\r\nok\r\nxyz\r\n"), TRUNCATED, "GET", "closes"),
    ("LF behind a chunk size", answer(TE, b"2\nok\r\n0\r\n\r\n"), TRUNCATED, "GET", "closes"),
    ("LF behind data", answer(TE, b"2\r\nok\n0\r\n\r\n"), TRUNCATED, "GET", "closes"),
    ("chunk size that overflows", answer(TE, b"2\r\nok\r\nfffffffffffffffff\r\n"), TRUNCATED, "GET", "closes"),
    ("no empty line at the end", answer(TE, b"2\r\nok\r\n0\r\n"), TRUNCATED, "GET", "closes"),
    ("CL in a trailer", answer(TE, b"2\r\nok\r\n0\r\nContent-Length: 4\r\n\r\n"), TRUNCATED, "GET", "closes"),
    ("LF in an extension", answer(TE, b"2;a\nb\r\nok\r\n0\r\n\r\n"), TRUNCATED, "GET", "closes"))

add("9112 4, 5",
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", REFUSED),
    ("folded line", answer(b"X: y\r\n z\r\n" + CL2, b"ok"), REFUSED),
    ("space before the colon", answer(b"Content-Length : 2\r\n", b"ok"), REFUSED),
    ("NUL in a value", answer(b"X: \0\r\n" + CL2, b"ok"), REFUSED),
    ("bare CR in a value", answer(b"X: y\rSet-Cookie: z\r\n" + CL2, b"ok"), REFUSED),
    ("line without a colon", answer(b"evil\r\n" + CL2, b"ok"), REFUSED),
    ("name with a high byte", answer(b"X\xff: y\r\n" + CL2, b"ok"), REFUSED),
    ("control byte in the reason", answer(CL2, b"ok", b"HTTP/1.1 200 O\x01K"), REFUSED),
    ("status of two digits", answer(CL2, b"ok", b"HTTP/1.1 20 OK"), REFUSED),
    ("status of four digits", answer(CL2, b"ok", b"HTTP/1.1 2000 OK"), REFUSED),
    ("status 000", answer(CL2, b"ok", b"HTTP/1.1 000 OK"), REFUSED),
    ("status 600", answer(CL2, b"ok", b"HTTP/1.1 600 OK"), REFUSED),
    ("status with a sign", answer(CL2, b"ok", b"HTTP/1.1 +20 OK"), REFUSED),
    ("HTTP/2.0", answer(CL2, b"ok", b"HTTP/2.0 200 OK"), REFUSED),
    ("HTTP/0.9", b"ok", REFUSED, "GET", "closes"),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", REFUSED),
    ("empty line before", b"\r\n" + OK, REFUSED),
    ("head of 20 KiB", answer(b"X: " + b"y" * 20000 + b"\r\n" + CL2, b"ok"), REFUSED),
    ("200 fields", answer(b"X: y\r\n" * 200 + CL2, b"ok"), REFUSED),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le", REFUSED, "GET", "closes"))

add("9110 15.2",
    ("17 interim answers", b"HTTP/1.1 103 X\r\n\r\n" * 17 + OK, REFUSED),
    ("16 interim answers", b"HTTP/1.1 103 X\r\n\r\n" * 16 + OK, passed(b"ok", True)),
    ("interim answer with CL", b"HTTP/1.1 103 X\r\nContent-Length: 100\r\n\r\n" + OK, passed(b"ok", False)),
    ("interim answer with TE", b"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n" + OK, passed(b"ok", False)),
    ("101 that nobody asked for", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", REFUSED),
    ("101 of another protocol", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", REFUSED),
    ("199", b"HTTP/1.1 199 X\r\n\r\n" + OK, passed(b"ok", True)))
