"""The rules of HTTP/1.1 that rollcall-proxy keeps, one by one, and where each is tested.

A rule's number is the design's. Names without a file stand here; U: tests/unit; R: test_proxy_http_refused.py; S:
test_proxy_smuggling.py (by smuggling/requests.py and responses.py, each payload with its section); H: test_proxy_http.py;
F: test_proxy_http_faults.py; Z: test_proxy_http_sizes.py; P: test_proxy_protocol.py.

Framing
 1 CL and TE: S "CL.TE" and its kin, R "length and encoding"; in a response: rule_1_*, U/test_http1 response_with_both_*
 2 TE is one chunked: S 9112 6.1, R "encoding *"
 3 CL is digits: S 9110 8.6 and 9112 6.3, R "length *"
 4 chunks: S 9112 7.1, 7.1.1, E7633; bounds: U/test_framing extensions_are_bounded_*; dropped: rule_4_*
 5 framed anew: rule_5_*; S: no forwarded head has two readings
 6 where a response ends: rule_6_*, H response_until_close_*, http_1_0_client_*, response_without_body_*; cut: R truncated_*
 7 bytes behind a response: S 9112 6.3, 9.2, R suspect_connection_*
 8 pipelining: H pipelined_*, rule_8_*
Lines and fields
 9 CRLF only, one empty line before: S 9112 2.2, R "bare LF *"
10 request line and versions: S 9112 3, 2.3, R; preface: S "HTTP/2 preface"
11 names, values, folding: S 9112 5.1, 5.2, 2.2; white space: rule_11_*
12 Host and targets: S 9112 3.2, 3.2.2, R absolute_form_*, unusual_but_sound_*
13 underscores: rule_13_*, S "* with an underscore"
14 unknown methods: R unusual_but_sound_* (BREW), "TRACE"
Intermediary
15 hop by hop: rule_15_*, S 9110 7.6.1, U/test_forward
16 upgrades: H websocket_*, other_upgrades_*, 101_that_nobody_*; rule_16_*; S 9110 7.8
17 Expect and 1xx: H body_waits_*, final_answer_instead_*, interim_*; rule_17_*; S 9110 10.1.1, 15.2
18 trailers: rule_18_*, S 9110 6.5.1 (none is forwarded: no route asks for them)
19 early answers, and how long is read behind them: H answer_overtakes_*, rule_19_*
20 half-close, abort: H half_closed_*, F client_that_goes_*; rule_20_*
21 HEAD, 304, 204, 1xx: H head_has_*, rule_21_*
22 forwarding fields: H request_is_passed_*, trusted_peer_*; rule_22_*; U/test_forward max_forwards_*
23 PROXY protocol: P
24 time-outs: F late_*; rule_24_*

What may be repeated (the design's table of methods and failures): U/test_retry table_of_failures_and_methods_holds, cell by
cell; over sockets: F stale_*, post_that_was_seen_*, get_and_put_*, listed_status_*, stopping_instance_*, silent_instance_*,
refused_connections_*, S (malformed and partial heads are not asked again), and repeat_* here.
"""
import os
import socket
import struct
import time
import urllib.request

import pytest
from patience import patient
from proxy_lab import (HOST, POST, SWITCH, Stream, echo, field, get, lab, ok, read_request, says,  # noqa: F401
                       websocket)

CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"


def raw(answer=ok(), wait=0.3):
    """An instance that keeps every byte of a connection in backend.heads, and answers when nothing more comes."""
    def serve(stream, backend):
        stream.sock.settimeout(wait)
        try:
            while True:
                stream.more()
        except (socket.timeout, EOFError):
            pass
        backend.note(stream.rest.decode("latin-1"))
        stream.sock.settimeout(None)
        stream.send(answer)
    return serve


def test_rule_1_response_with_both_lengths_goes_on_with_one(lab):
    both = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    backend = lab.backend(says(both))
    answer = lab.proxy(backend).ask(get())
    assert answer.body == b"ok" and answer.field("content-length") == []
    assert answer.field("transfer-encoding") == ["chunked"]


def test_rule_4_chunk_extensions_end_here_and_rule_5_chunks_are_our_own(lab):
    backend = lab.backend(raw())
    proxy = lab.proxy(backend)
    assert proxy.ask(CHUNKED + "0005;a=b;c=\"d\"\r\nhello\r\n00A\r\n0123456789\r\n000;x\r\nX-Trailer: y\r\n\r\n").status == 200
    body = backend.heads[0].split("\r\n\r\n", 1)[1]
    assert body == "5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n"


def test_rule_4_extensions_of_16_kib_are_too_much(lab):
    line = "1;" + "a" * 250 + "\r\nx\r\n"
    assert lab.proxy(lab.backend(echo())).ask(CHUNKED + line * 70 + "0\r\n\r\n").status == 400


def test_rule_5_body_of_a_length_goes_on_as_it_is(lab):
    backend = lab.backend(raw())
    assert lab.proxy(backend).ask(POST + "Content-Length: 5\r\n\r\nhello").status == 200
    head, body = backend.heads[0].split("\r\n\r\n", 1)
    assert body == "hello" and field(head, "content-length") == ["5"] and field(head, "transfer-encoding") == []


@pytest.mark.parametrize("more", ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""])
@pytest.mark.parametrize("method,status", [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_rule_6_no_body_whatever_the_fields_say(lab, method, status, more):
    backend = lab.backend(says("HTTP/1.1 %d X\r\n%s\r\n" % (status, more)))
    client = lab.proxy(backend).client()
    for _ in range(2):
        assert client.ask("%s / HTTP/1.1\r\n%s\r\n" % (method, HOST), method).status == status


@pytest.mark.parametrize("answer", [
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"])
def test_rule_6_truncated_answer_looks_truncated_to_1_0(lab, answer):
    client = lab.proxy(lab.backend(says(answer, close=True))).client()
    client.send("GET / HTTP/1.0\r\n\r\n")
    head = client.head()
    try:
        body = b""
        while True:
            data = client.rest or client.sock.recv(65536)
            client.rest = b""
            if not data:
                break
            body += data
        said = field(head, "content-length")
        assert said and len(body) < int(said[0]), "it ended as if it were whole"
    except ConnectionResetError:
        pass


def test_rule_8_pipelined_requests_go_one_at_a_time(lab):
    running, most = [], []

    def serve(stream, backend):
        while read_request(stream, backend) is not None:
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()
            stream.send(ok())

    client = lab.proxy(lab.backend(serve)).client()
    client.send(get("/1") + get("/2") + get("/3"))
    assert [client.response().status for _ in range(3)] == [200, 200, 200]
    assert max(most) == 1


def test_rule_11_white_space_around_values_is_not_theirs(lab):
    backend = lab.backend(echo())
    assert lab.proxy(backend).ask("POST / HTTP/1.1\r\nHost:\t x \t\r\nContent-Length: \t2 \r\nX:\r\n\r\nab").body.endswith(b"|2")


def test_rule_13_underscores_pass_unless_they_could_be_taken_for_ours(lab):
    backend = lab.backend(echo())
    lab.proxy(backend).ask(get("/", "my_field: 1\r\nX_Forwarded_For: 10.0.0.1\r\nContent_Length: 9\r\nx_request_id: 2\r\n"))
    head = backend.heads[0]
    assert field(head, "my_field") == ["1"]
    assert not any(field(head, name) for name in ("x_forwarded_for", "content_length", "x_request_id"))


def test_rule_15_hop_by_hop_fields_end_here_both_ways(lab):
    hop = ("Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\n"
           "TE: trailers\r\nTrailer: X\r\nProxy-Authorization: a\r\nProxy-Authenticate: b\r\nUpgrade: h2c\r\n")
    backend = lab.backend(says(ok("ok", hop + "X-End: 2\r\n")))
    answer = lab.proxy(backend).ask(get("/", hop + "X-End: 1\r\n"))
    gone = ("connection", "x-hop", "keep-alive", "proxy-connection", "te", "trailer", "proxy-authorization",
            "proxy-authenticate", "upgrade")
    assert [name for name in gone if field(backend.heads[0], name)] == []
    assert [name for name in gone if answer.field(name)] == []
    assert field(backend.heads[0], "x-end") == ["1"] and answer.field("x-end") == ["2"]


def test_rule_16_bytes_before_the_101_wait_for_it(lab):
    def serve(stream, backend):
        backend.note(stream.head())
        stream.sock.settimeout(0.4)
        try:
            early = stream.rest or stream.sock.recv(100)
        except socket.timeout:
            early = b""
        stream.sock.settimeout(None)
        stream.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        stream.send(b"early %d|" % len(early) + stream.exactly(5))

    client = lab.proxy(lab.backend(serve)).client()
    client.send(get("/", SWITCH % "websocket") + "hello")
    assert client.response().status == 101
    assert client.exactly(13) == b"early 0|hello"


def test_rule_16_other_answer_to_an_upgrade_is_an_ordinary_one(lab):
    client = lab.proxy(lab.backend(says(ok("no")))).client()
    for _ in range(2):
        assert client.ask(get("/", SWITCH % "websocket")).body == b"no"
    assert client.ask(get()).body == b"no"


def test_rule_17_expectation_of_1_0_is_not_passed_on(lab):
    backend = lab.backend(echo())
    answer = lab.proxy(backend).ask("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab")
    assert answer.status == 200 and field(backend.heads[0], "expect") == []


def test_rule_17_up_to_16_interim_answers_pass(lab):
    client = lab.proxy(lab.backend(says("HTTP/1.1 103 X\r\nLink: a\r\n\r\n" * 16 + ok()))).client()
    client.send(get())
    assert [client.response().status for _ in range(17)] == [103] * 16 + [200]


def test_rule_18_trailers_are_read_and_left_out_both_ways(lab):
    backend = lab.backend(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"))
    client = lab.proxy(backend).client()
    client.send(CHUNKED.replace("\r\n\r\n", "\r\nTE: trailers\r\n\r\n") + "2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert client.response().body == b"ok"
    assert client.rest == b"" and "X-Sum" not in backend.heads[0]


@pytest.mark.parametrize("framing", ["Content-Length: 50000000\r\n", "Transfer-Encoding: chunked\r\n"])
def test_rule_19_refusal_amid_an_upload_stays_what_it_is(lab, framing):
    def serve(stream, backend):
        backend.note(stream.head())
        stream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.1)  # then a reset: it has not read the body

    backend = lab.backend(serve)
    client = lab.proxy(backend).client()
    client.send(POST + framing + "\r\n")
    piece = b"x" * 65536
    try:
        for _ in range(100):
            client.send(piece if framing.startswith("C") else b"10000\r\n" + piece + b"\r\n")
    except OSError:
        pass  # the answer is there
    answer = client.response()
    assert answer.status == 413 and answer.body == b"big" and answer.field("connection") == ["close"]


def test_rule_19_who_goes_on_sending_is_not_read_forever(lab):
    def serve(stream, backend):
        backend.note(stream.head())
        stream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

    client = lab.proxy(lab.backend(serve)).client()
    client.send(POST + "Content-Length: 5000000000\r\n\r\n")
    assert client.response().status == 413
    sent, end = 0, time.time() + patient(20)
    with pytest.raises(OSError):
        while time.time() < end:
            sent += client.sock.send(b"x" * 65536)
    assert sent < 64 << 20, "a megabyte, and what the sockets hold"


def test_rule_20_client_that_resets_cancels_what_runs(lab):
    gone = []

    def serve(stream, backend):
        backend.note(stream.head())
        try:
            stream.more()
        except (EOFError, ConnectionResetError):
            gone.append(1)

    backend = lab.backend(serve)
    proxy = lab.proxy(backend)
    client = proxy.client()
    client.send(get())
    end = time.time() + patient(10)
    while not backend.heads and time.time() < end:
        time.sleep(0.01)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    while not gone and time.time() < end:
        time.sleep(0.01)
    assert gone and '"status":499' in proxy.logged(1)[0]


@pytest.mark.parametrize("status,method", [(200, "HEAD"), (304, "GET")])
def test_rule_21_length_of_what_is_left_out_stays(lab, status, method):
    backend = lab.backend(says("HTTP/1.1 %d X\r\nContent-Length: 4711\r\n\r\n" % status))
    client = lab.proxy(backend).client()
    for _ in range(2):
        assert client.ask("%s / HTTP/1.1\r\n%s\r\n" % (method, HOST), "HEAD").field("content-length") == ["4711"]
    assert backend.connections == 1


@pytest.mark.parametrize("more,kept", [("Content-Length: 5\r\n", 2), ("Transfer-Encoding: chunked\r\n", 2), ("", 1)])
def test_rule_21_framing_of_204_is_dropped_and_its_connection_too(lab, more, kept):
    backend = lab.backend(says("HTTP/1.1 204 X\r\n%s\r\n" % more))
    client = lab.proxy(backend).client()
    for _ in range(2):
        answer = client.ask(get())
        assert answer.status == 204 and not answer.field("content-length") and not answer.field("transfer-encoding")
    assert backend.connections == kept


@pytest.mark.parametrize("more,kept", [("Content-Length: 5\r\n", 2), ("Transfer-Encoding: chunked\r\n", 2), ("", 1)])
def test_rule_21_framing_of_1xx_is_dropped_and_its_connection_too(lab, more, kept):
    backend = lab.backend(says("HTTP/1.1 103 X\r\n%s\r\n" % more + ok()))
    client = lab.proxy(backend).client()
    for _ in range(2):
        interim = client.ask(get())
        assert interim.status == 103 and not interim.field("content-length") and not interim.field("transfer-encoding")
        assert client.response().body == b"ok"
    assert backend.connections == kept


FORGED = ("X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"
          "Forwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n")


def test_rule_22_what_strangers_say_of_themselves_is_replaced(lab):
    backend = lab.backend(echo())
    proxy = lab.proxy(backend)
    proxy.ask(get("/", FORGED))
    head = backend.heads[0]
    assert field(head, "x-forwarded-for") == ["127.0.0.1"] and field(head, "x-forwarded-proto") == ["http"]
    assert field(head, "x-forwarded-host") == ["app.test"] and field(head, "x-forwarded-port") == [str(proxy.port)]
    assert field(head, "forwarded") == [] and field(head, "x-real-ip") == []
    assert len(field(head, "x-request-id")) == 1 and field(head, "via") == [], "Via and Forwarded are not ours to add"


def test_rule_22_what_the_trusted_say_is_extended(lab):
    backend = lab.backend(echo())
    lab.proxy(backend, listener="trust_forwarded 127.0.0.0/8").ask(get("/", FORGED + "X-Request-Id: abc\r\n"))
    head = backend.heads[0]
    assert field(head, "x-forwarded-for") == ["10.0.0.1, 127.0.0.1"] and field(head, "x-forwarded-proto") == ["https"]
    assert field(head, "x-forwarded-host") == ["evil"] and field(head, "x-request-id") == ["abc"]


def test_rule_22_max_forwards_counts_down_for_options(lab):
    backend = lab.backend(echo())
    proxy = lab.proxy(backend)
    proxy.ask("OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 3\r\n\r\n")
    proxy.ask(get("/", "Max-Forwards: 3\r\n"))
    assert [field(head, "max-forwards") for head in backend.heads] == [["2"], ["3"]]


def test_rule_24_head_has_its_time_in_all_not_per_byte(lab):
    proxy = lab.proxy(lab.backend(echo()), listener="head_timeout 1s")
    client = proxy.client()
    began = time.time()
    text = get("/", "X: " + "y" * 400 + "\r\n")
    answered = None
    for byte in text:
        try:
            client.send(byte)
        except OSError:
            break
        client.sock.settimeout(0.02)
        try:
            client.more()
            answered = time.time()
            break
        except (socket.timeout, TimeoutError):
            pass
    client.sock.settimeout(patient(10))
    assert answered is not None and answered - began < patient(8)
    assert client.response().status == 408 and client.is_closed()


def test_rule_24_idle_client_is_closed_without_a_word(lab):
    client = lab.proxy(lab.backend(echo()), listener="keepalive 300ms").client()
    assert client.ask(get()).status == 200
    assert client.is_closed(patient(10))


def test_rule_24_body_without_progress_is_408(lab):
    client = lab.proxy(lab.backend(echo()), listener="body_timeout 500ms").client()
    client.send(POST + "Content-Length: 10\r\n\r\nabc")
    assert client.response().status == 408


def test_rule_24_tunnel_without_traffic_ends(lab):
    client = lab.proxy(lab.backend(websocket), route="tunnel_idle 500ms").client()
    client.send(get("/", SWITCH % "websocket"))
    assert client.response().status == 101
    assert client.exactly(5) == b"hello" and client.is_closed(patient(10))


@pytest.mark.skipif(not os.environ.get("SLOW"), reason="takes 40 s: SLOW=1")
def test_rule_24_body_that_drips_is_408(lab):
    client = lab.proxy(lab.backend(echo())).client()
    client.send(POST + "Content-Length: 100000\r\n\r\n")
    client.sock.settimeout(0.25)
    end = time.time() + patient(60)
    while time.time() < end and not client.rest:
        client.send("x")
        try:
            client.more()
        except (socket.timeout, TimeoutError):
            pass
    client.sock.settimeout(patient(10))
    assert client.response().status == 408


def counted(proxy, name, reason):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % proxy.admin, timeout=patient(10)) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name) and 'reason="%s"' % reason in line)


def test_what_breaks_a_rule_is_counted_by_the_rule(lab):
    proxy = lab.proxy(lab.backend(says("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")))
    assert proxy.ask("GET / HTTP/1.1\nHost: x\n\n").status == 400
    assert proxy.ask(get("/", "A : b\r\n")).status == 400
    assert proxy.ask(get()).status == 502
    assert counted(proxy, "rollcall_proxy_http_bad_requests_total", "bare_lf") == 1
    assert counted(proxy, "rollcall_proxy_http_bad_requests_total", "field_name") == 1
    assert counted(proxy, "rollcall_proxy_http_bad_responses_total", "content_length") == 1


# --- what may be repeated, over sockets ---


def closing(stream, backend):
    """Reads a request and closes without an answer, but for every second connection."""
    request = read_request(stream, backend)
    if request is not None and len(backend.heads) > 1:
        stream.send(ok("second"))


@pytest.mark.parametrize("method,again", [("GET", True), ("OPTIONS", True), ("PUT", True), ("DELETE", True), ("POST", False),
                                          ("PATCH", False), ("BREW", False)])
def test_repeat_of_a_fresh_connection_that_closes_only_if_nothing_happens_twice(lab, method, again):
    backend = lab.backend(closing)
    answer = lab.proxy(backend).ask("%s / HTTP/1.1\r\n%sContent-Length: 2\r\n\r\nab" % (method, HOST))
    assert (answer.status, len(backend.heads)) == ((200, 2) if again else (502, 1))


def test_repeat_never_when_more_was_sent_than_is_kept(lab):
    def serve(stream, backend):
        backend.note(stream.head())
        stream.exactly(200000)

    backend = lab.backend(serve)
    answer = lab.proxy(backend).ask("PUT / HTTP/1.1\r\n%sContent-Length: 200000\r\n\r\n" % HOST + "x" * 200000)
    assert answer.status == 502 and len(backend.heads) == 1


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK\r\nContent-Le", "garbage\r\n\r\n"], ids=["partial", "malformed"])
def test_repeat_never_after_half_a_head(lab, answer):
    backend = lab.backend(says(answer, close=True))
    assert lab.proxy(backend).ask(get()).status == 502 and len(backend.heads) == 1


@pytest.mark.parametrize("method,again", [("GET", True), ("PUT", True), ("POST", False)])
def test_repeat_of_a_listed_status_and_of_a_stopping_instance(lab, method, again):
    text = "%s / HTTP/1.1\r\n%sContent-Length: 2\r\n\r\nab" % (method, HOST)
    for first, route in (("HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n", "retry { attempts 2; on_status 502 }"),
                         ("HTTP/1.1 503 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", "retry { attempts 2 }")):
        seen = []

        def serve(stream, backend, seen=seen, first=first):
            while read_request(stream, backend) is not None:
                seen.append(1)
                stream.send(first if len(seen) == 1 else ok())

        proxy = lab.proxy(lab.backend(serve), route=route)
        assert (proxy.ask(text).status == 200) == again and len(seen) == (2 if again else 1)
        proxy.stop()
