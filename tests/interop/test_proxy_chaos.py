"""Clients and instances that do anything at any time: the proxy must outlive them all, and owe
nothing when they have gone. CHAOS_SECONDS and CHAOS_SEED make it longer, or the same again."""
import contextlib
import os
import random
import socket
import threading
import time
import urllib.request

from proxy_lab import Backend, Proxy, echo, get, ok, read_request

SECONDS = float(os.environ.get("CHAOS_SECONDS", "4"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
RESET = b"\1\0\0\0\0\0\0\0"

ANSWERS = [
    ok("x" * 100), ok("y" * 100000), ok("z", "Connection: close\r\n"),
    "HTTP/1.1 200 OK\r\n\r\nuntil close",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
    "HTTP/1.1 100 Continue\r\n\r\n" + ok("after"), "HTTP/1.1 103 E\r\n\r\n" * 20,
    "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "", ok("a") + ok("b"),
]

SWITCH = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
BODY = "POST / HTTP/1.1\r\nHost: x\r\n"
REQUESTS = [
    get(), get() * 5, get("/", SWITCH) + "data", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    BODY + "Content-Length: 5\r\n\r\nhello", BODY + "Content-Length: 99999\r\n\r\n" + "x" * 50000,
    BODY + "Content-Length: 70000\r\n\r\n" + "x" * 70000 + get(),
    BODY + "Transfer-Encoding: chunked\r\n\r\n" + "5\r\nhello\r\n" * 5000 + "0\r\n\r\n",
    BODY + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    BODY.replace("POST", "PUT") + "Content-Length: 30000\r\n\r\n" + "x" * 30000,
    BODY + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET /",
    "\x16\x03\x01garbage", get("/", "Connection: close\r\n"),
]


def moody(seed):
    chance = random.Random(seed)

    def serve(stream, backend):
        while True:
            mood = chance.random()
            if mood < 0.05:
                stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            if mood < 0.15:  # answers before the body, or instead of reading it
                stream.head()
            elif read_request(stream, backend) is None:
                return
            answer = chance.choice(ANSWERS)
            if mood > 0.9:
                time.sleep(chance.random() * 0.05)
            at = chance.randrange(len(answer) + 1) if mood > 0.7 else 0
            stream.send(answer[:at])
            if at:
                time.sleep(0.002)
            stream.send(answer[at:])
            if mood > 0.6:
                if mood > 0.8:
                    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return

    return serve


def behave_badly(proxy, seed, end):
    chance = random.Random(seed)
    while time.time() < end:
        with contextlib.suppress(OSError, EOFError, ValueError, IndexError):
            client = proxy.client(timeout=chance.choice([0.02, 0.2]))
            if chance.random() < 0.2:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            text = chance.choice(REQUESTS)
            at = chance.randrange(len(text) + 1) if chance.random() < 0.5 else 0
            client.send(text[:at])
            if at:
                time.sleep(chance.random() * 0.01)
            client.send(text[at:])
            if chance.random() < 0.3:
                client.sock.shutdown(socket.SHUT_WR)
            if chance.random() < 0.7:
                client.response()
            if chance.random() < 0.3:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()


def gauge(proxy, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % proxy.admin).read().decode()
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(name + "{")]
    return sum(float(value) for value in values)


def test_chaos_leaves_nothing_behind(tmp_path):
    backends = [Backend(moody(SEED * 100 + i)) for i in range(3)] + [Backend(echo())]
    proxy = Proxy(tmp_path, [b.port for b in backends],
                  pool="response_timeout 300ms; outlier { failures 0 }",
                  listener="head_timeout 300ms; body_timeout 300ms; keepalive 300ms",
                  route="tunnel_idle 1s; retry { attempts 3; on_status 503 }")
    end = time.time() + SECONDS
    clients = [threading.Thread(target=behave_badly, args=(proxy, SEED * 1000 + i, end), daemon=True)
               for i in range(12)]
    for client in clients:
        client.start()
    while time.time() < end:
        chance = random.Random(SEED + int(time.time() * 10))
        time.sleep(0.3)
        victim = chance.choice(backends)
        victim.stop()
        time.sleep(0.05)
        victim.start()
    for client in clients:
        client.join()
    assert proxy.process.poll() is None, proxy.said()
    for name in ("running", "clients", "buffers"):
        deadline = time.time() + 30
        while gauge(proxy, "rollcall_proxy_http_" + name) != 0:
            assert time.time() < deadline, name
            time.sleep(0.1)
    assert proxy.stop() == 0, proxy.said()
    for backend in backends:
        backend.stop()
