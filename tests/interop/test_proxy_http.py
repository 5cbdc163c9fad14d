"""HTTP through rollcall-proxy: what passes, what is refused, and what the client never notices."""
import json
import signal
import socket
import threading
import time

import pytest
from patience import patient
from proxy_lab import Backend, Client, Proxy, echo, field, free_port, get, ok, read_request, rss_slack, says


@pytest.fixture
def lab(tmp_path):
    """Starts backends and proxies; all must have ended well when the test is over."""
    made = []

    class Lab:
        @staticmethod
        def backend(serve, port=None):
            made.append(Backend(serve, port))
            return made[-1]

        @staticmethod
        def proxy(*backends, **more):
            ports = [b if isinstance(b, int) else b.port for b in backends]
            made.append(Proxy(tmp_path, ports, **more))
            return made[-1]

    yield Lab
    for thing in reversed(made):
        if isinstance(thing, Proxy):
            code = thing.stop()
            assert code == 0, "exit %s: %s" % (code, thing.said())
        else:
            thing.stop()


# --- what passes ---


def test_request_is_passed_with_the_facts_about_its_client(lab):
    backend = lab.backend(echo())
    proxy = lab.proxy(backend)
    answer = proxy.ask(get("/a?b=c", "Accept: x/y\r\nX-Forwarded-For: 6.6.6.6\r\n"
                           "X_Forwarded_For: 7.7.7.7\r\nConnection: x-hop\r\nX-Hop: 1\r\n"))
    assert answer.status == 200 and answer.body == b"echo|GET /a?b=c HTTP/1.1|0"
    head = backend.heads[0]
    assert field(head, "x-forwarded-for") == ["127.0.0.1"]
    assert field(head, "x-forwarded-host") == field(head, "host") == ["app.test"]
    assert field(head, "x-forwarded-proto") == ["http"]
    assert field(head, "x-forwarded-port") == [str(proxy.port)]
    assert len(field(head, "x-request-id")[0]) == 32
    assert field(head, "accept") == ["x/y"]
    for gone in ("connection", "x-hop", "x_forwarded_for"):
        assert field(head, gone) == []


def test_trusted_peer_may_speak_for_its_client(lab):
    backend = lab.backend(echo())
    proxy = lab.proxy(backend, listener="trust_forwarded 127.0.0.0/8")
    proxy.ask(get("/", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
                  "X-Request-Id: abc\r\n"))
    head = backend.heads[0]
    assert field(head, "x-forwarded-for") == ["6.6.6.6, 127.0.0.1"]
    assert field(head, "x-forwarded-proto") == ["https"]
    assert field(head, "x-request-id") == ["abc"]


def test_connections_are_kept_on_both_sides(lab):
    backend = lab.backend(echo())
    client = lab.proxy(backend).client()
    for i in range(20):
        assert client.ask(get("/%d" % i)).status == 200
    assert backend.connections == 1


def test_pipelined_requests_are_answered_in_order(lab):
    client = lab.proxy(lab.backend(echo("a")), lab.backend(echo("b"))).client()
    client.send("".join(get("/%d" % i) for i in range(50)))
    for i in range(50):
        assert ("GET /%d HTTP" % i).encode() in client.response().body


def test_head_has_the_length_and_no_body(lab):
    client = lab.proxy(lab.backend(echo())).client()
    for _ in range(2):
        answer = client.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD")
        assert answer.status == 200 and answer.field("content-length")


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_request_in_pieces_is_one_request(lab, step):
    client = lab.proxy(lab.backend(echo())).client()
    text = "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n10\r\n" \
           "0123456789abcdef\r\n0\r\nTrail: er\r\n\r\n"
    for at in range(0, len(text), step):
        client.send(text[at:at + step])
        time.sleep(0.001)
    assert client.response().body == b"echo|POST /p HTTP/1.1|19"


def test_response_until_close_becomes_chunks(lab):
    backend = lab.backend(says("HTTP/1.1 200 OK\r\n\r\nhello world", close=True))
    client = lab.proxy(backend).client()
    for _ in range(2):
        answer = client.ask(get())
        assert answer.field("transfer-encoding") == ["chunked"]
        assert answer.body == b"hello world"


def test_http_1_0_client_gets_no_chunks(lab):
    backend = lab.backend(says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    answer = lab.proxy(backend).ask("GET / HTTP/1.0\r\n\r\n")
    assert answer.field("transfer-encoding") == [] and answer.body == b"hello"
    assert answer.field("connection") == ["close"]


def test_http_1_0_client_is_kept_when_it_asks(lab):
    client = lab.proxy(lab.backend(echo())).client()
    for _ in range(2):
        answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.status == 200 and answer.field("connection") == ["keep-alive"]


@pytest.mark.parametrize("code", [204, 304])
def test_response_without_body_leaves_the_connection_usable(lab, code):
    backend = lab.backend(says("HTTP/1.1 %d X\r\nX-A: b\r\n\r\n" % code))
    client = lab.proxy(backend).client()
    for _ in range(3):
        assert client.ask(get()).status == code
    assert backend.connections == 1


def test_interim_responses_reach_1_1_clients_only(lab):
    early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    proxy = lab.proxy(lab.backend(says(early + ok("x"))))
    client = proxy.client()
    assert client.ask(get()).status == 103
    assert client.response().body == b"x"
    assert proxy.ask("GET / HTTP/1.0\r\n\r\n").status == 200


def test_body_waits_for_100_continue(lab):
    def serve(stream, backend):
        head = stream.head()
        assert field(head, "expect") == ["100-continue"]
        stream.send("HTTP/1.1 100 Continue\r\n\r\n")
        stream.send(ok(stream.exactly(3).decode()))

    client = lab.proxy(lab.backend(serve)).client()
    answer = client.ask("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        "Content-Length: 3\r\n\r\n")
    assert answer.status == 100
    assert client.ask("abc").body == b"abc"


def test_final_answer_instead_of_100_ends_the_upload(lab):
    def serve(stream, backend):
        stream.head()
        stream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        stream.head()

    client = lab.proxy(lab.backend(serve)).client()
    answer = client.ask("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                        "Content-Length: 3000000\r\n\r\n")
    assert answer.status == 413 and answer.field("connection") == ["close"]
    assert client.is_closed()


def test_answer_overtakes_an_upload_that_nobody_reads(lab):
    def serve(stream, backend):
        stream.head()
        stream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
                    "Connection: close\r\n\r\nno")

    client = lab.proxy(lab.backend(serve)).client()
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + "x" * 200000)
    answer = client.response()
    assert answer.status == 413 and answer.body == b"no"


def test_half_closed_client_gets_its_answer(lab):
    client = lab.proxy(lab.backend(echo())).client()
    client.send(get())
    client.sock.shutdown(socket.SHUT_WR)
    assert client.response().status == 200
    assert client.is_closed()


def websocket(stream, backend):
    head = stream.head()
    backend.note(head)
    stream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\n\r\nhello")
    while True:
        data = stream.rest or stream.sock.recv(65536)
        stream.rest = b""
        if not data:
            stream.send("bye")
            return
        stream.send(data.upper())


SWITCH = ("Connection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "Sec-WebSocket-Version: 13\r\n")


def test_websocket_becomes_a_tunnel_both_ways(lab):
    backend = lab.backend(websocket)
    client = lab.proxy(backend).client()
    client.send(get("/", SWITCH % "websocket") + "early")
    answer = client.response()
    assert answer.status == 101 and answer.field("upgrade") == ["websocket"]
    assert client.exactly(10) == b"helloEARLY"
    data = b"x" * 1000000
    threading.Thread(target=client.send, args=(data,), daemon=True).start()
    assert client.exactly(len(data)) == data.upper()
    client.sock.shutdown(socket.SHUT_WR)
    assert client.until_end() == b"bye"


def test_other_upgrades_are_stripped(lab):
    backend = lab.backend(echo())
    answer = lab.proxy(backend).ask(get("/", SWITCH % "h2c" + "HTTP2-Settings: AAMA\r\n"))
    assert answer.status == 200
    for gone in ("upgrade", "connection", "http2-settings"):
        assert field(backend.heads[0], gone) == []


def test_101_that_nobody_asked_for_is_a_bad_answer(lab):
    backend = lab.backend(says("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"))
    assert lab.proxy(backend).ask(get()).status == 502


# --- what is refused ---

HOST = "Host: x\r\n"
POST = "POST / HTTP/1.1\r\n" + HOST
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


# --- instances that fail ---


def test_refused_connections_are_tried_elsewhere(lab):
    proxy = lab.proxy(free_port(), lab.backend(echo("alive")))
    client = proxy.client()
    for i in range(20):
        assert client.ask(get()).body.startswith(b"alive")
        assert client.ask(POST + "Content-Length: 3\r\n\r\nabc").body.endswith(b"|3")


def test_503_says_which_service_and_why(lab):
    answer = lab.proxy(free_port(), pool="queue_timeout 100ms").ask(get())
    assert answer.status == 503
    assert answer.body.startswith(b'503 no instance of service "web" is alive (reason: ')


def test_stale_connection_is_replaced_unseen(lab):
    """Every second request meets a connection that dies as it arrives."""
    def serve(stream, backend):
        read_request(stream, backend)
        stream.send(ok("first"))
        stream.head()  # reads the next one, and dies

    client = lab.proxy(lab.backend(serve)).client()
    for _ in range(10):
        assert client.ask(get()).body == b"first"


def test_post_that_was_seen_is_not_sent_twice(lab):
    def serve(stream, backend):
        read_request(stream, backend)

    one, two = lab.backend(serve), lab.backend(serve)
    proxy = lab.proxy(one, two)
    assert proxy.ask(POST + "Content-Length: 3\r\n\r\nabc").status == 502
    assert len(one.heads) + len(two.heads) == 1


def test_get_and_put_are_sent_again(lab):
    def serve(stream, backend):
        read_request(stream, backend)

    proxy = lab.proxy(lab.backend(serve), lab.backend(echo("good")))
    for _ in range(4):
        assert proxy.ask(get()).body.startswith(b"good")
        body = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
        assert proxy.ask(body).body == b"good|PUT / HTTP/1.1|5"


def test_post_takes_no_connection_that_its_instance_has_closed(lab):
    def serve(stream, backend):
        read_request(stream, backend)
        stream.send(ok("once"))  # and closes, without saying so
        stream.sock.close()
        closed.release()

    closed = threading.Semaphore(0)
    client = lab.proxy(lab.backend(serve)).client()
    for _ in range(30):
        answer = client.ask(POST + "Content-Length: 3\r\n\r\nabc")
        assert answer.status == 200
        assert closed.acquire(timeout=patient(30))
        time.sleep(0.02)  # the proxy hears of it


def test_listed_status_is_tried_elsewhere(lab):
    bad = lab.backend(says("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    proxy = lab.proxy(bad, lab.backend(echo("good")),
                      route="retry { attempts 3; on_status 503 }")
    for _ in range(6):
        assert proxy.ask(get()).body.startswith(b"good")
    codes = {proxy.ask(POST + "Content-Length: 0\r\n\r\n").status for _ in range(4)}
    assert codes <= {200, 503}


def test_stopping_instance_hands_its_requests_on(lab):
    bad = lab.backend(says("HTTP/1.1 503 Bye\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"))
    proxy = lab.proxy(bad, lab.backend(echo("good")))
    for _ in range(6):
        assert proxy.ask(get()).body.startswith(b"good")


def hammer(proxy, seconds, text, results, threads=8):
    end = time.time() + seconds

    def run():
        client = None
        while time.time() < end:
            try:
                client = client or proxy.client()
                answer = client.ask(text)
                results.append(answer.status)
                if answer.field("connection") == ["close"]:
                    client = None
            except Exception as problem:  # noqa: BLE001: any of them is a failed request
                results.append(repr(problem))
                client = None

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    return running


def test_killed_instance_costs_no_get(lab):
    def slow(name):
        def serve(stream, backend):
            while read_request(stream, backend) is not None:
                time.sleep(0.005)
                stream.send(ok(name))
        return serve

    backends = [lab.backend(slow(n)) for n in "abc"]
    proxy, results = lab.proxy(*backends), []
    running = hammer(proxy, 4, get(), results)
    for backend in backends[:2]:
        time.sleep(0.7)
        backend.stop()
        time.sleep(0.7)
        backend.start()
    for thread in running:
        thread.join()
    assert set(results) == {200}, [r for r in results if r != 200]
    assert len(results) > 50


def test_silent_instance_is_504_and_not_asked_again(lab):
    def serve(stream, backend):
        read_request(stream, backend)
        over.wait(patient(60))

    over = threading.Event()
    one, two = lab.backend(serve), lab.backend(serve)
    proxy = lab.proxy(one, two, pool="response_timeout 300ms")
    start = time.time()
    assert proxy.ask(get()).status == 504
    assert 0.2 < time.time() - start < 30
    over.set()
    assert len(one.heads) + len(two.heads) == 1


def test_instance_that_does_not_accept_is_left_after_the_connect_timeout(lab):
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    waiting = []
    for _ in range(3):  # fill its queue: later SYNs are dropped
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.append(sock)
    proxy = lab.proxy(port, lab.backend(echo("good")), pool="connect_timeout 200ms")
    for _ in range(2):
        assert proxy.ask(get()).body.startswith(b"good")


# --- clients that fail ---


def test_late_head_is_408_and_an_idle_client_is_just_closed(lab):
    proxy = lab.proxy(lab.backend(echo()), listener="head_timeout 2s; keepalive 300ms")
    late = proxy.client()
    late.send("GET / HT")
    assert late.response().status == 408 and late.is_closed()
    silent = proxy.client()
    assert silent.is_closed()
    kept = proxy.client()
    assert kept.ask(get()).status == 200
    assert kept.is_closed()


def test_late_body_is_408(lab):
    proxy = lab.proxy(lab.backend(echo()), listener="body_timeout 300ms")
    client = proxy.client()
    answer = client.ask(POST + "Content-Length: 10\r\n\r\nabc")
    assert answer.status == 408 and client.is_closed()


def test_client_that_goes_is_logged_as_499(lab):
    gone = threading.Event()

    def serve(stream, backend):
        read_request(stream, backend)
        gone.set()
        stream.head()

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client()
    client.send(get())
    assert gone.wait(patient(30))
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    line = json.loads(proxy.logged(1)[0])
    assert line["status"] == 499 and line["ended"] == "CH"


def test_client_that_goes_amid_its_body_frees_the_instance(lab):
    ended = threading.Event()

    def serve(stream, backend):
        stream.head()
        stream.until_end()
        ended.set()

    client = lab.proxy(lab.backend(serve)).client()
    client.send(POST + "Content-Length: 100\r\n\r\nabc")
    time.sleep(0.2)
    client.close()
    assert ended.wait(patient(30))


# --- size and time ---


def counting(size):
    """Answers with `size` bytes, or says how many came."""
    block = b"0123456789abcdef" * 4096

    def serve(stream, backend):
        while True:
            head = stream.head()
            if not head:
                return
            length = field(head, "content-length")
            if length:
                got = len(stream.rest)
                stream.rest = b""
                while got < int(length[0]):
                    got += len(stream.sock.recv(1 << 18))
                stream.send(ok(str(got)))
                continue
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(block)):
                stream.send(block)

    return serve


def drain(client, size):
    assert client.head().startswith("HTTP/1.1 200")
    got = len(client.rest)
    client.rest = b""
    while got < size:
        data = client.sock.recv(min(size - got, 1 << 18))
        assert data
        got += len(data)
    return got


def test_memory_does_not_grow_with_bodies(lab):
    size = 1 << 28
    proxy = lab.proxy(lab.backend(counting(size)))
    client = proxy.client(timeout=60)
    client.send(get())
    assert drain(client, size) == size
    before = proxy.rss_kib()
    for _ in range(2):
        client.send(get())
        assert drain(client, size) == size
    client.send(POST + "Content-Length: %d\r\n\r\n" % size)
    for _ in range(size // (1 << 20)):
        client.sock.sendall(b"x" * (1 << 20))
    assert client.response().body == str(size).encode()
    assert proxy.rss_kib() - before < 1024 * rss_slack()


def test_slow_reader_holds_one_buffer_not_the_body(lab):
    size = 1 << 26
    proxy = lab.proxy(lab.backend(counting(size)))
    client = proxy.client(timeout=60)
    before = proxy.rss_kib()
    client.send(get())
    time.sleep(1)
    assert proxy.rss_kib() - before < 1024 * rss_slack()
    assert drain(client, size) == size


def test_proxy_without_buffers_refuses_and_recovers(lab):
    """56 buffers for 80 clients that all want some at once."""
    def serve(stream, backend):
        while read_request(stream, backend) is not None:
            time.sleep(0.05)
            stream.send(ok("x" * 30000))

    proxy = lab.proxy(lab.backend(serve), top="buffer_limit 1MiB")
    results = []
    text = POST + "Content-Length: 30000\r\n\r\n" + "y" * 30000
    for _ in range(5):
        for thread in hammer(proxy, 2, text, results, threads=80):
            thread.join()
        if 200 in results:
            break
    assert 200 in results
    assert proxy.ask(get()).status == 200


def test_interim_heads_beyond_the_buffer_are_not_fatal(lab):
    early = "HTTP/1.1 103 Early Hints\r\nA: %s\r\n\r\n" % ("b" * 15000)
    proxy = lab.proxy(lab.backend(says(early * 16 + ok("x"))))
    client = proxy.client()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(get() * 8)
    time.sleep(0.3)
    client.close()
    assert proxy.ask("GET / HTTP/1.0\r\n\r\n").status == 200


def test_stop_finishes_what_runs_and_says_close(lab):
    running = threading.Event()

    def serve(stream, backend):
        read_request(stream, backend)
        running.set()
        time.sleep(1)
        stream.send(ok("late"))

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client()
    client.send(get())
    assert running.wait(patient(30))
    proxy.process.send_signal(signal.SIGTERM)
    answer = client.response()
    assert answer.body == b"late" and answer.field("connection") == ["close"]
    assert proxy.process.wait(patient(30)) == 0


def test_grace_still_accepts_but_keeps_nobody(lab):
    proxy = lab.proxy(lab.backend(echo()), top="grace 6s")
    kept = proxy.client()
    assert kept.ask(get()).field("connection") == []
    proxy.process.send_signal(signal.SIGTERM)
    while kept.ask(get()).field("connection") != ["close"]:
        time.sleep(0.01)  # until the signal has arrived; after "close" there is no second answer
    assert proxy.ask(get()).field("connection") == ["close"]
    idle = proxy.client()
    assert proxy.process.wait(patient(30)) == 0
    assert idle.is_closed()


def test_reload_moves_requests_and_keeps_clients(lab):
    old, new = lab.backend(echo("old")), lab.backend(echo("new"))
    proxy = lab.proxy(old, top="drain_timeout 1s")
    client = proxy.client()
    assert client.ask(get()).body.startswith(b"old")
    text = proxy.config.read_text().replace(str(old.port), str(new.port))
    proxy.config.write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    end = time.time() + 30
    while not client.ask(get()).body.startswith(b"new"):
        assert time.time() < end
        time.sleep(0.01)
    while any(sock.fileno() >= 0 for sock in old.open):  # its idle connections are closed
        assert time.time() < end
        time.sleep(0.01)


def test_tunnel_to_an_instance_that_left_is_cut_after_the_drain_timeout(lab):
    old, new = lab.backend(websocket), lab.backend(echo("new"))
    proxy = lab.proxy(old, top="drain_timeout 3s")
    client = proxy.client()
    client.send(get("/", SWITCH % "websocket"))
    assert client.response().status == 101 and client.exactly(5) == b"hello"
    text = proxy.config.read_text().replace(str(old.port), str(new.port))
    proxy.config.write_text(text)
    proxy.process.send_signal(signal.SIGHUP)
    client.send(b"abc")
    assert client.exactly(3) == b"ABC"
    assert client.is_closed()


def test_combined_log_names_the_browser(lab):
    proxy = lab.proxy(lab.backend(echo()), log="combined")
    proxy.ask(get("/x", "User-Agent: curl/8\r\nReferer: http://a/\r\n"))
    line = proxy.logged(1)[0]
    assert '"GET /x HTTP/1.1" 200' in line and '"http://a/" "curl/8"' in line


def test_access_log_tells_the_story_of_a_request(lab):
    backend = lab.backend(echo())
    proxy = lab.proxy(free_port(), backend)
    for _ in range(4):
        proxy.ask("GET /a\"b HTTP/1.1\r\nHost: x\r\n\r\n")
    lines = [json.loads(line) for line in proxy.logged(4)]
    assert len(lines) == 4
    for line in lines:
        assert line["status"] == 200 and line["method"] == "GET" and line["path"] == '/a"b'
        assert line["instance"] == "127.0.0.1:%d" % backend.port and line["pool"] == "web"
        assert line["ended"] == "--" and line["bytes_out"] > 0
    assert {line["attempts"] for line in lines} & {2}


def test_many_idle_clients_cost_little(lab):
    proxy = lab.proxy(lab.backend(echo()))
    clients = [proxy.client() for _ in range(50)]
    for client in clients:
        assert client.ask(get()).status == 200
    before = proxy.rss_kib()
    more = [Client(proxy.port) for _ in range(400)]
    for client in more:
        assert client.ask(get()).status == 200
    assert proxy.rss_kib() - before < 2048 * rss_slack()
