"""HTTP through rollcall-proxy: its stop, its reload, and its access log."""
import json
import signal
import threading
import time

from patience import patient
from proxy_lab import SWITCH, echo, free_port, get, lab, ok, read_request, websocket  # noqa: F401


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
