"""HTTP through rollcall-proxy: what passes, and how."""
import socket
import threading
import time

import pytest
from proxy_lab import SWITCH, echo, field, get, lab, ok, says, websocket  # noqa: F401


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
