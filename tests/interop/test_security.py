"""Tests of threats that no other file has; tests/SECURITY.md says which threat is tested where."""
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from patience import patient
import serf_pool
from store_agents import BINARY, ROOT, Agents, until

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def agents(tmp_path):
    made = Agents(tmp_path)
    yield made
    made.end()


# ---- Secrets: row 10.


def crash(words, folder, ready):
    """Starts it as nobody who wants a core dump, waits until it is `ready`, and lets it crash."""
    with open(folder / "out", "w") as out:
        process = subprocess.Popen([*NOBODY, "prlimit", "--core=unlimited", *map(str, words)], cwd=folder, stdout=out, stderr=out)
    try:
        until(lambda: ready(process))
        spy = subprocess.run([*NOBODY, "cat", f"/proc/{process.pid}/environ"], capture_output=True)
        process.send_signal(signal.SIGSEGV)
        assert process.wait(patient(30)) == -signal.SIGSEGV
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return [path.name for path in folder.rglob("core*")], spy.returncode


@ROOT_ONLY
@pytest.mark.skipif("asan" in str(BINARY), reason="the sanitizer catches the signal itself")
@pytest.mark.parametrize("what", ["something else", "agent", "proxy"])
def test_a_crash_leaves_no_memory_behind_and_nobody_may_look_into_it(tmp_path, what):
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        pytest.skip("core dumps go elsewhere on this machine")
    binary = tmp_path / "program"  # where nobody may reach it
    binary.write_bytes((BINARY if what == "agent" else BINARY.with_name("rollcall-proxy")).read_bytes())
    folder = tmp_path / "run"
    folder.mkdir()
    for path in (binary, folder, *[parent for parent in folder.parents if parent.is_relative_to("/tmp") and parent != Path("/tmp")]):
        path.chmod(0o777)
    (folder / "proxy.conf").write_text("pool web { static 127.0.0.9:28081 }\nlisten http 127.0.0.9:28080 { route / { pool web } }\n")
    words = {"something else": ["sleep", "60"],
             "agent": [binary, "agent", "-bind", "127.61.2.3", "-data-dir", folder / "data", "-node", "n1"],
             "proxy": [binary, "-config", folder / "proxy.conf"]}[what]
    started = {"something else": lambda p: b"sleep" == Path(f"/proc/{p.pid}/cmdline").read_bytes().split(b"\0")[0],
               "agent": lambda p: "node n1" in (folder / "out").read_text(),
               "proxy": lambda p: socket.create_connection(("127.0.0.9", 28080), timeout=1).close() is None}[what]
    cores, spied = crash(words, folder, started)
    if what == "something else":
        assert cores and spied == 0  # so it is the others' own doing that there is none
    else:
        assert not cores and spied != 0, (cores, (folder / "out").read_text())


# ---- Pages of others in a browser on this machine: rows 3 and 4.


def routes():
    """Method and target of every route, as the table of rights has them."""
    rows = (ROOT / "tests/fixtures/acl/matrix.txt").read_text().splitlines()
    found = [row.split()[:2] for row in rows if row and not row.startswith("#")]
    assert len(found) > 100
    return sorted({(method, target) for method, target in found})


FOREIGN = [{"Host": "evil.example"}, {"Host": "evil.example:8500"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
           {"Origin": "http://evil.example", "Content-Type": "text/plain"}, {"Sec-Fetch-Site": "cross-site"},
           {"Origin": "https://localhost.evil.example:8500"}]


def status_of(agent, method, target, headers):
    """Of the answer, whose body may have no end."""
    connection = http.client.HTTPConnection(agent.address, 8500, timeout=30)
    try:
        connection.request(method, target, "{}" if method != "GET" else None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_no_route_answers_a_foreign_page(agents):
    agent = agents.server("s1").start().ready()
    agent.call("PUT", "/v1/kv/mine", "untouched")
    answered = []
    for method, target in routes():
        for headers in FOREIGN:
            for asked in {method, "POST"} if method != "GET" else {method}:
                status = agent.call(asked, target, "{}" if asked != "GET" else None, headers).status
                is_link = method == "GET" and not target.startswith("/v1/") and "Host" not in headers
                if status != 403 and not is_link and not (asked == "POST" and method != "POST" and status == 405):
                    answered.append((asked, target, headers, status))
    assert not answered, answered[:10]
    assert agent.call("GET", "/v1/kv/mine?raw").body == b"untouched"


# ---- Crowds: row 5.


def memory_kb(agent):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{agent.process.pid}/status").read_text())[1])


def over(connections):
    """How many of them the agent has closed."""
    closed = 0
    for one in connections:
        one.setblocking(False)
        try:
            closed += one.recv(65536) == b""
        except BlockingIOError:
            pass
        except OSError:
            closed += 1
    return closed


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 12000:
        pytest.skip("not enough descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_who_say_little_keep_nobody_out_and_are_shown_the_door(agents, many_files):
    agent = agents.server("s1").start().ready()
    before, crowd = memory_kb(agent), []
    try:
        for number in range(10_000):
            stranger = socket.socket()
            stranger.bind((f"127.{number % 60 + 2}.0.1", 0))
            stranger.connect((agent.address, 8500))
            if number % 2:  # a head that never ends
                stranger.sendall(b"GET /v1/kv/x HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            crowd.append(stranger)
        for _ in range(50):
            assert agent.call("GET", "/v1/catalog/nodes").status == 200
        assert memory_kb(agent) - before < (60 if "asan" in str(BINARY) else 12) * 10_000
        until(lambda: over(crowd) == len(crowd), 60, every=1)
    finally:
        for stranger in crowd:
            stranger.close()
    assert agent.call("GET", "/v1/catalog/nodes").status == 200


def test_who_asks_for_much_and_reads_nothing_does_not_fill_the_memory(agents):
    agent = agents.server("s1").start().ready()
    for number in range(20):
        assert agent.call("PUT", f"/v1/kv/big/{number}", "x" * 500_000).text == "true"
    whole = agent.call("GET", "/v1/kv/big/?recurse")
    before, most = memory_kb(agent), 0
    for _ in range(5):  # who takes nothing for ten seconds is let go: a slow machine may need another crowd
        crowd = []
        for _ in range(60):  # 13 MB each
            stranger = socket.socket()
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stranger.connect((agent.address, 8500))
            stranger.sendall(b"GET /v1/kv/big/?recurse HTTP/1.1\r\nHost: localhost\r\n\r\n")
            crowd.append(stranger)
        time.sleep(1)
        for _ in range(20):
            until(lambda: agent.call("GET", "/v1/kv/big/1?keys").status == 200)  # small answers find room
            most = max(most, memory_kb(agent) - before)
        refused = agent.call("GET", "/v1/kv/big/?recurse")
        if refused.status == 503:
            break
        for stranger in crowd:
            stranger.close()
    assert most < (600 if "asan" in str(BINARY) else 250) * 1024, most
    assert refused.status == 503 and "wait to be read" in refused.text
    for stranger in crowd:
        stranger.close()
    assert until(lambda: agent.call("GET", "/v1/kv/big/?recurse").body == whole.body)


# ---- A stolen key of the gossip: row 16.


@pytest.mark.slow
@pytest.mark.skipif(bool(serf_pool.why_not()), reason=str(serf_pool.why_not()))
def test_a_stolen_key_is_worth_nothing_after_the_drill_in_a_pool_of_fifty(tmp_path):
    space = serf_pool.Namespace()
    pool = Agents(tmp_path)
    stolen, new = serf_pool.new_key(), serf_pool.new_key()
    try:
        first = pool.add("n0", encrypt=stolen).start()
        until(lambda: first.call("GET", "/v1/agent/self").status == 200)
        for number in range(1, 50):
            pool.add(f"n{number}", encrypt=stolen, retry_join=[first.address]).start()
        alive = lambda: sum(m["Status"] == 1 for m in first.call("GET", "/v1/agent/members").json)  # noqa: E731
        until(lambda: alive() == 50, 120)

        begun = time.monotonic()
        for method, key in (("POST", new), ("PUT", new), ("DELETE", stolen)):
            until(lambda m=method, k=key: first.call(m, "/v1/operator/keyring", {"Key": k}).status == 200, 120, every=1)
        took = time.monotonic() - begun
        assert took < 300
        rings = first.call("GET", "/v1/operator/keyring").json
        assert all(list(ring["Keys"]) == [new] for ring in rings), rings

        thief = Agents(tmp_path / "thief")
        thief.network = pool.network + ".7"  # never used: the address is set below
        other = thief.add("thief", encrypt=stolen, retry_join=[first.address], bind_addr="127.8.8.8", client_addr="127.8.8.8")
        other.address = "127.8.8.8"
        try:
            other.start()
            until(lambda: other.call("GET", "/v1/agent/self").status == 200)
            time.sleep(3)
            assert len(other.call("GET", "/v1/agent/members").json) == 1
        finally:
            thief.end()
        assert "thief" not in [m["Name"] for m in first.call("GET", "/v1/agent/members").json] and alive() == 50
        print(f"rotated on 50 agents in {took:.1f} s")
    finally:
        for agent in pool.all:
            agent.kill()
        space.leave()


# ---- Requests of two meanings: row 5. Whatever is refused, the rest of the bytes is no request.


HIDDEN = b"PUT /v1/kv/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
AMBIGUOUS = {
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 70\r\n\r\n",
    "two equal lengths in one line": b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a length of two numbers": b"Content-Length: 0 70\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked first": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a name before a space": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare return": b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of a signed size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk of an endless size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n\r\n",
    "a chunk of a size in words": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk whose end is missing": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n",
    "two hosts": b"Host: evil.example\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("why", AMBIGUOUS)
def test_a_request_of_two_meanings_hides_no_other(agents_once, why):
    agent = agents_once
    agent.call("DELETE", "/v1/kv/smuggled")
    with socket.create_connection((agent.address, 8500), timeout=20) as stranger:
        stranger.sendall(b"PUT /v1/kv/seen HTTP/1.1\r\nHost: localhost\r\n" + AMBIGUOUS[why] + HIDDEN)
        stranger.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := stranger.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
    assert agent.call("GET", "/v1/kv/smuggled").status == 404, got
    assert b"HTTP/1.1 2" not in got and got.count(b"HTTP/1.1 4") == got.count(b"HTTP/1.1 "), got


@pytest.fixture(scope="module")
def agents_once(tmp_path_factory):
    made = Agents(tmp_path_factory.mktemp("once"))
    yield made.server("s1").start().ready()
    made.end()


# ---- Programs by the API: row 8.


def test_no_registration_brings_a_program_along(agents_once, tmp_path):
    agent, touched = agents_once, tmp_path / "touched"
    run = ["touch", str(touched)]
    kinds = [{"Args": run}, {"args": run}, {"ScriptArgs": run}, {"script_args": run}, {"scriptargs": run}, {"Script": " ".join(run)},
             {"script": " ".join(run)}, {"Args": run, "TTL": "10s"}, {"Args": run, "HTTP": "http://127.0.0.1:1/"},
             {"DockerContainerID": "c", "Shell": "/bin/sh", "Args": run}]
    for kind in kinds:
        check = {"Interval": "10ms", "Name": "c", **kind}
        for path, body in (("service/register", {"Name": "web", "Check": check}), ("service/register", {"Name": "web", "Checks": [check]}),
                           ("service/register", {"Name": "web", "check": check, "Checks": [{"TTL": "1h"}, check]}),
                           ("check/register", check), ("service/register?replace-existing-checks", {"name": "web", "checks": [check]})):
            reply = agent.call("PUT", f"/v1/agent/{path}", body)
            if len(kind) == 1 and "script" not in [key.lower() for key in kind]:  # that word Consul has given up
                assert reply.status >= 400, (path, body)
    time.sleep(0.3)
    assert not touched.exists()
