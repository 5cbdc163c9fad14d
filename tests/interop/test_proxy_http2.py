"""HTTP/2 towards clients: the same requests, the same rules, and an end to those who only make work."""
import json
import shutil
import socket
import struct
import subprocess
import threading
import time

import hpack
import h2.settings
import pytest
from h2_client import CALM, H2Client
from patience import patient
from proxy_lab import echo, field, get, lab, ok, read_request, says  # noqa: F401

CLEAR = "http2 clear"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def made(lab, serve=None, **more):
    """An instance, a proxy before it, and a client that is connected."""
    backend = lab.backend(serve or echo())
    more["listener"] = CLEAR + "\n" + more.get("listener", "")
    proxy = lab.proxy(backend, **more)
    return backend, proxy, H2Client(proxy.port)


def metric(proxy, name):
    answer = subprocess.run(["curl", "-s", "--max-time", "20", "http://127.0.0.1:%d/metrics" % proxy.admin],
                            stdout=subprocess.PIPE, text=True, check=False).stdout
    return sum(float(line.rsplit(" ", 1)[1]) for line in answer.splitlines() if line.startswith(name))


# --- what passes ---

def test_request_and_answer_pass(lab):
    backend, proxy, client = made(lab)
    answer = client.ask(client.head(path="/a?b=c"))
    assert answer.status == 200 and answer.body == b"echo|GET /a?b=c HTTP/1.1|0"
    assert answer.field("content-length") == [str(len(answer.body))] and answer.field("connection") == []
    head = backend.heads[0]
    assert field(head, "host") == field(head, "x-forwarded-host") == ["app.test"]
    assert field(head, "x-forwarded-for") == ["127.0.0.1"]
    line = json.loads(proxy.logged(1)[0])
    assert (line["method"], line["path"], line["status"], line["bytes_out"]) == ("GET", "/a?b=c", 200, len(answer.body))


SAME = [
    ("GET", "/", [("accept", "a/b"), ("x-a", "1"), ("x-a", "2"), ("x-empty", "")]),
    ("GET", "//other.test/x?y=%20z", [("cookie", "a=b; c=d")]),
    ("DELETE", "/x", [("authorization", "Basic eDp5"), ("te", "trailers")]),
    ("OPTIONS", "*", []),
    ("PURGE", "/odd-method", [("x-forwarded-for", "6.6.6.6"), ("x_forwarded_for", "7")]),
    ("POST", "/p", [("content-length", "3")]),
    ("POST", "/p", [("content-length", "0")]),
]


@pytest.mark.parametrize("method,path,fields", SAME)
def test_instance_sees_the_same_head_as_by_http_1(lab, method, path, fields):
    backend, proxy, client = made(lab)
    body = b"x" * int(dict(fields).get("content-length", 0))
    text = "%s %s HTTP/1.1\r\nHost: app.test\r\n%s\r\n" % (method, path, "".join("%s: %s\r\n" % f for f in fields))
    assert proxy.ask(text + body.decode()).status == 200
    has_body = "content-length" in dict(fields)
    assert client.ask(client.head(method, path, fields), body if has_body else None).status == 200
    one, two = ([line for line in head.split("\r\n") if not line.startswith("X-Request-Id")] for head in backend.heads)
    assert one == two


def test_body_of_unknown_length_goes_on_in_chunks(lab):
    backend, _, client = made(lab)
    assert client.ask(client.head("POST"), b"y" * 100000).body == b"echo|POST / HTTP/1.1|100000"
    assert field(backend.heads[0], "transfer-encoding") == ["chunked"]
    assert client.ask(client.head("POST"), b"").body == b"echo|POST / HTTP/1.1|0"


def test_crumbs_of_a_cookie_are_one_field_again(lab):
    backend, _, client = made(lab)
    more = [("cookie", "a=1"), ("x-between", "x"), ("cookie", "b=2"), ("cookie", "c=3")]
    assert client.ask(client.head(more=more)).status == 200
    assert field(backend.heads[0], "cookie") == ["a=1; b=2; c=3"]
    assert field(backend.heads[0], "x-between") == ["x"]


def test_host_alone_is_enough_and_equal_ones_are_one(lab):
    backend, _, client = made(lab)
    plain = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
    assert client.ask(plain + [("host", "only.test")]).status == 200
    assert client.ask(client.head(more=[("host", "app.test")])).status == 200
    assert [field(head, "host") for head in backend.heads] == [["only.test"], ["app.test"]]


def test_many_streams_run_at_once(lab):
    gate = threading.Barrier(50, timeout=patient(30))

    def serve(stream, backend):
        while read_request(stream, backend):
            gate.wait()
            stream.send(ok("x" * 3000))

    _, _, client = made(lab, serve)
    numbers = [client.start(client.head(path="/%d" % i)) for i in range(50)]
    for number in numbers:
        assert client.finish(number).body == b"x" * 3000


def test_large_bodies_pass_both_ways(lab):
    size = 20 << 20

    def serve(stream, backend):
        head = stream.head()
        left = int(field(head, "content-length")[0])
        stream.exactly(left)
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        stream.send(b"z" * size)

    _, proxy, client = made(lab, serve)
    before = proxy.rss_kib()
    answer = client.ask(client.head("PUT", more=[("content-length", str(size))]), b"y" * size)
    assert answer.status == 200 and len(answer.body) == size and answer.body.count(b"z") == size
    assert proxy.rss_kib() - before < 20 * 1024  # not what passes, but windows and sanitizers' hoards


def test_answers_without_a_body_end_with_their_head(lab):
    def serve(stream, backend):
        while True:
            head = stream.head()
            if not head:
                return
            code = head.split(" ")[1][1:]
            stream.send("HTTP/1.1 %s X\r\nContent-Length: 5\r\n\r\n" % code if head.startswith("HEAD") or code == "304"
                        else "HTTP/1.1 %s X\r\n\r\n" % code)

    _, _, client = made(lab, serve)
    for method, code in (("HEAD", 200), ("GET", 304), ("GET", 204)):
        answer = client.ask(client.head(method, "/%d" % code))
        assert (answer.status, answer.body, answer.ended) == (code, b"", True)
        assert answer.field("content-length") == ([] if code == 204 else ["5"])


def test_own_answers_are_answers(lab):
    _, _, client = made(lab)
    answer = client.ask(client.head("TRACE"))
    assert answer.status == 405 and answer.field("allow") and b"not served" in answer.body
    assert client.ask(client.head("HEAD", "/x", [("max-forwards", "1")])).status == 200
    assert client.ask([(":method", "CONNECT"), (":authority", "app.test:80")]).status == 405


def test_interim_answers_pass(lab):
    def serve(stream, backend):
        head = stream.head()
        stream.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        if field(head, "expect"):
            stream.send("HTTP/1.1 100 Continue\r\n\r\n")
        body = stream.exactly(3)
        stream.send(ok(body.decode()))

    _, _, client = made(lab, serve)
    number = client.start(client.head("POST", more=[("content-length", "3"), ("expect", "100-continue")]), end=False)
    assert client.until(lambda: client.answers[number].interim == [103, 100])
    client.body(number, b"abc")
    assert client.finish(number).body == b"abc"


def test_trailers_end_here_and_bad_ones_break_the_request(lab):
    backend, _, client = made(lab)
    number = client.start(client.head("POST"), end=False)
    client.body(number, b"abc", end=False)
    client.h2.send_headers(number, [("x-checksum", "1")], end_stream=True)
    client.flush()
    assert client.finish(number).body == b"echo|POST / HTTP/1.1|3"
    number = client.start(client.head("POST"), end=False)
    client.body(number, b"abc", end=False)
    client.h2.send_headers(number, [("content-length", "3")], end_stream=True)
    client.flush()
    answer = client.finish(number)
    assert answer.reset is not None or answer.status == 400
    assert len(backend.heads) <= 2


# --- what does not ---

BAD = [
    ("connection field", [("connection", "close")]),
    ("transfer-encoding", [("transfer-encoding", "chunked")]),
    ("upgrade", [("upgrade", "h2c")]),
    ("keep-alive", [("keep-alive", "1")]),
    ("te", [("te", "gzip")]),
    ("another host", [("host", "evil.test")]),
    ("two hosts", [("host", "app.test"), ("host", "evil.test")]),
    ("line end in a value", [("x", "a\r\nTransfer-Encoding: chunked")]),
    ("LF in a value", [("x", "a\nb")]),
    ("NUL in a value", [("x", "a\0b")]),
    ("control byte in a value", [("x", "a\x01b")]),
    ("space before a value", [("x", " a")]),
    ("colon in a name", [("transfer-encoding:chunked", "x")]),
    ("space in a name", [("a b", "x")]),
    ("line end in a name", [("a\r\nb", "x")]),
    ("upper case", [("X-Upper", "x")]),
    ("empty name", [("", "x")]),
    ("pseudo after a field", [("x", "y"), (":path", "/other")]),
    ("pseudo twice", [(":path", "/other")]),
    ("unknown pseudo", [(":protocols", "x")]),
    ("two lengths", [("content-length", "3"), ("content-length", "4")]),
    ("signed length", [("content-length", "+0")]),
    ("unknown expectation", [("expect", "200-ok")]),
]


@pytest.mark.parametrize("why,more", BAD, ids=[b[0].replace(" ", "_") for b in BAD])
def test_bad_fields_are_refused_and_nothing_passes(lab, why, more):
    backend, _, client = made(lab)
    answer = client.ask(client.head(more=more))
    assert answer.reset is not None or answer.status in (400, 417, 431), why
    assert backend.heads == []
    assert client.ask(client.head(path="/next")).status == 200  # one stream's fault is no other's


PSEUDO = [
    ("GET", "http://evil.test/", "app.test", "http"),
    ("GET", "/a b", "app.test", "http"),
    ("GET", "/a\r\nx: y", "app.test", "http"),
    ("GET", "/a#b", "app.test", "http"),
    ("GET", "a", "app.test", "http"),
    ("GET", "", "app.test", "http"),
    ("GET", "*", "app.test", "http"),
    ("GE T", "/", "app.test", "http"),
    ("GET", "/", "user@app.test", "http"),
    ("GET", "/", "app.test, evil.test", "http"),
    ("GET", "/", "app.test/x", "http"),
    ("GET", "/", "", "http"),
    ("GET", "/", "app.test", "ftp"),
    ("GET", "/", "app.test", ""),
    ("GET", "/\x80", "app.test", "http"),
]


@pytest.mark.parametrize("method,path,authority,scheme", PSEUDO)
def test_bad_requests_are_refused_and_nothing_passes(lab, method, path, authority, scheme):
    backend, _, client = made(lab)
    answer = client.ask(client.head(method, path, authority=authority, scheme=scheme))
    assert answer.reset is not None or answer.status == 400
    assert backend.heads == []
    assert client.ask(client.head(path="/next")).status == 200


@pytest.mark.parametrize("length,body", [("5", b"abc"), ("2", b"abc"), ("0", b"a")])
def test_body_must_be_as_long_as_it_said(lab, length, body):
    backend, _, client = made(lab)
    answer = client.ask(client.head("POST", more=[("content-length", length)]), body)
    assert answer.reset is not None or answer.status == 400 or length == "0"  # then it is whole before
    assert client.ask(client.head(path="/next")).status == 200
    assert not any(head.startswith("POST") and length == "5" for head in backend.heads[1:])


def test_too_many_and_too_large_fields_are_431(lab):
    backend, _, client = made(lab)
    assert client.ask(client.head(more=[("x-%d" % i, "y") for i in range(101)])).status == 431
    assert client.ask(client.head(more=[("x-%d" % i, "y" * 4000) for i in range(5)])).status == 431
    assert client.ask(client.head(path="/" + "a" * 8200)).status in (414, 431)
    assert backend.heads == []
    assert client.ask(client.head()).status == 200


def test_preface_is_a_bad_request_where_nobody_asked_for_http_2(lab):
    proxy = lab.proxy(lab.backend(echo()))
    client = proxy.client()
    client.send(PREFACE)
    assert client.response().status in (400, 505)


def test_http_1_and_2_share_a_port(lab):
    _, proxy, client = made(lab)
    assert proxy.ask(get()).status == 200
    assert client.ask(client.head()).status == 200
    assert proxy.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\n"
                     "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n").status == 200


# --- ends ---

def test_answer_before_the_body_is_whole(lab):
    def serve(stream, backend):
        backend.note(stream.head())
        stream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        stream.until_end()

    _, _, client = made(lab, serve)
    number = client.start(client.head("POST", more=[("content-length", "1000000")]), end=False)
    client.body(number, b"x" * 1000, end=False)
    answer = client.finish(number)
    assert (answer.status, answer.body) == (413, b"no")
    assert client.until(lambda: answer.reset is not None) and answer.reset == 0
    assert client.ask(client.head()).status == 413


def test_cut_answer_is_a_reset(lab):
    backend, _, client = made(lab, says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", close=True))
    answer = client.ask(client.head())
    assert answer.body == b"abc" and not answer.ended and answer.reset not in (None, 0)


def test_reset_by_the_client_ends_the_attempt(lab):
    seen = threading.Event()

    def serve(stream, backend):
        backend.note(stream.head())
        stream.until_end()
        seen.set()

    backend, proxy, client = made(lab, serve)
    number = client.start(client.head())
    assert client.until(lambda: backend.heads, within=0) or time.sleep(0.2) is None
    end = time.time() + patient(20)
    while not backend.heads and time.time() < end:
        time.sleep(0.02)
    client.reset(number)
    assert seen.wait(patient(20))
    assert json.loads(proxy.logged(1)[0])["status"] == 499


def test_dead_instance_is_no_failure(lab):
    dead, alive = lab.backend(echo("dead")), lab.backend(echo("alive"))
    proxy = lab.proxy(dead, alive, listener=CLEAR)
    dead.stop()
    client = H2Client(proxy.port)
    for _ in range(10):
        assert client.ask(client.head()).body.startswith(b"alive")


def test_stop_lets_streams_finish_and_says_goaway(lab):
    gate = threading.Event()

    def serve(stream, backend):
        backend.note(stream.head())
        gate.wait(patient(20))
        stream.send(ok("done"))

    backend, proxy, client = made(lab, serve, top="grace 0s; drain_timeout 30s")
    number = client.start(client.head())
    end = time.time() + patient(20)
    while not backend.heads and time.time() < end:
        time.sleep(0.02)
    proxy.process.terminate()
    assert client.until(lambda: client.goaway is not None) and client.goaway == 0
    gate.set()
    assert client.finish(number).body == b"done"
    assert client.until(lambda: client.closed)
    assert proxy.stop() == 0


def test_idle_connection_is_ended_in_order(lab):
    _, _, client = made(lab, listener="keepalive 300ms")
    assert client.ask(client.head()).status == 200
    assert client.until(lambda: client.closed) and client.goaway == 0


def test_incomplete_head_is_not_waited_for(lab):
    _, proxy, client = made(lab, listener="head_timeout 300ms")
    client.raw(frame(1, 0, 1, hpack.Encoder().encode(client.head())[:3]))  # HEADERS without END_HEADERS
    assert client.until(lambda: client.closed)


# --- work for nothing ---

def flood(client, data):
    """Sends until the proxy has had enough."""
    client.judges = False
    for _ in range(400):
        if not client.raw(data):
            break
    return client.until(lambda: client.closed or client.goaway is not None)


def head_block(client):
    return hpack.Encoder().encode(client.head())


FLOODS = {
    "ping": lambda c: frame(6, 0, 0, b"12345678") * 100,
    "settings": lambda c: frame(4, 0, 0) * 100,
    "priority": lambda c: frame(2, 0, 1, struct.pack("!IB", 0, 1)) * 100,
    "unknown frames": lambda c: frame(200, 0, 0, b"x") * 100,
    "window updates": lambda c: frame(8, 0, 0, struct.pack("!I", 1)) * 100,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_flood_of_frames_that_bring_nothing_is_ended(lab, kind):
    _, proxy, client = made(lab)
    assert flood(client, FLOODS[kind](client))
    assert client.goaway in (CALM, None)
    assert metric(proxy, "rollcall_proxy_http2_calmed_total") == 1
    assert H2Client(proxy.port).ask(H2Client.head()).status == 200


def test_rapid_reset_is_ended(lab):
    backend, proxy, client = made(lab)
    block, number = head_block(client), 1
    client.judges = False
    for _ in range(100):
        batch = b""
        for _ in range(50):
            batch += frame(1, 5, number, block) + frame(3, 0, number, struct.pack("!I", 8))
            number += 2
        if not client.raw(batch):
            break
    assert client.until(lambda: client.closed or client.goaway is not None)
    assert metric(proxy, 'rollcall_proxy_http2_calmed_total{reason="reset"}') == 1
    assert len(backend.heads) < 1000


def test_flood_of_continuations_is_ended(lab):
    _, proxy, client = made(lab)
    client.raw(frame(1, 0, 1, head_block(client)))
    assert flood(client, frame(9, 0, 1) * 10)
    assert H2Client(proxy.port).ask(H2Client.head()).status == 200


def test_flood_of_empty_data_is_ended(lab):
    _, proxy, client = made(lab)
    client.start(client.head("POST"), end=False)
    assert flood(client, frame(0, 0, 1) * 100)
    assert metric(proxy, 'rollcall_proxy_http2_calmed_total{reason="tiny_data"}') == 1


def test_head_that_expands_without_end_is_refused(lab):
    """One entry of 4 KB in the table, and a head that names it ten thousand times."""
    backend, proxy, client = made(lab)
    encoder = hpack.Encoder()
    block = encoder.encode(client.head())
    large = encoder.encode([("x-bomb", "a" * 3900)])
    again = encoder.encode([("x-bomb", "a" * 3900)])  # an index now
    assert len(again) < 3
    client.judges = False
    client.raw(frame(1, 5, 1, block + large + again * 8000))
    client.until(lambda: client.closed or client.goaway is not None, within=1)
    assert backend.heads == []
    assert H2Client(proxy.port).ask(H2Client.head()).status == 200


def test_client_that_opens_no_window_loses_its_stream_only(lab):
    def serve(stream, backend):
        while read_request(stream, backend):
            stream.send(ok("x" * 200000))

    backend = lab.backend(serve)
    proxy = lab.proxy(backend, listener=CLEAR + "\nbody_timeout 500ms")
    client = H2Client(proxy.port, window=0)
    number = client.start(client.head())
    answer = client.finish(number)
    assert answer.status == 200 and answer.reset not in (None, 0)
    assert client.ask(client.head("TRACE", "/")).status == 405 or client.answers


def test_more_streams_than_allowed_are_refused(lab):
    gate = threading.Event()

    def serve(stream, backend):
        while read_request(stream, backend):
            gate.wait(patient(20))
            stream.send(ok("x"))

    backend = lab.backend(serve)
    proxy = lab.proxy(backend, listener=CLEAR + "\nhttp2_streams 4")
    client = H2Client(proxy.port)
    block = head_block(client)
    client.judges = False
    client.raw(b"".join(frame(1, 5, number, block) for number in range(1, 21, 2)))
    end = time.time() + patient(20)
    while len(backend.heads) < 4 and time.time() < end:
        time.sleep(0.02)
    time.sleep(0.2)
    assert len(backend.heads) == 4
    gate.set()


@pytest.mark.parametrize("first", [
    b"\xff" * 100, PREFACE + b"\xff" * 100, PREFACE + frame(0, 0, 1, b"x"),
    PREFACE + frame(4, 0, 0) + frame(1, 5, 2, b"\x82"), PREFACE + frame(4, 0, 0) + frame(1, 4, 1, b"\xff\xff\xff\xff\xff"),
    PREFACE + frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"), PREFACE + frame(4, 0, 0) + frame(5, 4, 1, b"\0\0\0\2\x82"),
    PREFACE + frame(4, 0, 0) + frame(8, 0, 0, b"\0\0\0\0"), PREFACE[:20], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
])
def test_broken_framing_ends_the_connection(lab, first):
    _, proxy, _ = made(lab, listener="head_timeout 500ms")
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=patient(20))
    sock.sendall(first)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    assert H2Client(proxy.port).ask(H2Client.head()).status == 200


# --- programs of others ---

def test_curl_speaks_it(lab, tmp_path):
    _, proxy, _ = made(lab)
    data = tmp_path / "data"
    data.write_bytes(b"x" * 3000000)
    said = subprocess.run(["curl", "-s", "--max-time", str(patient(20)), "--http2-prior-knowledge", "-T", str(data),
                           "-w", " %{http_version} %{http_code}", "http://127.0.0.1:%d/up" % proxy.port],
                          stdout=subprocess.PIPE, text=True, check=False).stdout
    assert said == "echo|PUT /up HTTP/1.1|3000000 2 200"


@pytest.mark.skipif(not shutil.which("h2load"), reason="no h2load")
def test_h2load_sees_no_error(lab):
    _, proxy, _ = made(lab)
    said = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "100", "http://127.0.0.1:%d/" % proxy.port],
                          stdout=subprocess.PIPE, text=True, timeout=patient(60), check=False).stdout
    assert "2000 succeeded, 0 failed" in said, said
