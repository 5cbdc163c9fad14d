"""Long bodies through rollcall-proxy, which pass through pipes: nothing is lost, doubled or kept for good, whoever stops when.

PROXY_LARGE=6 (make proxy-large) has GiB of it instead of a quarter; what is compared are all bytes.
"""
import contextlib
import hashlib
import json
import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.request

import proxy_rivals
import pytest
from patience import patient
from proxy_lab import POST, field, free_port, get, lab, ok, read_request, rss_slack  # noqa: F401

LARGE = int(float(os.environ.get("PROXY_LARGE", 0.25)) * (1 << 30))
SEED = int(os.environ.get("PROXY_SEED", random.SystemRandom().getrandbits(32)))
MIB = 1 << 20


def bytes_of(seed, size):
    return random.Random(seed).randbytes(size)


def chunked(body, pieces):
    """As chunks of these sizes, the last one what is left."""
    at, out = 0, []
    while at < len(body):
        piece = body[at:at + next(pieces)]
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
    return b"".join(out) + b"0\r\n\r\n"


def pieces_of(rng):
    """Small ones, and those that are long enough for a pipe."""
    while True:
        yield rng.choice((1, 17, 4096, 65536, 262143, 262144, 262145, 700000, 2 * MIB))


def spliced(proxy):
    said = urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin}/metrics", timeout=patient(10)).read().decode()
    return int(float(re.search(r"^rollcall_proxy_spliced_bytes_total (\S+)", said, re.M)[1]))


def until(claim, within=20):
    end = time.monotonic() + patient(within)
    while not claim():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def library(stream, backend):
    """GET /SEED/SIZE/FORM gives these bytes; a POST is answered by the digest of what came."""
    while True:
        request = read_request(stream, backend)
        if request is None:
            return
        head, body = request
        if head.startswith("POST"):
            stream.send(ok(hashlib.sha256(body).hexdigest()))
            continue
        seed, size, form = head.split(" ")[1].strip("/").split("/")
        body = bytes_of(int(seed), int(size))
        if form == "chunks":
            stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, pieces_of(random.Random(int(seed)))))
        elif form == "close":
            stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
            return
        else:
            stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def sizes(rng, count):
    edges = (1, 18432, 262143, 262144, 262145, MIB, MIB + 1)
    return [rng.choice(edges) if rng.random() < 0.3 else rng.randrange(1, 6 * MIB) for _ in range(count)]


def test_bodies_of_any_size_arrive_as_they_were(lab):
    rng = random.Random(SEED)
    print("PROXY_SEED=%d" % SEED)
    proxy = lab.proxy(lab.backend(library))
    client = proxy.client(patient(60))
    for seed, size in enumerate(sizes(rng, 24)):
        for form in ("length", "chunks", "close"):
            answer = client.ask(get(f"/{seed}/{size}/{form}"))
            assert answer.body == bytes_of(seed, size), (seed, size, form)
    assert spliced(proxy) > MIB


def test_requests_of_any_size_arrive_as_they_were(lab):
    rng = random.Random(SEED)
    print("PROXY_SEED=%d" % SEED)
    proxy = lab.proxy(lab.backend(library))
    client = proxy.client(patient(60))
    for seed, size in enumerate(sizes(rng, 24)):
        body = bytes_of(seed, size)
        for form in ("length", "chunks"):
            if form == "length":
                client.send(POST.encode() + b"Content-Length: %d\r\n\r\n" % size + body)
            else:
                client.send(POST.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, pieces_of(rng)))
            assert client.response().body.decode() == hashlib.sha256(body).hexdigest(), (seed, size, form)
    assert spliced(proxy) > MIB


def test_bodies_until_close_end_at_the_close_for_old_clients(lab):
    proxy = lab.proxy(lab.backend(library))
    client = proxy.client(patient(60))
    client.send("GET /5/%d/close HTTP/1.0\r\n\r\n" % (5 * MIB))
    client.head()
    assert hashlib.sha256(client.until_end()).digest() == hashlib.sha256(bytes_of(5, 5 * MIB)).digest()


@pytest.mark.parametrize("end", ["orderly", "reset"])
@pytest.mark.parametrize("form", ["length", "chunks", "close"])
def test_what_the_instance_cuts_looks_cut(lab, form, end):
    sent = 3 * MIB

    def serve(stream, backend):
        read_request(stream, backend)
        framing = {"length": "Content-Length: %d" % (8 * MIB), "chunks": "Transfer-Encoding: chunked", "close": "Connection: close"}[form]
        stream.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n" + ("%x\r\n" % (8 * MIB) if form == "chunks" else ""))
        stream.send(b"x" * sent)
        if end == "reset":
            time.sleep(0.5)  # what has not been read would go with it
            reset(stream.sock)

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client(patient(30))
    client.send(get())
    if form == "close" and end == "orderly":  # the end is the end
        assert client.response().body == b"x" * sent
        return
    client.head()
    body = client.until_end()
    if form == "length":
        assert len(body) <= sent
    else:
        assert not body.endswith(b"0\r\n\r\n")
    assert proxy.logged(1)


def test_client_that_resets_ends_the_instances_connection(lab):
    gone = threading.Event()

    def serve(stream, backend):
        read_request(stream, backend)
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while True:
                stream.send(b"x" * MIB)
        except OSError:
            gone.set()

    proxy = lab.proxy(lab.backend(serve))
    for wait in (0, 0.3):
        client = proxy.client()
        client.send(get())
        client.exactly(2 * MIB)
        time.sleep(wait)  # then the pipe is full
        reset(client.sock)
        assert gone.wait(patient(20))
        gone.clear()


def test_half_closed_client_gets_the_whole_body(lab):
    proxy = lab.proxy(lab.backend(library))
    client = proxy.client(patient(30))
    client.send(get("/1/%d/length" % (8 * MIB)))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.response().body == bytes_of(1, 8 * MIB)


def test_half_closed_upload_is_no_whole_request(lab):
    ends = []

    def serve(stream, backend):
        stream.head()
        got = len(stream.rest)
        with contextlib.suppress(OSError):
            while piece := stream.sock.recv(1 << 18):
                got += len(piece)
        ends.append(got)

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client()
    client.send(POST + "Content-Length: %d\r\n\r\n" % (8 * MIB))
    client.send(b"x" * (3 * MIB))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed(patient(20))
    until(lambda: ends)
    assert ends[0] < 8 * MIB


def test_early_answer_passes_while_a_long_body_comes(lab):
    def serve(stream, backend):
        stream.head()
        got = len(stream.rest)
        while got < 2 * MIB:
            got += len(stream.sock.recv(65536))
        stream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        time.sleep(0.5)

    proxy = lab.proxy(lab.backend(serve))
    client = proxy.client(patient(30))
    client.send(POST + "Content-Length: %d\r\n\r\n" % (1 << 30))
    with contextlib.suppress(OSError):
        client.sock.settimeout(patient(2))
        for _ in range(64):  # until it is no longer taken
            client.sock.sendall(b"x" * MIB)
    client.sock.settimeout(patient(30))
    answer = client.response()
    assert answer.status == 413 and answer.body == b"big"


def test_long_chunks_over_the_limit_of_a_route_are_refused(lab):
    proxy = lab.proxy(lab.backend(library), route="body_limit 2MiB")
    client = proxy.client(patient(30))
    with contextlib.suppress(OSError):
        client.send(POST.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % (4 * MIB) + b"x" * (3 * MIB))
    assert client.response().status == 413


def test_client_that_reads_nothing_does_not_keep_an_instance(lab):
    """Neither for good, while it takes nothing, nor at all when its answer fits into what is between them."""
    gone = threading.Event()

    def serve(stream, backend):
        head, _ = read_request(stream, backend)
        size = int(head.split(" ")[1].strip("/"))
        with contextlib.suppress(OSError):
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // MIB):
                stream.send(b"x" * MIB)
        gone.set()

    proxy = lab.proxy(lab.backend(serve), listener="body_timeout 2s")
    client = proxy.client()
    client.send(get("/%d" % (1 << 30)))
    assert gone.wait(patient(30))
    assert "".join(proxy.logged(1))


def test_fast_clients_pass_slow_ones(lab):
    """More slow ones than there are large pipes; what they are owed comes when they read."""
    proxy = lab.proxy(lab.backend(library))
    slow = [proxy.client(patient(60)) for _ in range(40)]
    for number, client in enumerate(slow):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(get(f"/{number}/{4 * MIB}/length"))
    time.sleep(0.5)
    assert proxy.client(patient(30)).ask(get("/77/%d/length" % (4 * MIB))).body == bytes_of(77, 4 * MIB)
    for number, client in enumerate(slow):
        assert client.response().body == bytes_of(number, 4 * MIB)


@pytest.fixture
def origin():
    port = free_port()
    if not (proxy_rivals.LOAD / "proxy_origin").exists():
        pytest.skip("tests/load is not built")
    peer = proxy_rivals.Peer("origin", [str(proxy_rivals.LOAD / "proxy_origin"), "127.0.0.1", str(port)], port)
    yield port
    peer.end()


def bulk(proxy, way, path):
    command = [str(proxy_rivals.LOAD / "proxy_bulk"), way, "127.0.0.1", str(proxy.port), path, str(LARGE), "check"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=patient(200)).stdout)


@pytest.mark.parametrize("way", ["get", "put"])
def test_large_bodies_are_whole_and_take_no_memory(lab, origin, way):
    proxy = lab.proxy(origin)
    assert proxy.ask(get("/bytes/10000000")).status == 200
    path, most, over = ("/bytes/%d" % LARGE if way == "get" else "/check"), [0], threading.Event()

    def watch():
        while not over.wait(0.02):
            most[0] = max(most[0], proxy.rss_kib())

    before = proxy.rss_kib()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = bulk(proxy, way, path)
    finally:
        over.set()
        watcher.join()
    print(f"{LARGE / (1 << 30):g} GiB {way}: {found}, resident {before} KiB, at most {most[0]}, after {proxy.rss_kib()}, spliced {spliced(proxy)}")
    assert found["sound"], found
    assert max(most[0], proxy.rss_kib()) - before < 1024 * rss_slack()
    assert spliced(proxy) > LARGE // 2


# --- TCP ---

def tcp(lab, serve):
    """A connection through a listener in mode tcp, and the proxy."""
    port = free_port()
    proxy = lab.proxy(lab.backend(serve), top="listen tcp 127.0.0.1:%d { pool web }" % port)
    return proxy, port


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=patient(30))


def read_all(sock):
    got = []
    while piece := sock.recv(1 << 18):
        got.append(piece)
    return b"".join(got)


def test_tcp_passes_much_both_ways_at_once_and_each_end_by_itself(lab):
    size = 20 * MIB

    def serve(stream, backend):
        sender = threading.Thread(target=lambda: (stream.send(bytes_of(2, size)), stream.sock.shutdown(socket.SHUT_WR)))
        sender.start()
        digests.append(hashlib.sha256(read_all(stream.sock)).hexdigest())
        sender.join()

    digests = []
    proxy, port = tcp(lab, serve)
    client = connect(port)

    def send():
        body, rng, at = bytes_of(1, size), random.Random(SEED), 0
        while at < size:
            piece = rng.choice((1, 100, 70000, MIB))
            client.sendall(body[at:at + piece])
            at += piece
            if rng.random() < 0.02:
                time.sleep(0.02)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert hashlib.sha256(read_all(client)).digest() == hashlib.sha256(bytes_of(2, size)).digest()
    sender.join()
    until(lambda: digests)
    assert digests == [hashlib.sha256(bytes_of(1, size)).hexdigest()]
    assert spliced(proxy) > MIB


def test_tcp_end_comes_behind_what_a_slow_reader_is_owed(lab):
    size = 12 * MIB

    def serve(stream, backend):
        stream.send(bytes_of(3, size))

    _, port = tcp(lab, serve)
    client = connect(port)
    time.sleep(0.7)
    assert read_all(client) == bytes_of(3, size)


def test_tcp_reset_is_passed_on(lab):
    seen = []

    def serve(stream, backend):
        if backend.connections == 1:  # cut by the instance
            stream.send(b"x" * (4 * MIB))
            reset(stream.sock)
            return
        try:
            while stream.sock.recv(1 << 18):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")

    _, port = tcp(lab, serve)
    client = connect(port)
    with pytest.raises(ConnectionResetError):
        read_all(client)
    client = connect(port)
    client.sendall(b"x" * (4 * MIB))
    time.sleep(0.3)
    reset(client)
    until(lambda: seen)
    assert seen == ["reset"]
