"""The page at rollcall-proxy's admin port, in a headless Chromium."""
import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from patience import patient
from proxy_lab import Backend, Client, echo, get
from proxy_pg import until
from test_proxy_observe import ask, pool_of, proxied

CHROMIUM = shutil.which("chromium")
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "proxy/admin/page"
NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture
def backend():
    one = Backend(echo("one"))
    yield one
    one.stop()


def dump(proxy):
    return dump_of(proxy.admin, 4000)


def dump_of(port, wait_ms):
    """The page's document after so long."""
    with tempfile.TemporaryDirectory() as profile:
        told = subprocess.run(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
             f"--virtual-time-budget={wait_ms}", "--dump-dom", f"http://127.0.0.1:{port}/"],
            capture_output=True, text=True, timeout=patient(60), check=False)
    return told.stdout


def test_browsers_get_a_page_and_others_a_list(tmp_path, backend):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        status, page = proxy.get("/", Accept="text/html,*/*")
        assert status == 200 and page.startswith("<!doctype html>")
        assert "GET  /health" in proxy.get("/")[1]
        for name in set(re.findall(r'(?:src|href)="page/([^"]+)"', page)):
            assert proxy.get("/page/" + name)[0] == 200, name
        assert proxy.get("/page/")[0] == 404 and proxy.get("/page/../config")[0] == 404
        # Nothing inline: neither scripts nor styles nor handlers.
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page)


def test_page_is_of_this_origin_only(tmp_path, backend):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.admin), timeout=patient(10)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
        policy = re.search(rb"Content-Security-Policy: (.*)\r\n", head).group(1).decode()
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert proxy.get("/", Host="evil.example")[0] == 403
        assert proxy.get("/page/app.js", Host="evil.example")[0] == 403
        assert proxy.get("/connections", Host="evil.example")[0] == 403


@browser
def test_page_draws_what_goes_on_and_takes_names_as_text(tmp_path, backend):
    with proxied(tmp_path, f'route / {{ name all; pool "{NAME}" }}', pool_of(backend.port, name=f'"{NAME}"')) as proxy:
        for _ in range(30):
            ask(proxy.port, get())
        page = dump(proxy)
    assert "The one instance takes requests." in page
    assert f"127.0.0.1:{backend.port}" in page and "● up" in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page and "<img" not in page
    assert 'class="chart"' in page and "Live, each second" in page


@browser
def test_page_says_what_is_wrong_in_words(tmp_path):
    with proxied(tmp_path, "pool web", "discovery agent { address 127.0.0.1:1 }\npool web { from agent service web }") as proxy:
        page = dump(proxy)
    assert "No instance is known: nothing can be served." in page


def acted(told, answers):
    """The port of a server of the page's files, whose /routes and /upstreams are `told` as long as answers(n) is true."""
    asked = [0]

    class Actor(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.lstrip("/")
            if path == "routes":
                asked[0] += 1
            if path in told and not answers(asked[0]):
                self.close_connection = True
                return
            body = told[path].encode() if path in told else (PAGE / (path.removeprefix("page/") or "index.html")).read_bytes()
            self.send_response(200)
            kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(path.rpartition(".")[2], "text/html")
            self.send_header("Content-Type", "application/json" if path in told else kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Actor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@browser
@pytest.mark.parametrize("answers,says", [
    (lambda n: n <= 3, ("Lost the proxy", "When last heard: The one instance takes requests.")),
    (lambda n: n <= 3 or n > 5, ("Live, each second",)),
], ids=["goes", "comes back"])
def test_page_says_when_it_lost_the_proxy_and_finds_it_again(tmp_path, backend, answers, says):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        told = {path: proxy.get("/" + path)[1] for path in ("routes", "upstreams")}
    server = acted(told, answers)
    page = dump_of(server.server_address[1], 12000)
    server.shutdown()
    for words in says:
        assert words in page


# --- connections ---


def connections(proxy, query=""):
    return json.loads(proxy.get("/connections" + query)[1])


def test_connections_are_told_with_what_they_do(tmp_path):
    gate = threading.Event()

    def slow(stream, one):
        stream.head()
        one.note("asked")
        gate.wait(patient(60))
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    waiting = Backend(slow)
    with proxied(tmp_path, "route / { name all; pool web }", pool_of(waiting.port)) as proxy:
        idle, busy = Client(proxy.port), Client(proxy.port)
        busy.send(get())
        until(lambda: waiting.heads)
        until(lambda: connections(proxy)["total"] == 2)
        told = {c["peer"]: c for c in connections(proxy)["connections"]}
        mine = told["127.0.0.1:%d" % busy.sock.getsockname()[1]]
        assert mine["state"] == "waiting" and mine["route"] == "all" and mine["instance"] == f"127.0.0.1:{waiting.port}"
        assert told["127.0.0.1:%d" % idle.sock.getsockname()[1]]["state"] == "idle"
        gate.set()
        busy.response()
        idle.sock.close()
        busy.sock.close()
        until(lambda: connections(proxy)["total"] == 0)
    waiting.stop()


def test_connections_come_by_pages(tmp_path, backend):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        clients = [Client(proxy.port) for _ in range(30)]
        until(lambda: connections(proxy)["total"] == 30)
        seen = []
        for offset in range(0, 40, 8):
            part = connections(proxy, f"?offset={offset}&limit=8")
            assert part["total"] == 30 and part["silent"] == 0
            seen += [c["peer"] for c in part["connections"]]
        assert len(seen) == len(set(seen)) == 30
        for client in clients:
            client.sock.close()


def test_connections_are_told_while_requests_go_on(tmp_path, backend):
    with proxied(tmp_path, "pool web", pool_of(backend.port)) as proxy:
        over = threading.Event()
        failed = []

        def work():
            client = Client(proxy.port)
            while not over.is_set():
                client.send(get())
                if client.response().status != 200:
                    failed.append(1)
            client.sock.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert connections(proxy)["silent"] == 0
        over.set()
        for thread in threads:
            thread.join()
        assert not failed
