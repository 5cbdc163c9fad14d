"""HTTP through rollcall-proxy: requests and answers that are refused."""
import pytest
from proxy_lab import HOST, POST, Backend, Proxy, echo, field, get, lab, ok, says  # noqa: F401

CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

REFUSED = [
    ("bare LF line ends", "GET / HTTP/1.1\nHost: x\n\n", 400),
    ("bare LF in one line", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    ("bare CR in a value", get("/", "A: b\rc\r\n"), 400),
    ("NUL in a value", get("/", "A: b\0c\r\n"), 400),
    ("control byte in a value", get("/", "A: b\x01c\r\n"), 400),
    ("folded line", get("/", "A: b\r\n c\r\n"), 400),
    ("space before colon", get("/", "A : b\r\n"), 400),
    ("space in name", get("/", "A B: c\r\n"), 400),
    ("empty name", get("/", ": c\r\n"), 400),
    ("line without colon", get("/", "abc\r\n"), 400),
    ("first line folded", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", get("/", "Host: app.test\r\n"), 400),
    ("user in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("comma in Host", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ("space in Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("two spaces in request line", "GET  / HTTP/1.1\r\n" + HOST + "\r\n", 400),
    ("space after version", "GET / HTTP/1.1 \r\n" + HOST + "\r\n", 400),
    ("HTTP/2.0", "GET / HTTP/2.0\r\n" + HOST + "\r\n", 505),
    ("HTTP/0.9", "GET /\r\n\r\n", 400),
    ("HTTP/0.9 spelled out", "GET / HTTP/0.9\r\n\r\n", 400),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("high byte in target", "GET /\xe4 HTTP/1.1\r\n" + HOST + "\r\n", 400),
    ("fragment in target", "GET /a#b HTTP/1.1\r\n" + HOST + "\r\n", 400),
    ("user in absolute-form", "GET http://u@h/ HTTP/1.1\r\n" + HOST + "\r\n", 400),
    ("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    ("TRACE", "TRACE / HTTP/1.1\r\n" + HOST + "\r\n", 405),
    ("length and encoding", POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("encoding twice", POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("encoding quoted", POST + "Transfer-Encoding: \"chunked\"\r\n\r\n", 501),
    ("encoding xchunked", POST + "Transfer-Encoding: xchunked\r\n\r\n", 501),
    ("encoding chunked, identity", POST + "Transfer-Encoding: chunked, identity\r\n\r\n", 501),
    ("encoding gzip, chunked", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("empty encoding", POST + "Transfer-Encoding:\r\nContent-Length: 1\r\n\r\nx", 400),
    ("encoding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("two equal lengths", POST + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    ("listed lengths", POST + "Content-Length: 2, 2\r\n\r\nab", 400),
    ("length above 2^64", POST + "Content-Length: 18446744073709551617\r\n\r\n", 400),
    ("length above 2^63", POST + "Content-Length: 9223372036854775808\r\n\r\n", 400),
    ("Connection names Transfer-Encoding", POST + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("Connection names Host", get("/", "Connection: Host\r\n"), 400),
    ("Connection names Content-Length", POST + "Connection: content-length\r\nContent-Length: 0\r\n\r\n", 400),
    ("Connection names X-Forwarded-For", get("/", "Connection: X-Forwarded-For\r\n"), 400),
    ("unknown expectation", get("/", "Expect: 200-ok\r\n"), 417),
    ("long line", "GET /" + "a" * 9000 + " HTTP/1.1\r\n" + HOST + "\r\n", 414),
    ("large head", get("/", "A: " + "b" * 17000 + "\r\n"), 431),
    ("many lines", get("/", "A: b\r\n" * 101), 431),
]
REFUSED += [("length " + v, POST + "Content-Length: " + v + "\r\n\r\nab", 400)
            for v in ("+2", "-1", "0x2", "", "1 2")]
REFUSED += [("chunk size " + v, CHUNKED + v + "\r\nab\r\n0\r\n\r\n", 400)
            for v in ("0x2", "+2", " 2", "1_0", "2 ", "", "ffffffffffffffff", "00000000000000002")]
REFUSED += [
    ("LF in chunk extension", CHUNKED + "2;a\nb\r\nab\r\n0\r\n\r\n", 400),
    ("LF after size", CHUNKED + "2\nab\r\n0\r\n\r\n", 400),
    ("LF after data", CHUNKED + "2\r\nab\n0\r\n\r\n", 400),
    ("LF after last chunk", CHUNKED + "0\n\n", 400),
    ("data without CRLF", CHUNKED + "2\r\nabXX0\r\n\r\n", 400),
    ("length in trailer", CHUNKED + "0\r\nContent-Length: 3\r\n\r\n", 400),
    ("long chunk extension", CHUNKED + "2;" + "a" * 300 + "\r\nab\r\n0\r\n\r\n", 400),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    backend = Backend(echo())
    proxy = Proxy(tmp_path_factory.mktemp("strict"), [backend.port])
    yield proxy, backend
    assert proxy.stop() == 0, proxy.said()
    backend.stop()


@pytest.mark.parametrize("text,want", [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_ambiguous_request_is_refused_and_its_connection_closed(strict, text, want):
    proxy, _ = strict
    client = proxy.client()
    answer = client.ask(text)
    assert answer.status == want, answer.body
    assert want in (405,) or client.is_closed()


@pytest.mark.parametrize("text,want", [
    ("get / HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|get / HTTP/1.1|0"),
    ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", b"echo|GET / HTTP/1.1|0"),
    ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|GET / HTTP/1.1|0"),
    ("GET http://other.test/a HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|GET /a HTTP/1.1|0"),
    ("GET http://other.test HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|GET / HTTP/1.1|0"),
    ("GET http://other.test?q HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|GET /?q HTTP/1.1|0"),
    ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|OPTIONS * HTTP/1.1|0"),
    ("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", b"echo|BREW /pot HTTP/1.1|0"),
])
def test_unusual_but_sound_request_passes(strict, text, want):
    assert strict[0].ask(text).body == want


def test_absolute_form_rewrites_host(strict):
    proxy, backend = strict
    proxy.ask("GET http://other.test:81/rewritten HTTP/1.1\r\nHost: x\r\n\r\n")
    heads = [h for h in backend.heads if "/rewritten" in h]
    assert field(heads[0], "host") == ["other.test:81"]


def test_max_forwards_zero_is_answered_here(strict):
    proxy, backend = strict
    before = len(backend.heads)
    assert proxy.ask("OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n").status == 200
    assert len(backend.heads) == before


def test_body_over_the_route_limit_is_413(lab):
    proxy = lab.proxy(lab.backend(echo()), route="body_limit 1KiB")
    said = proxy.client()
    answer = said.ask(POST + "Content-Length: 2000\r\n\r\n" + "x" * 2000)
    assert answer.status == 413 and said.is_closed()
    body = "400\r\n" + "x" * 1024 + "\r\n"
    assert proxy.ask(CHUNKED + body * 2 + "0\r\n\r\n").status == 413


BAD_ANSWERS = [
    ("garbage", "\x00\x01\x02garbage\r\n\r\n"),
    ("not HTTP", "SSH-2.0-OpenSSH\r\n\r\n"),
    ("bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
    ("unknown encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("flood of 1xx", "HTTP/1.1 103 X\r\n\r\n" * 17 + ok()),
    ("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("huge head", "HTTP/1.1 200 OK\r\nA: " + "b" * 20000 + "\r\n\r\n"),
    ("partial head", "HTTP/1.1 200 OK\r\nConte"),
]


@pytest.mark.parametrize("answer", [c[1] for c in BAD_ANSWERS], ids=[c[0] for c in BAD_ANSWERS])
def test_malformed_answer_is_502(lab, answer):
    backend = lab.backend(says(answer, close=True))
    client = lab.proxy(backend).client()
    got = client.ask(get())
    while got.status == 103:
        got = client.response()
    assert got.status == 502
    assert len(backend.heads) == 1, "a malformed answer is no reason to ask again"


@pytest.mark.parametrize("answer", [
    ok("ok") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
])
def test_suspect_connection_is_not_used_again(lab, answer):
    backend = lab.backend(says(answer))
    client = lab.proxy(backend).client()
    for _ in range(2):
        assert client.ask(get()).body == b"ok"
    assert backend.connections == 2


@pytest.mark.parametrize("answer", [
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxyz\r\n",
])
def test_truncated_answer_looks_truncated(lab, answer):
    client = lab.proxy(lab.backend(says(answer, close=True))).client()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.ask(get())
