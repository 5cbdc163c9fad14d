"""A real rollcall-proxy before backends that a test scripts byte by byte.

Everything is on 127.0.0.1, on ports below those that the system hands out to clients. ROLLCALL_PROXY names the
program; without it build/<variant>/rollcall-proxy is looked for.
"""
import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from patience import patient

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program():
    named = os.environ.get("ROLLCALL_PROXY")
    if named:
        return named
    path = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall-proxy"
    if path.exists():
        return str(path)
    raise RuntimeError(f"{path} is not there: build it, or set ROLLCALL_BUILD or ROLLCALL_PROXY")


def rss_slack():
    """How much more a sanitized program may grow: its freed memory is held back to catch late readers."""
    return 16 if "/asan/" in program() else 1


FIRST_PORT, PORTS = 12000, 20000  # all below 32768, where the ports of outgoing connections begin
_next_port = itertools.count(os.getpid() * 97)  # two runs at a time begin far from each other


def free_port():
    """One that nobody has, that no outgoing connection will take, and that is not given out again."""
    for number in _next_port:
        port = FIRST_PORT + number % PORTS
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class Stream:
    """A socket with the little reading that HTTP tests need."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("closed after %r" % self.rest[-200:])
        self.rest += data

    def head(self):
        """One head, with its empty line; '' at an orderly end before it."""
        while b"\r\n\r\n" not in self.rest:
            try:
                self.more()
            except EOFError:
                if not self.rest:
                    return ""
                raise
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        return head.decode("latin-1") + "\r\n\r\n"

    def exactly(self, size):
        while len(self.rest) < size:
            self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return body

    def line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def chunks(self):
        body = b""
        while True:
            size = int(self.line(), 16)
            if size == 0:
                while self.line():
                    pass
                return body
            body += self.exactly(size)
            assert self.line() == b""

    def until_end(self):
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                self.more()
        body, self.rest = self.rest, b""
        return body

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))


def field(head, name):
    """All values of a field, in order."""
    lines = head.split("\r\n")[1:]
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    return [v.strip() for n, v in pairs if n.lower() == name.lower()]


def status(head):
    return int(head.split(" ", 2)[1]) if head else None


class Response:
    def __init__(self, head, body):
        self.head, self.body, self.status = head, body, status(head)

    def field(self, name):
        return field(self.head, name)


class Client(Stream):
    def __init__(self, port, timeout=30):
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=timeout))

    def response(self, method="GET"):
        head = self.head()
        code = status(head)
        if head == "" or method == "HEAD" or code in (204, 304) or code < 200:
            return Response(head, b"")
        if field(head, "transfer-encoding") == ["chunked"]:
            return Response(head, self.chunks())
        length = field(head, "content-length")
        return Response(head, self.exactly(int(length[0])) if length else self.until_end())

    def ask(self, text, method="GET"):
        self.send(text)
        return self.response(method)

    def is_closed(self, within=30):
        """True if the other side ends the connection without another byte."""
        self.sock.settimeout(within)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()


HOST = "Host: x\r\n"
POST = "POST / HTTP/1.1\r\n" + HOST


def get(path="/", more=""):
    return "GET %s HTTP/1.1\r\nHost: app.test\r\n%s\r\n" % (path, more)


def ok(text="ok", more=""):
    return "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(text), more, text)


class Backend:
    """An instance: `serve(stream, backend)` runs in a thread for every connection."""

    def __init__(self, serve, port=None):
        self.serve, self.port = serve, port or free_port()
        self.connections, self.heads, self.lock = 0, [], threading.Lock()
        self.open, self.listener = [], None
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(512)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.append(sock)
            threading.Thread(target=self.run, args=(sock,), daemon=True).start()

    def run(self, sock):
        with contextlib.suppress(OSError, EOFError, ValueError):
            self.serve(Stream(sock), self)
        with contextlib.suppress(OSError):
            sock.close()

    def note(self, head):
        with self.lock:
            self.heads.append(head)

    def stop(self):
        """As kill -9 does: the port refuses, all connections are reset."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    b"\1\0\0\0\0\0\0\0")
                    sock.shutdown(socket.SHUT_RDWR)
                    sock.close()
            self.open = []


def read_request(stream, backend):
    """A whole request: (head, body), or None at the end."""
    head = stream.head()
    if not head:
        return None
    backend.note(head)
    if field(head, "transfer-encoding"):
        return head, stream.chunks()
    length = field(head, "content-length")
    return head, stream.exactly(int(length[0])) if length else b""


def echo(name="echo"):
    """Answers every request with the backend's name, the request line and the body's size."""

    def serve(stream, backend):
        while True:
            request = read_request(stream, backend)
            if request is None:
                return
            head, body = request
            text = "%s|%s|%d" % (name, head.split("\r\n")[0], len(body))
            if head.startswith("HEAD"):
                stream.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
            else:
                stream.send(ok(text))

    return serve


def says(answer, close=False):
    """Reads one head at a time and answers with fixed bytes."""

    def serve(stream, backend):
        while True:
            request = read_request(stream, backend)
            if request is None:
                return
            stream.send(answer)
            if close:
                return

    return serve


class Proxy:
    def __init__(self, directory, backends, pool="", route="", listener="", top="",
                 log="json", workers=1):
        self.port, self.admin = free_port(), free_port()
        self.log = directory / "access.log"
        self.config = directory / "proxy.conf"
        statics = "\n".join("    static 127.0.0.1:%d" % port for port in backends)
        self.config.write_text("""
worker_threads %d
admin 127.0.0.1:%d
%s
pool web {
%s
    %s
}
listen http 127.0.0.1:%d {
    host * {
        route / { pool web; %s }
    }
    access_log file %s %s
    %s
}
""" % (workers, self.admin, top, statics, pool, self.port, route, self.log, log, listener))
        self.errors = open(directory / "proxy.err", "w+b")
        self.process = subprocess.Popen([program(), "-config", str(self.config)],
                                        stdout=self.errors, stderr=self.errors)
        self.wait_until_open()

    def wait_until_open(self):
        for _ in range(1200):
            try:
                for port in (self.port, self.admin):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("the proxy does not listen: " + self.said())

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")

    def client(self, timeout=30):
        return Client(self.port, timeout)

    def ask(self, text, method="GET"):
        client = self.client()
        try:
            return client.ask(text, method)
        finally:
            client.close()

    def rss_kib(self):
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def logged(self, wanted, within=30):
        """The access lines, once there are `wanted` of them."""
        end = time.time() + within
        while True:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            if len(lines) >= wanted or time.time() > end:
                return lines
            time.sleep(0.05)

    def stop(self):
        """Ends it and says how; sanitizers speak through the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patient(20))
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(patient(20))
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        return self.process.returncode


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
