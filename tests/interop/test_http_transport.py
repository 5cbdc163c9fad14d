#!/usr/bin/python3
"""What no unit test can show of the HTTP interface: sockets, many at once, and broken ones.

    sudo tests/interop/test_http_transport.py [BINARY]

One agent in a network namespace of its own.
"""
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
from test_http_fixtures import ROOT, Api, until  # noqa: E402

ADDRESS = "127.0.0.1"
api = Api(ADDRESS, 8500)


def gauge(name):
    _, _, text = api("GET", "/v1/agent/metrics?format=prometheus")
    return next(int(float(line.split()[1])) for line in text.split("\n") if line.startswith(name + " "))


def send(request):
    connection = socket.create_connection((ADDRESS, 8500), timeout=60)
    connection.sendall(request)
    return connection


def answer(request):
    """All that comes until the agent closes, or half a minute."""
    connection, got = send(request), b""
    connection.settimeout(30)
    try:
        while piece := connection.recv(65536):
            got += piece
    except socket.timeout:
        pass
    connection.close()
    return got


def until_said(connection, words):
    """All that comes until `words` are in it; it may come in pieces."""
    got = b""
    while words not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def block(service, index):
    return send(b"GET /v1/health/service/%s?index=%d&wait=60s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % (service.encode(), index))


def index_of(target):
    return int(api("GET", target)[1]["X-Consul-Index"])


def a_change_wakes_its_thousand_watchers_and_leaves_the_others():
    api.register(ID="web", Name="web", Port=80, Check={"TTL": "1h", "Status": "passing"})
    index = index_of("/v1/health/service/web")
    web = [block("web", index) for _ in range(1000)]
    others = [block(f"other{i}", 1 << 40) for i in range(200)]
    until(lambda: gauge("rollcall_http_blocking_queries") == 1200, 30)
    status, _, _ = api("PUT", "/v1/agent/check/fail/service:web?note=down")
    assert status == 200
    for connection in web:
        assert until_said(connection, b'"Output":"down"').startswith(b"HTTP/1.1 200")
        connection.close()
    until(lambda: gauge("rollcall_http_blocking_queries") == 200, 30)
    for connection in others:
        connection.close()


def clients_that_leave_free_their_place():
    waiting = [block(f"gone{i}", 1 << 40) for i in range(300)]
    until(lambda: gauge("rollcall_http_blocking_queries") >= 300, 30)
    for connection in waiting:
        connection.close()
    until(lambda: gauge("rollcall_http_blocking_queries") == 0, 30)
    until(lambda: gauge("rollcall_http_connections") < 10, 30)


def a_wait_ends_in_time():
    began = time.monotonic()
    status, headers, _ = api("GET", f"/v1/catalog/nodes?index={1 << 40}&wait=1600ms")
    took = time.monotonic() - began
    assert status == 200 and int(headers["X-Consul-Index"]) < 1 << 40
    assert 1.5 <= took < 20, took


def bodies_are_counted_not_trusted():
    big = b"a" * 65537
    head = b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert answer(head + b"Content-Length: 65537\r\n\r\n" + big).startswith(b"HTTP/1.1 413")
    chunks = b"".join(b"1000\r\n" + b"a" * 4096 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"
    assert answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).startswith(b"HTTP/1.1 413")
    small = json.dumps({"Name": "chunked"}).encode()
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(small), small)
    assert answer(chunked).startswith(b"HTTP/1.1 200")


def requests_with_two_lengths_are_refused():
    head = b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\n"
    for lines in (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                  b"Content-Length: -5\r\n", b"Content-Length: x\r\n"):
        got = answer(head + lines + b"\r\n0\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 4") and b"200 OK" not in got, (lines, got)


def foreign_names_and_pages_stay_outside():
    assert api("GET", "/v1/status/leader", headers={"Host": "evil.example"})[0] == 403
    assert api("GET", "/v1/status/leader", headers={"Host": "localhost:8500"})[0] == 200
    assert api("PUT", "/v1/agent/reload", headers={"Origin": "http://evil.example"})[0] == 403
    assert api("PUT", "/v1/agent/reload", headers={"Origin": f"http://{ADDRESS}:8500"})[0] == 200


def long_targets_are_refused():
    assert answer(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 414")
    assert answer(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 60000 + b"\r\n\r\n").startswith((b"HTTP/1.1 431", b"HTTP/1.1 413"))


def the_log_streams():
    monitor = send(b"GET /v1/agent/monitor?loglevel=info HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until_said(monitor, b"chunked")
    api("PUT", "/v1/agent/reload")
    until_said(monitor, b"reload")
    monitor.close()


def leaving_answers_before_the_end():
    waiter = block("web", 1 << 40)
    assert api("PUT", "/v1/agent/leave")[0] == 200
    assert waiter.recv(100) == b""  # ended with the agent


CLAIMS = [a_change_wakes_its_thousand_watchers_and_leaves_the_others, clients_that_leave_free_their_place, a_wait_ends_in_time,
          bodies_are_counted_not_trusted, requests_with_two_lengths_are_refused, foreign_names_and_pages_stay_outside,
          long_targets_are_refused, the_log_streams, leaving_answers_before_the_end]


def main(binary):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "w") as log:
        agent = subprocess.Popen([binary, "agent", "-node", "n1", "-bind", ADDRESS, "-data-dir", folder + "/data", "-server", "-bootstrap-expect", "1"],
                                 stdout=log, stderr=log)
        try:
            until(lambda: api("GET", "/v1/status/leader")[0] == 200, 30)
            for claim in CLAIMS:
                claim()
                print("ok", claim.__name__)
            assert agent.wait(patient(30)) == 0
        except BaseException:
            print((Path(folder) / "log").read_text()[-2000:])
            raise
        finally:
            if agent.poll() is None:
                agent.kill()
                agent.wait()


def test_the_http_transport():
    binary = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__, str(binary)],
                         capture_output=True, text=True, timeout=patient(120))
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/rollcall"))
