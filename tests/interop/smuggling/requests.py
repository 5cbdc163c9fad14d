"""Requests that two parsers may read in two ways, and what rollcall-proxy makes of each.

One entry: its name, the section that makes it wrong or ambiguous (9112 and 9110 are RFCs; E7633 is the erratum about bare
LF in chunks), the bytes, and the verdict:

    refuse(status)        answered so and the connection closed; not a byte of it reaches the instance
    cut(status)           its head was sound and may have gone on; its body is refused, and never completed at the instance
    forward(seen, ...)    the instance gets exactly these requests, "METHOD target|framing|body" each; `gone` are field
                          names that must not arrive, `status` what the client reads for each (200), `closes`: no more
                          requests are taken on that connection
    own(status)           answered by the proxy, the connection goes on; nothing reaches the instance

Written for this suite; the classes are known from the literature, the bytes are ours.
"""
from collections import namedtuple

Payload = namedtuple("Payload", "name section bytes verdict")
Verdict = namedtuple("Verdict", "kind status seen gone closes")

HOST = b"Host: app.test\r\n"
EVIL = b"GET /evil HTTP/1.1\r\nHost: app.test\r\n\r\n"


def refuse(status=400):
    return Verdict("refuse", status, (), (), True)


def cut(status=400):
    return Verdict("cut", status, (), (), True)


def own(status):
    return Verdict("own", status, (), (), False)


def forward(*seen, gone=(), status=200, closes=False):
    return Verdict("forward", status, seen, gone, closes)


def post(fields, body=b""):
    return b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def get(fields=b"", line=b"GET / HTTP/1.1", host=HOST):
    return line + b"\r\n" + host + fields + b"\r\n"


TE, CL5 = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"
END = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"

PAYLOADS = []


def add(section, *entries):
    PAYLOADS.extend(Payload(name, section, data, verdict) for name, data, verdict in entries)


def length(value):
    return post(b"Content-Length: " + value + b"\r\n", b"hello" + EVIL)


def coded(line, body=HELLO + EVIL):
    """A Transfer-Encoding line beside no length: who overlooks it sees no body."""
    return post(line + b"\r\n", body)


def both(line):
    """The same beside a Content-Length: who overlooks it takes the length."""
    return post(b"Content-Length: 4\r\n" + line + b"\r\n", b"5b\r\n" + EVIL + END)


def chunks(body):
    return post(TE, body)


add("9112 6.3",
    ("CL.TE", post(b"Content-Length: 6\r\n" + TE, b"0\r\n\r\nG"), refuse()),
    ("TE.CL", post(TE + b"Content-Length: 4\r\n", b"5c\r\n" + EVIL + END), refuse()),
    ("CL.TE with an empty length", post(b"Content-Length:\r\n" + TE, END + EVIL), refuse()),
    ("CL 0 and TE", post(b"Content-Length: 0\r\n" + TE, HELLO), refuse()),
    ("TE in another case and CL", post(CL5 + b"tRANSFER-eNCODING: CHUNKED\r\n", HELLO), refuse()),
    ("GET with CL and TE", get(CL5 + TE) + HELLO, refuse()),
    ("HEAD with CL and TE", get(CL5 + TE, b"HEAD / HTTP/1.1") + HELLO, refuse()),
    ("two CL that differ", post(CL5 + b"Content-Length: 6\r\n", b"helloX"), refuse()),
    ("two CL that are equal", post(CL5 + CL5, b"hello"), refuse()),
    ("two CL in other cases", post(CL5 + b"CONTENT-LENGTH: 5\r\n", b"hello"), refuse()),
    ("CL list that differs", length(b"5, 6"), refuse()),
    ("CL list that is equal", length(b"5, 5"), refuse()),
    ("CL list with an empty member", length(b"5,"), refuse()),
    ("CL beyond 64 bits", length(b"18446744073709551621"), refuse()),
    ("CL beyond 63 bits", length(b"9223372036854775808"), refuse()),
    ("CL of 100 digits", length(b"0" * 99 + b"5"), refuse()))

add("9110 8.6",
    ("CL with a plus", length(b"+5"), refuse()), ("CL with a minus", length(b"-5"), refuse()),
    ("CL minus zero", length(b"-0"), refuse()), ("CL in hex", length(b"0x5"), refuse()),
    ("CL in hex without 0x", length(b"a"), refuse()), ("CL with a point", length(b"5.0"), refuse()),
    ("CL with an exponent", length(b"5e0"), refuse()), ("CL with an underscore", length(b"0_5"), refuse()),
    ("CL with a parameter", length(b"5;a=b"), refuse()), ("CL in quotes", length(b"\"5\""), refuse()),
    ("CL with a space inside", length(b"1 5"), refuse()), ("CL with a tab inside", length(b"1\t5"), refuse()),
    ("CL with a vertical tab", length(b"5\x0b"), refuse()), ("CL with a form feed before", length(b"\x0c5"), refuse()),
    ("CL with NUL", length(b"5\0"), refuse()), ("CL with a high byte", length(b"5\xa0"), refuse()),
    ("CL in full-width digits", length("５".encode()), refuse()), ("CL empty", length(b""), refuse()),
    ("CL with letters", length(b"five"), refuse()),
    ("CL with leading zeros", post(b"Content-Length: 0005\r\n", b"hello"), forward("POST /|length|hello")),
    ("CL with spaces around", post(b"Content-Length:\t 5 \t\r\n", b"hello"), forward("POST /|length|hello")))

add("9112 6.1",
    ("TE twice", post(TE + TE, HELLO), refuse()),
    ("TE chunked, then identity", post(TE + b"Transfer-Encoding: identity\r\n", HELLO), refuse()),
    ("TE identity, then chunked", post(b"Transfer-Encoding: identity\r\n" + TE, HELLO), refuse(501)),
    ("TE identity", both(b"Transfer-Encoding: identity"), refuse(501)),
    ("TE chunked, chunked", coded(b"Transfer-Encoding: chunked, chunked"), refuse(501)),
    ("TE chunked, identity", coded(b"Transfer-Encoding: chunked, identity"), refuse(501)),
    ("TE gzip, chunked", coded(b"Transfer-Encoding: gzip, chunked"), refuse(501)),
    ("TE chunked, gzip", coded(b"Transfer-Encoding: chunked, gzip"), refuse(501)),
    ("TE with an empty member before", both(b"Transfer-Encoding: ,chunked"), refuse(501)),
    ("TE with an empty member behind", both(b"Transfer-Encoding: chunked,"), refuse(501)),
    ("TE with a parameter", both(b"Transfer-Encoding: chunked;q=1"), refuse(501)),
    ("TE in quotes", both(b"Transfer-Encoding: \"chunked\""), refuse(501)),
    ("TE in single quotes", both(b"Transfer-Encoding: 'chunked'"), refuse(501)),
    ("TE xchunked", both(b"Transfer-Encoding: xchunked"), refuse(501)),
    ("TE chunkedx", both(b"Transfer-Encoding: chunkedx"), refuse(501)),
    ("TE chunke", both(b"Transfer-Encoding: chunke"), refuse(501)),
    ("TE of two words", both(b"Transfer-Encoding: chunked x"), refuse(501)),
    ("TE empty", both(b"Transfer-Encoding:"), refuse()),
    ("TE with a vertical tab", both(b"Transfer-Encoding:\x0bchunked"), refuse()),
    ("TE with a form feed", both(b"Transfer-Encoding: \x0cchunked"), refuse()),
    ("TE with NUL behind", both(b"Transfer-Encoding: chunked\0"), refuse()),
    ("TE with a backspace", both(b"Transfer-Encoding: chunkedd\x08"), refuse()),
    ("TE with DEL", both(b"Transfer-Encoding: chunked\x7f"), refuse()),
    ("TE with a high byte", both(b"Transfer-Encoding: chunked\xa0"), refuse(501)),
    ("TE with a Kelvin sign", both("Transfer-Encoding: chun\u212aed".encode()), refuse(501)),
    ("TE with a bare CR before", both(b"Transfer-Encoding: \rchunked"), refuse()),
    ("TE with a bare CR behind", both(b"Transfer-Encoding: chunked\r"), refuse()),
    ("TE behind a bare CR", both(b"X: y\rTransfer-Encoding: chunked"), refuse()),
    ("TE behind a bare LF", both(b"X: y\nTransfer-Encoding: chunked"), refuse()),
    ("TE behind CR CR LF", both(b"X: y\r\r\nTransfer-Encoding: chunked"), refuse()),
    ("TE behind NUL", both(b"X: y\0Transfer-Encoding: chunked"), refuse()),
    ("TE spelled with an underscore", post(CL5 + b"Transfer_Encoding: chunked\r\n", b"hello"),
     forward("POST /|length|hello", gone=("transfer_encoding", "transfer-encoding"))),
    ("TE with spaces around", coded(b"Transfer-Encoding: \t chunked \t", HELLO), forward("POST /|chunked|hello")),
    ("TE without a space", coded(b"Transfer-Encoding:chunked", HELLO), forward("POST /|chunked|hello")),
    ("TE in capitals", coded(b"TRANSFER-ENCODING: CHUNKED", HELLO), forward("POST /|chunked|hello")),
    ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + TE + b"\r\n" + HELLO, refuse()),
    ("TE and CL in HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + CL5 + TE + b"\r\n" + HELLO, refuse()),
    ("TE on GET", get(TE) + HELLO, forward("GET /|chunked|hello")),
    ("TE on OPTIONS *", get(TE, b"OPTIONS * HTTP/1.1") + HELLO, forward("OPTIONS *|chunked|hello")))

add("9112 5.1",
    ("space before the colon of TE", both(b"Transfer-Encoding : chunked"), refuse()),
    ("tab before the colon of TE", both(b"Transfer-Encoding\t: chunked"), refuse()),
    ("vertical tab before the colon of TE", both(b"Transfer-Encoding\x0b: chunked"), refuse()),
    ("space before the colon of CL", post(b"Content-Length : 5\r\n", b"hello"), refuse()),
    ("high byte in the name of CL", post(b"Content-Length\xa0: 5\r\n", b"hello"), refuse()),
    ("NUL in the name of TE", both(b"Transfer\0-Encoding: chunked"), refuse()),
    ("space in a name", get(b"X Y: z\r\n"), refuse()), ("empty name", get(b": z\r\n"), refuse()),
    ("line without a colon", get(b"Transfer-Encoding\r\n"), refuse()),
    ("colon in front", get(b":Transfer-Encoding: chunked\r\n"), refuse()),
    ("name in brackets", get(b"[X]: z\r\n"), refuse()), ("name with a high byte", get(b"X-\xff: z\r\n"), refuse()),
    ("name in UTF-8", get("Ｘ: z\r\n".encode()), refuse()), ("name with DEL", get(b"X\x7f: z\r\n"), refuse()),
    ("name with a slash", get(b"X/Y: z\r\n"), refuse()),
    ("name with a quote", get(b"X\"Y: z\r\n"), refuse()),
    ("very long name", get(b"X" * 20000 + b": z\r\n"), refuse(431)),
    ("very long value", get(b"X: " + b"z" * 20000 + b"\r\n"), refuse(431)),
    ("101 lines", get(b"X: y\r\n" * 100), refuse(431)))

add("9112 5.2",
    ("folded TE", post(b"Content-Length: 4\r\nTransfer-Encoding:\r\n chunked\r\n", b"5b\r\n" + EVIL + END), refuse()),
    ("folded with a tab", post(b"Content-Length: 4\r\nTransfer-Encoding:\r\n\tchunked\r\n", b"5b\r\n" + EVIL), refuse()),
    ("TE folded away", post(CL5 + b"X: y\r\n Transfer-Encoding: chunked\r\n", b"hello"), refuse()),
    ("first line folded", b"GET / HTTP/1.1\r\n Host: app.test\r\n\r\n", refuse()),
    ("line of a space only", get(b" \r\nX: y\r\n"), refuse()),
    ("line of a tab only", get(b"\t\r\n"), refuse()),
    ("folded CL", post(b"Content-Length:\r\n 5\r\n", b"hello"), refuse()))

add("9112 2.2",
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: app.test\n\n", refuse()),
    ("bare LF behind the request line", b"GET / HTTP/1.1\nHost: app.test\r\n\r\n", refuse()),
    ("bare LF behind a field", b"GET / HTTP/1.1\r\nHost: app.test\nX: y\r\n\r\n", refuse()),
    ("bare LF at the end", b"GET / HTTP/1.1\r\nHost: app.test\r\n\n", refuse()),
    ("LF CR LF at the end", b"GET / HTTP/1.1\r\nHost: app.test\n\r\n", refuse()),
    ("bare CR at the end", b"GET / HTTP/1.1\r\nHost: app.test\r\n\r" + EVIL, refuse()),
    ("bare CR in the request line", b"GET /\rx HTTP/1.1\r\n" + HOST + b"\r\n", refuse()),
    ("CR CR LF behind the request line", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n", refuse()),
    ("bare CR in a value", get(b"X: y\rz\r\n"), refuse()), ("NUL in a value", get(b"X: y\0z\r\n"), refuse()),
    ("control byte in a value", get(b"X: y\x01z\r\n"), refuse()),
    ("escape in a value", get(b"X: y\x1bz\r\n"), refuse()), ("DEL in a value", get(b"X: y\x7fz\r\n"), refuse()),
    ("high bytes in a value", get(b"X: \xff\x80z\r\n"), forward("GET /|none|")),
    ("one empty line before", b"\r\n" + get(), forward("GET /|none|")),
    ("two empty lines before", b"\r\n\r\n" + get(), refuse()),
    ("bare LF before", b"\n" + get(), refuse()), ("space before the method", b" " + get(), refuse()),
    ("NUL before the method", b"\0" + get(), refuse()), ("CR before the method", b"\r" + get(), refuse()))

add("9112 3",
    ("two spaces", get(line=b"GET  / HTTP/1.1"), refuse()), ("tab for a space", get(line=b"GET\t/ HTTP/1.1"), refuse()),
    ("two spaces before the version", get(line=b"GET /  HTTP/1.1"), refuse()),
    ("space behind the version", get(line=b"GET / HTTP/1.1 "), refuse()),
    ("two versions", get(line=b"GET / HTTP/1.1 HTTP/1.1"), refuse()),
    ("space in the target", get(line=b"GET /a b HTTP/1.1"), refuse()),
    ("no target", get(line=b"GET HTTP/1.1"), refuse()), ("empty target", get(line=b"GET  HTTP/1.1"), refuse()),
    ("high byte in the target", get(line=b"GET /\xe4 HTTP/1.1"), refuse()),
    ("NUL in the target", get(line=b"GET /\0 HTTP/1.1"), refuse()),
    ("control byte in the target", get(line=b"GET /\x0b HTTP/1.1"), refuse()),
    ("fragment in the target", get(line=b"GET /a#b HTTP/1.1"), refuse()),
    ("target of a word", get(line=b"GET foo HTTP/1.1"), refuse()),
    ("high byte in the method", get(line=b"G\xc9T / HTTP/1.1"), refuse()),
    ("NUL in the method", get(line=b"GET\0 / HTTP/1.1"), refuse()),
    ("method with a colon", get(line=b"GET: / HTTP/1.1"), refuse()),
    ("star without OPTIONS", get(line=b"GET * HTTP/1.1"), refuse()),
    ("request line of 9000", get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"), refuse(414)),
    ("lower-case method", get(line=b"get / HTTP/1.1"), forward("get /|none|")),
    ("two slashes", get(line=b"GET //evil.test/ HTTP/1.1"), forward("GET //evil.test/|none|")),
    ("request hidden in a target", get(line=b"GET /?HTTP/1.1%0d%0aX:%20y HTTP/1.1"),
     forward("GET /?HTTP/1.1%0d%0aX:%20y|none|")))

add("9112 2.3",
    ("HTTP/0.9", b"GET /\r\n\r\n", refuse()), ("HTTP/0.9 spelled out", get(line=b"GET / HTTP/0.9"), refuse()),
    ("version in lower case", get(line=b"GET / http/1.1"), refuse()),
    ("version 1.10", get(line=b"GET / HTTP/1.10"), refuse()), ("version 01.1", get(line=b"GET / HTTP/01.1"), refuse()),
    ("version 1,1", get(line=b"GET / HTTP/1,1"), refuse()), ("version 1.", get(line=b"GET / HTTP/1."), refuse()),
    ("version XTTP", get(line=b"GET / XTTP/1.1"), refuse()), ("version with NUL", get(line=b"GET / HTTP/1.1\0"), refuse()),
    ("version in high digits", get(line="GET / HTTP/１.1".encode()), refuse()),
    ("version 2.0", get(line=b"GET / HTTP/2.0"), refuse(505)), ("version 9.9", get(line=b"GET / HTTP/9.9"), refuse(505)),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), refuse()),
    ("version 1.2 with TE", post(TE, HELLO).replace(b"HTTP/1.1", b"HTTP/1.2", 1), forward("POST /|chunked|hello")),
    ("1.0 and a second request", b"GET / HTTP/1.0\r\n\r\n" + EVIL, forward("GET /|none|", closes=True)))

add("9112 3.2",
    ("no Host", get(host=b""), refuse()), ("two Hosts that differ", get(b"Host: evil.test\r\n"), refuse()),
    ("two Hosts that are equal", get(HOST), refuse()), ("two Hosts in other cases", get(b"hOST: app.test\r\n"), refuse()),
    ("empty Host", get(host=b"Host:\r\n"), refuse()), ("Host with a user", get(host=b"Host: a@app.test\r\n"), refuse()),
    ("Host list", get(host=b"Host: app.test, evil.test\r\n"), refuse()),
    ("Host with a space", get(host=b"Host: app.test evil.test\r\n"), refuse()),
    ("Host with a path", get(host=b"Host: app.test/evil\r\n"), refuse()),
    ("Host with a query", get(host=b"Host: app.test?evil\r\n"), refuse()),
    ("Host with a fragment", get(host=b"Host: app.test#@evil\r\n"), refuse()),
    ("Host with a backslash", get(host=b"Host: app.test\\evil\r\n"), refuse()),
    ("Host with two ports", get(host=b"Host: app.test:80:81\r\n"), refuse()),
    ("Host with a port of letters", get(host=b"Host: app.test:evil\r\n"), refuse()),
    ("Host with a long port", get(host=b"Host: app.test:000080\r\n"), refuse()),
    ("Host with high bytes", get(host="Host: äpp.test\r\n".encode()), refuse()),
    ("Host with NUL", get(host=b"Host: app.test\0.evil\r\n"), refuse()),
    ("Host in open brackets", get(host=b"Host: [::1\r\n"), refuse()),
    ("Host with a bad escape", get(host=b"Host: app%2\r\n"), refuse()),
    ("space before Host's colon", get(host=b"Host : app.test\r\n"), refuse()),
    ("Host in brackets", get(host=b"Host: [::1]:80\r\n"), forward("GET /|none|")))

add("9112 3.2.2",
    ("absolute-form and another Host", get(line=b"GET http://other.test/a HTTP/1.1"), forward("GET /a|none|")),
    ("absolute-form with a user", get(line=b"GET http://u@other.test/ HTTP/1.1"), refuse()),
    ("absolute-form without a host", get(line=b"GET http:///a HTTP/1.1"), refuse()),
    ("absolute-form with a space", get(line=b"GET http://other.test /a HTTP/1.1"), refuse()),
    ("absolute-form with a backslash", get(line=b"GET http://other.test\\a HTTP/1.1"), refuse()),
    ("absolute-form of another scheme", get(line=b"GET ftp://other.test/ HTTP/1.1"), refuse()),
    ("absolute-form of one slash", get(line=b"GET http:/other.test/ HTTP/1.1"), refuse()),
    ("absolute-form with a bad port", get(line=b"GET http://other.test:99x/ HTTP/1.1"), refuse()),
    ("absolute-form and no Host", get(line=b"GET http://other.test/ HTTP/1.1", host=b""), refuse()),
    ("absolute-form and two Hosts", get(HOST, line=b"GET http://other.test/ HTTP/1.1"), refuse()),
    ("absolute-form and a bad Host", get(line=b"GET http://other.test/ HTTP/1.1", host=b"Host: a@b\r\n"), refuse()),
    ("absolute-form in 1.0", b"GET http://other.test/a HTTP/1.0\r\n\r\n", forward("GET /a|none|", closes=True)),
    ("CONNECT and a request behind it", b"CONNECT evil.test:80 HTTP/1.1\r\nHost: evil.test:80\r\n\r\n" + EVIL,
     refuse(405)),
    ("TRACE with a body", get(CL5, b"TRACE / HTTP/1.1") + b"hello" + EVIL, refuse(405)),
    ("TRACE", get(line=b"TRACE / HTTP/1.1"), own(405)))

add("9112 7.1",
    ("chunk size with 0x", chunks(b"0x5\r\nhello\r\n" + END), cut()),
    ("chunk size with a plus", chunks(b"+5\r\nhello\r\n" + END), cut()),
    ("chunk size with a minus", chunks(b"-5\r\nhello\r\n" + END), cut()),
    ("chunk size with an underscore", chunks(b"0_5\r\nhello\r\n" + END), cut()),
    ("chunk size with a space before", chunks(b" 5\r\nhello\r\n" + END), cut()),
    ("chunk size with a space behind", chunks(b"5 \r\nhello\r\n" + END), cut()),
    ("chunk size with a tab behind", chunks(b"5\t\r\nhello\r\n" + END), cut()),
    ("chunk size with NUL", chunks(b"5\0\r\nhello\r\n" + END), cut()),
    ("chunk size empty", chunks(b"\r\nhello\r\n" + END), cut()),
    ("chunk size of letters", chunks(b"g\r\nhello\r\n" + END), cut()),
    ("chunk size of 17 digits", chunks(b"00000000000000005\r\nhello\r\n" + END), cut()),
    ("chunk size that overflows", chunks(b"10000000000000005\r\nhello\r\n" + END), cut()),
    ("chunk size of 64 bits", chunks(b"ffffffffffffffff\r\nhello\r\n" + END), cut()),
    ("chunk size of 63 bits and one", chunks(b"8000000000000000\r\nhello\r\n" + END), cut()),
    ("chunk size in full-width digits", chunks("５\r\nhello\r\n".encode() + END), cut()),
    ("chunk size of 16 digits", chunks(b"0000000000000005\r\nhello\r\n" + END), forward("POST /|chunked|hello")),
    ("chunk size in capitals", chunks(b"A\r\nhellohello\r\n" + END), forward("POST /|chunked|hellohello")),
    ("chunk data too long", chunks(b"5\r\nhelloX\r\n" + END), cut()),
    ("chunk data too short", chunks(b"5\r\nhell\r\n" + END), cut()),
    ("chunk data without CRLF", chunks(b"5\r\nhello" + END), cut()),
    ("chunk data with two CRLF", chunks(b"5\r\nhello\r\n\r\n" + END), cut()),
    ("last chunk of many zeros", chunks(b"5\r\nhello\r\n0000\r\n\r\n"), forward("POST /|chunked|hello")),
    ("last chunk and bytes", chunks(b"5\r\nhello\r\n0\r\nX\r\n\r\n"), cut()),
    ("no last chunk, then a request", chunks(b"5\r\nhello\r\n" + EVIL), cut()),
    ("empty body", chunks(END), forward("POST /|chunked|")),
    ("many chunks become one body", chunks(b"1\r\nh\r\n4\r\nello\r\n" + END), forward("POST /|chunked|hello")),
    ("chunk that holds a request", chunks(b"%x\r\n" % len(EVIL) + EVIL + b"\r\n" + END),
     forward("POST /|chunked|" + EVIL.decode())))

add("9112 7.1, E7633",
    ("LF behind a size", chunks(b"5\nhello\r\n" + END), cut()),
    ("LF behind data", chunks(b"5\r\nhello\n" + END), cut()),
    ("LF behind the last chunk", chunks(b"5\r\nhello\r\n0\n\r\n"), cut()),
    ("LF at the end", chunks(b"5\r\nhello\r\n0\r\n\n"), cut()),
    ("LF LF at the end", chunks(b"5\r\nhello\r\n0\n\n"), cut()),
    ("CR behind a size", chunks(b"5\rhello\r\n" + END), cut()),
    ("CR CR LF behind a size", chunks(b"5\r\r\nhello\r\n" + END), cut()),
    ("LF CR behind a size", chunks(b"5\n\rhello\r\n" + END), cut()),
    ("XX for CRLF behind data", chunks(b"5\r\nhelloXX" + END), cut()))

add("9112 7.1.1",
    ("extension", chunks(b"5;a=b\r\nhello\r\n" + END), forward("POST /|chunked|hello")),
    ("extension in quotes", chunks(b"5;a=\"b;c\\\"\"\r\nhello\r\n" + END), forward("POST /|chunked|hello")),
    ("extension of the last chunk", chunks(b"5\r\nhello\r\n0;a\r\n\r\n"), forward("POST /|chunked|hello")),
    ("extension with LF", chunks(b"5;a\nX\r\nhello\r\n" + END), cut()),
    ("0;ext LF", chunks(b"5\r\nhello\r\n0;ext\n\r\n" + EVIL), cut()),
    ("extension with LF that hides a request", chunks(b"2;\nxx\r\n4c\r\n0\r\n\r\n" + EVIL + END), cut()),
    ("extension with CR", chunks(b"5;a\rX\r\nhello\r\n" + END), cut()),
    ("extension with NUL", chunks(b"5;a\0\r\nhello\r\n" + END), cut()),
    ("extension with a space", chunks(b"5; a\r\nhello\r\n" + END), cut()),
    ("space before an extension", chunks(b"5 ;a\r\nhello\r\n" + END), cut()),
    ("LF in a quoted extension", chunks(b"5;a=\"\n\"\r\nhello\r\n" + END), cut()),
    ("extension that is not closed", chunks(b"5;a=\"\r\nhello\r\n" + END), cut()),
    ("extension of 300", chunks(b"5;" + b"a" * 300 + b"\r\nhello\r\n" + END), cut()),
    ("colon for a semicolon", chunks(b"5:a\r\nhello\r\n" + END), cut()))

add("9110 6.5.1",
    ("trailer", chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), forward("POST /|chunked|hello", gone=("x-sum",))),
    ("CL in a trailer", chunks(b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"), cut()),
    ("TE in a trailer", chunks(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), cut()),
    ("Host in a trailer", chunks(b"5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n"), cut()),
    ("Authorization in a trailer", chunks(b"5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n"), cut()),
    ("Cookie in a trailer", chunks(b"5\r\nhello\r\n0\r\nCookie: x\r\n\r\n"), cut()),
    ("CL with an underscore in a trailer", chunks(b"5\r\nhello\r\n0\r\nContent_Length: 5\r\n\r\n"), cut()),
    ("folded trailer", chunks(b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"), cut()),
    ("space before a trailer's colon", chunks(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"), cut()),
    ("bare LF in a trailer", chunks(b"5\r\nhello\r\n0\r\nX: y\n\r\n"), cut()),
    ("NUL in a trailer", chunks(b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"), cut()),
    ("request line in a trailer", chunks(b"5\r\nhello\r\n0\r\n" + EVIL), cut()),
    ("trailer of 9 KiB", chunks(b"5\r\nhello\r\n0\r\nX: " + b"y" * 9000 + b"\r\n\r\n"), cut()))

add("9110 7.6.1",
    ("Connection names TE", post(b"Connection: Transfer-Encoding\r\n" + TE, HELLO), refuse()),
    ("Connection names CL", post(b"Connection: content-length\r\n" + CL5, b"hello"), refuse()),
    ("Connection names CL with an underscore", post(b"Connection: content_length\r\n" + CL5, b"hello"), refuse()),
    ("Connection names Host", get(b"Connection: close, Host\r\n"), refuse()),
    ("Connection names Cookie", get(b"Connection: Cookie\r\nCookie: a=b\r\n"), refuse()),
    ("Connection names Authorization", get(b"Connection: Authorization\r\nAuthorization: x\r\n"), refuse()),
    ("Connection names X-Forwarded-For", get(b"Connection: X-Forwarded-For\r\n"), refuse()),
    ("Connection names Expect", get(b"Connection: Expect\r\nExpect: 100-continue\r\n"), refuse()),
    ("Connection with a bad member", get(b"Connection: a b\r\n"), refuse()),
    ("Connection of 40 members", get(b"Connection: " + b"a, " * 40 + b"a\r\n"), refuse()),
    ("Connection names a field", get(b"Connection: X-Hop\r\nX-Hop: y\r\n"), forward("GET /|none|", gone=("x-hop",))),
    ("Connection close and keep-alive", get(b"Connection: close\r\nConnection: keep-alive\r\n"),
     forward("GET /|none|", gone=("connection",), closes=True)),
    ("Proxy-Connection", get(b"Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\n"),
     forward("GET /|none|", gone=("proxy-connection", "keep-alive"))),
    ("TE field and Trailer", get(b"TE: trailers, deflate\r\nTrailer: X\r\n"), forward("GET /|none|", gone=("te", "trailer"))),
    ("CL beside one with an underscore", post(CL5 + b"Content_Length: 50\r\n", b"hello"),
     forward("POST /|length|hello", gone=("content_length",))),
    ("X_Forwarded_For", get(b"X_Forwarded_For: 10.0.0.1\r\nX_Real-IP: 10.0.0.1\r\n"),
     forward("GET /|none|", gone=("x_forwarded_for", "x_real-ip"))))

add("9110 7.8",
    ("h2c", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
     forward("GET /|none|", gone=("upgrade", "http2-settings", "connection"))),
    ("h2c, Connection names Upgrade only", get(b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
     forward("GET /|none|", gone=("upgrade", "http2-settings"))),
    ("h2c and websocket", get(b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"),
     forward("GET /|none|", gone=("upgrade",))),
    ("websocket with POST", post(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n" + CL5, b"hello"),
     forward("POST /|length|hello", gone=("upgrade",))),
    ("websocket with a body", get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n" + CL5) + b"hello",
     forward("GET /|length|hello", gone=("upgrade",))),
    ("websocket without a key", get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), forward("GET /|none|", gone=("upgrade",))),
    ("websocket that Connection does not name", get(b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n"),
     forward("GET /|none|", gone=("upgrade",))),
    ("websocket in 1.0",
     b"GET / HTTP/1.0\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
     forward("GET /|none|", gone=("upgrade",), closes=True)))

add("9110 10.1.1",
    ("Expect with a word before", post(b"Expect: y 100-continue\r\n" + CL5, b"hello"), refuse(417)),
    ("Expect list", post(b"Expect: 100-continue, x\r\n" + CL5, b"hello"), refuse(417)),
    ("Expect twice", post(b"Expect: 100-continue\r\nExpect: 100-continue\r\n" + CL5, b"hello"), refuse(417)),
    ("Expect 200-ok", get(b"Expect: 200-ok\r\n"), refuse(417)), ("Expect empty", get(b"Expect:\r\n"), refuse(417)),
    ("Expect without a body", get(b"Expect: 100-continue\r\n"), forward("GET /|none|")),
    ("Expect in capitals and a body at once", post(b"Expect: 100-CONTINUE\r\n" + CL5, b"hello"),
     forward("POST /|length|hello")),
    ("Expect in 1.0", b"POST / HTTP/1.0\r\n" + HOST + b"Expect: 100-continue\r\n" + CL5 + b"\r\nhello",
     forward("POST /|length|hello", gone=("expect",), closes=True)))

add("9112 9.3",
    ("second request behind none", get() + get(line=b"GET /2 HTTP/1.1"), forward("GET /|none|", "GET /2|none|")),
    ("second request behind a length", post(CL5, b"hello") + get(line=b"GET /2 HTTP/1.1"),
     forward("POST /|length|hello", "GET /2|none|")),
    ("second request behind chunks", chunks(HELLO) + get(line=b"GET /2 HTTP/1.1"),
     forward("POST /|chunked|hello", "GET /2|none|")),
    ("request inside the length", post(b"Content-Length: %d\r\n" % len(EVIL), EVIL),
     forward("POST /|length|" + EVIL.decode())),
    ("GET with a request for a body", get(b"Content-Length: %d\r\n" % len(EVIL)) + EVIL,
     forward("GET /|length|" + EVIL.decode())),
    ("HEAD with a request for a body", get(b"Content-Length: %d\r\n" % len(EVIL), b"HEAD / HTTP/1.1") + EVIL,
     forward("HEAD /|length|" + EVIL.decode())),
    ("DELETE with a request for a body", get(b"Content-Length: %d\r\n" % len(EVIL), b"DELETE / HTTP/1.1") + EVIL,
     forward("DELETE /|length|" + EVIL.decode())),
    ("length 0 and a second request", post(b"Content-Length: 0\r\n") + get(line=b"GET /2 HTTP/1.1"),
     forward("POST /|none|", "GET /2|none|")),
    ("close and a second request", get(b"Connection: close\r\n") + EVIL, forward("GET /|none|", closes=True)),
    ("CRLF behind a body", post(CL5, b"hello\r\n") + get(line=b"GET /2 HTTP/1.1"),
     forward("POST /|length|hello", "GET /2|none|")),
    ("garbage behind a request", get() + b"garbage\r\n\r\n", forward("GET /|none|", closes=True)),
    ("refused request behind a sound one", get() + both(b"Transfer-Encoding : chunked"),
     forward("GET /|none|", closes=True)),
    ("Max-Forwards 0 with a body", get(b"Max-Forwards: 0\r\nContent-Length: %d\r\n" % len(EVIL),
                                       b"OPTIONS / HTTP/1.1") + EVIL, refuse(200)))
