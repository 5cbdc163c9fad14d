#!/usr/bin/python3
"""Clients that wait: how their connections are held outside of libmicrohttpd, come back, and end.

    sudo tests/interop/test_http_held.py [CLAIM...]

Agents in a network namespace of its own: n1 with a store, n2 that forwards to it, n3 with tokens.
"""
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
from store_agents import BINARY, ROOT, Agent, until  # noqa: E402

ONE, TWO, THREE, FOUR, AFAR = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "10.9.9.1"
MANY = 1 << 40
# libmicrohttpd as it might become: it counts a request's bytes in another way.
OTHERWISE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <microhttpd.h>
const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection, enum MHD_ConnectionInfoType type, ...)
{
    static union MHD_ConnectionInfo wrong = {.header_size = 7};
    __typeof__(&MHD_get_connection_info) real = (__typeof__(&MHD_get_connection_info))dlsym(RTLD_NEXT, "MHD_get_connection_info");
    return type == MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE ? &wrong : real(connection, type);
}
"""


def gauge(agent, name):
    text = agent.call("GET", "/v1/agent/metrics?format=prometheus").text
    return next(int(float(line.split()[1])) for line in text.split("\n") if line.startswith(name + " "))


def waiting(agent):
    return gauge(agent, "rollcall_http_blocking_queries")


def held(agent):
    return gauge(agent, "rollcall_http_held_connections")


def descriptors(agent):
    return len(os.listdir(f"/proc/{agent.process.pid}/fd"))


def resident_kb(agent):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{agent.process.pid}/status").read_text()).group(1))


class Client:
    """One connection, read answer by answer."""

    def __init__(self, agent, source=None, receive=None, address=None):
        self.socket = socket.socket()
        self.socket.settimeout(60)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((address or agent.address, 8500))
        self.bytes = b""

    def send(self, target, version="1.1", headers=""):
        self.raw(f"GET {target} HTTP/{version}\r\nHost: localhost\r\n{headers}\r\n".encode())
        return self

    def raw(self, data):
        self.socket.sendall(data)

    def more(self):
        piece = self.socket.recv(65536)
        self.bytes += piece
        return piece

    def answer(self):
        """Status, headers, body."""
        while b"\r\n\r\n" not in self.bytes:
            assert self.more(), self.bytes
        head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        size = int(headers["content-length"])
        while len(self.bytes) < size:
            assert self.more(), "ended within the body"
        body, self.bytes = self.bytes[:size], self.bytes[size:]
        assert lines[0].startswith("HTTP/1.1 "), lines
        return int(lines[0].split()[1]), headers, body

    def is_ended(self):
        try:
            return self.more() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


def put(agent, key, value, **more):
    assert agent.call("PUT", f"/v1/kv/{key}", value, **more).status == 200


def index_of(agent, key, **more):
    return agent.call("GET", f"/v1/kv/{key}", **more).index


def question(agent, key, wait="60s"):
    return f"/v1/kv/{key}?index={index_of(agent, key)}&wait={wait}&raw"


def quiet(agent):
    """Nobody waits, and those who did have gone."""
    until(lambda: waiting(agent) == 0 and held(agent) == 0 and gauge(agent, "rollcall_http_connections") < 5)


def one_connection_waits_and_asks_on_as_often_as_it_likes(one, **_):
    put(one, "a", "0")
    client, before = Client(one), None
    for i in range(1, 30):
        client.send(question(one, "a"))
        until(lambda: waiting(one) == 1 and held(one) == 1)
        before = before or descriptors(one)
        put(one, "a", str(i))
        status, headers, body = client.answer()
        assert (status, body) == (200, str(i).encode()) and int(headers["x-consul-index"]) > 0
        assert headers["content-type"].startswith("text/plain") and "date" in headers and headers["vary"] == "Accept-Encoding"
        if i % 3 == 0:
            assert client.send("/v1/kv/a?raw").answer()[2] == str(i).encode()
        if i % 5 == 0:
            client.raw(b"PUT /v1/kv/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nbody")
            assert client.answer()[2] == b"true"
            client.raw(b"")  # the byte too many begins a wrong method
            break
    assert descriptors(one) <= before + 2
    client.close()
    quiet(one)


def what_comes_together_with_the_question_is_answered_behind_it(one, **_):
    put(one, "a", "0")
    client = Client(one)
    client.raw(f"GET {question(one, 'a')} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/kv/a?raw HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    until(lambda: waiting(one) == 1)
    assert held(one) == 0  # the second question was read already
    put(one, "a", "1")
    assert [client.answer()[2] for _ in range(2)] == [b"1", b"1"]
    client.close()
    quiet(one)


def what_comes_while_it_waits_is_answered_behind_it(one, **_):
    put(one, "a", "0")
    target = question(one, "a")
    client = Client(one).send(target)
    until(lambda: held(one) == 1)
    client.send("/v1/kv/a?raw").send("/v1/status/leader")
    time.sleep(0.2)
    assert waiting(one) == 1
    put(one, "a", "1")
    assert [client.answer()[2] for _ in range(2)] == [b"1", b"1"] and b"8300" in client.answer()[2]
    client.close()
    quiet(one)


def other_manners_are_kept(one, **_):
    put(one, "a", "0")
    target = question(one, "a")
    closing, old = Client(one).send(target, headers="Connection: close\r\n"), Client(one).send(target, version="1.0")
    until(lambda: waiting(one) == 2)
    assert held(one) == 1
    put(one, "a", "1234")
    status, headers, body = closing.answer()
    assert (status, body, headers["connection"].lower()) == (200, b"1234", "close") and closing.is_ended()
    until(old.is_ended)
    assert old.bytes.endswith(b"1234")
    for client in (closing, old):
        client.close()
    quiet(one)


def who_leaves_or_closes_one_side_is_noticed(one, **_):
    put(one, "a", "0")
    target = question(one, "a")
    clients = [Client(one).send(target) for _ in range(90)]
    until(lambda: held(one) == 90)
    before = descriptors(one)
    for i, client in enumerate(clients):
        if i % 3 == 0:
            client.close()
        elif i % 3 == 1:
            client.socket.shutdown(socket.SHUT_WR)
        else:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()  # by a reset
    until(lambda: waiting(one) == 0 and held(one) == 0)
    assert descriptors(one) <= before - 85
    assert clients[1].is_ended()
    for client in clients:
        client.close()
    quiet(one)


def a_question_and_a_closed_side_behind_it_are_answered(one, **_):
    put(one, "a", "0")
    client = Client(one).send(question(one, "a"))
    until(lambda: held(one) == 1)
    put(one, "a", "1")
    assert client.answer()[2] == b"1"
    client.send("/v1/kv/a?raw")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answer()[2] == b"1" and client.is_ended()
    client.close()
    quiet(one)


def large_question(one):
    """Its answer, 6 MB, is more than the kernel takes from the agent when nobody reads."""
    for i in range(8):
        put(one, f"large/{i}", f"{random.random()}" + "x" * 500_000)
    reply = one.call("GET", "/v1/kv/large/?recurse")
    return f"/v1/kv/large/?recurse&index={reply.index}&wait=60s", len(reply.body)


def slow_readers_keep_nobody_and_share_their_bytes(one, **_):
    target, size = large_question(one)
    slow = [Client(one, receive=4096).send(target) for _ in range(60)]
    quick = [Client(one).send(target) for _ in range(5)]
    until(lambda: held(one) == 65)
    before, began = resident_kb(one), time.monotonic()
    put(one, "large/0", "x" * 500_000)
    for client in quick:
        status, _, body = client.answer()
        assert status == 200 and size - 100 < len(body) <= size
        client.close()
    until(lambda: waiting(one) == 0)
    if "asan" not in str(BINARY):
        assert resident_kb(one) - before < 60_000  # not 60 times 6 MB
    assert one.call("GET", "/v1/kv/large/7?raw").status == 200  # others are served meanwhile
    slow[0].close()
    for client in slow[1:4]:
        try:
            assert len(client.answer()[2]) == len(body)
            assert client.send("/v1/kv/large/7?raw").answer()[0] == 200
        except (AssertionError, ConnectionResetError):
            assert time.monotonic() - began > 9  # who takes nothing for ten seconds is let go
    for client in slow:
        client.close()
    quiet(one)


def those_who_never_read_are_let_go(one, **_):
    target, size = large_question(one)
    client = Client(one, receive=4096).send(target)
    until(lambda: held(one) == 1)
    put(one, "large/0", "x")
    until(lambda: held(one) == 0, 60)
    with_end = 0
    try:
        while piece := client.socket.recv(65536):
            with_end += len(piece)
    except ConnectionResetError:
        pass
    assert 0 < with_end < size - 500_000
    client.close()
    quiet(one)


def waits_end_together(one, **_):
    put(one, "a", "0")
    target = question(one, "a", "1s")
    clients = [Client(one).send(target) for _ in range(500)]
    for client in clients:
        assert client.answer()[2] == b"0"
        client.close()
    quiet(one)


def crowds_that_come_and_go_while_they_are_woken_are_all_answered(one, **_):
    """Different questions, some leave at any moment, some are woken in vain."""
    dice = random.Random(7)
    put(one, "crowd/a", "0")
    put(one, "crowd/b", "0")
    for round_ in range(8):
        index = index_of(one, "crowd/?recurse")
        targets = [f"/v1/kv/crowd/a?raw&index={index}&wait=60s", f"/v1/kv/crowd/?recurse&index={index}&wait=60s",
                   f"/v1/kv/crowd/b?index={index}&wait=60s&stale", f"/v1/kv/crowd/?keys&index={index}&wait=59s"]
        clients = [Client(one).send(dice.choice(targets)) for _ in range(200)]
        until(lambda: waiting(one) == 200)
        leaving = set(dice.sample(range(200), 60))
        for i in sorted(leaving)[:20]:
            clients[i].close()
        for key in ("crowd/a", "crowd/b"):
            connection = Client(one)
            connection.raw(f"PUT /v1/kv/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{round_:02}".encode())
            for i in sorted(leaving)[20:40] if key == "crowd/a" else sorted(leaving)[40:]:
                clients[i].close()
            assert connection.answer()[2] == b"true"
            connection.close()
        for i, client in enumerate(clients):
            if i not in leaving:
                assert client.answer()[0] == 200
                client.close()
        quiet(one)


def who_may_see_different_things_gets_different_answers(three, **_):
    token = three.call("PUT", "/v1/acl/bootstrap").json["SecretID"]
    owner = {"X-Consul-Token": token}

    def made(*rules):
        policy = {"Name": f"p{len(rules[0])}{random.random()}".replace(".", "-"), "Rules": rules[0]}
        assert three.call("PUT", "/v1/acl/policy", policy, headers=owner).status == 200
        reply = three.call("PUT", "/v1/acl/token", {"Policies": [{"Name": policy["Name"]}]}, headers=owner).json
        return reply["AccessorID"], reply["SecretID"]
    wide, narrow, ending = made('key_prefix "t/" { policy = "read" }'), made('key "t/x" { policy = "read" }'), made('key_prefix "t/" { policy = "read" }')
    put(three, "t/x", "0", headers=owner)
    put(three, "t/y", "0", headers=owner)
    target = f"/v1/kv/t/?keys&index={index_of(three, 't/?keys', headers=owner)}&wait=60s"
    single = f"/v1/kv/t/x?raw&index={index_of(three, 't/x', headers=owner)}&wait=60s"
    clients = [Client(three).send(target, headers=f"X-Consul-Token: {secret}\r\n") for _ in range(10) for _, secret in (wide, narrow)]
    ended = [Client(three).send(single, headers=f"X-Consul-Token: {ending[1]}\r\n") for _ in range(3)]
    until(lambda: three.call("GET", "/v1/agent/metrics?format=prometheus", headers=owner).text.count("rollcall_http_blocking_queries 23\n") == 1)
    assert three.call("DELETE", f"/v1/acl/token/{ending[0]}", headers=owner).status == 200
    put(three, "t/x", "1", headers=owner)
    for i, client in enumerate(clients):
        status, headers, body = client.answer()
        assert (status, json.loads(body)) == (200, ["t/x", "t/y"] if i % 2 == 0 else ["t/x"]), (i, status, body)
        assert ("x-consul-results-filtered-by-acls" in headers) in (False, i % 2 == 1)
        client.close()
    for client in ended:
        assert client.answer()[0] == 403  # judged again when it woke
        client.close()


def those_of_agents_without_a_store_are_held_too(one, two, **_):
    put(one, "far", "0")
    target = f"/v1/kv/far?raw&index={index_of(two, 'far')}&wait=60s"
    clients = [Client(two).send(target) for _ in range(100)]
    until(lambda: held(two) == 100 and waiting(one) == 100)
    for client in clients[:50]:
        client.close()
    until(lambda: held(two) == 50 and waiting(one) == 50)
    put(one, "far", "1")
    for client in clients[50:]:
        assert client.answer()[2] == b"1"
        assert client.send("/v1/kv/far?raw").answer()[2] == b"1"
        client.close()
    quiet(two)
    quiet(one)


def the_held_count_among_those_of_their_address(one, **_):
    put(one, "a", "0")
    target = question(one, "a")
    clients = [Client(one, source=AFAR, address=AFAR).send(target) for _ in range(200)]
    until(lambda: held(one) == 200)
    refused = Client(one, source=AFAR, address=AFAR)
    assert refused.is_ended()
    put(one, "a", "1")
    for client in clients:
        assert client.answer()[2] == b"1"
    assert clients[0].send("/v1/kv/a?raw").answer()[2] == b"1"  # who is counted may come back
    assert Client(one, source=AFAR, address=AFAR).is_ended()
    for client in clients:
        client.close()
    quiet(one)
    again = Client(one, source=AFAR, address=AFAR).send("/v1/kv/a?raw")
    assert again.answer()[0] == 200
    again.close()


def what_clients_took_is_given_back(one, **_):
    if "asan" in str(BINARY):
        return
    put(one, "a", "0")
    target, before = question(one, "a"), resident_kb(one)
    clients = [Client(one).send("/v1/status/leader") for _ in range(2000)]
    for client in clients:
        client.answer()
        client.send(target)
    until(lambda: held(one) == 2000)
    assert (resident_kb(one) - before) / 2000 < 4
    for client in clients:
        client.close()
    quiet(one)
    until(lambda: resident_kb(one) - before < 4000)


def large_snapshots_pass_agents_without_a_store(one, two, **_):
    """Restored for real only when asked for (SNAPSHOT_MB): that takes the server's time."""
    if "asan" in str(BINARY) and "SNAPSHOT_MB" not in os.environ:
        return  # a minute on a busy machine
    wanted = os.environ.get("SNAPSHOT_MB")
    size = int(wanted or 66) << 20
    dice, client = random.Random(3), Client(one)
    for i in range(size // 500_000 + 1):
        client.raw(b"PUT /v1/kv/heap/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" % i + dice.randbytes(500_000))
        assert client.answer()[2] == b"true"
    client.close()
    snapshot = until(lambda: [reply.body for reply in [two.call("GET", "/v1/snapshot")] if reply.status == 200], 120)[0]
    assert len(snapshot) > size
    broken = bytes(len(snapshot))
    refused = one.call("PUT", "/v1/snapshot", broken)
    until(lambda: two.call("PUT", "/v1/snapshot", broken).body == refused.body and refused.status >= 400, 120)
    if wanted:
        put(one, "heap/0", "something else")
        until(lambda: two.call("PUT", "/v1/snapshot", snapshot).status == 200, 120)
        assert len(one.call("GET", "/v1/kv/heap/0?raw").body) == 500_000
    assert one.call("DELETE", "/v1/kv/heap/?recurse").status == 200


def five_thousand_do_not_keep_the_agent_from_ending(one, **_):
    put(one, "a", "0")
    target = question(one, "a")
    clients = [Client(one).send(target) for _ in range(5000)]
    until(lambda: held(one) == 5000)
    one.signal(signal.SIGTERM)
    assert one.process.wait(patient(60)) == 0
    for client in clients:
        assert client.is_ended()
        client.close()
    log = one.log()
    assert "Sanitizer" not in log, log[-4000:]


def another_libmicrohttpd_keeps_those_who_wait(folder, **_):
    if "asan" in str(BINARY):
        return  # which wants to be loaded first
    source, library = folder / "otherwise.c", folder / "otherwise.so"
    source.write_text(OTHERWISE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    os.environ["LD_PRELOAD"] = str(library)
    four = Agent(folder / "n4", "n4", FOUR, server=True, bootstrap_expect=1).start()
    del os.environ["LD_PRELOAD"]
    try:
        four.ready()
        assert re.search(r"blocking queries take more memory with libmicrohttpd .*: it counts the bytes of requests", four.log())
        put(four, "a", "0")
        client = Client(four).send(question(four, "a"))
        until(lambda: waiting(four) == 1)
        assert held(four) == 0
        put(four, "a", "1")
        assert client.answer()[2] == b"1" and client.send("/v1/kv/a?raw").answer()[2] == b"1"
        client.close()
    finally:
        four.end()


CLAIMS = (another_libmicrohttpd_keeps_those_who_wait, one_connection_waits_and_asks_on_as_often_as_it_likes,
          what_comes_together_with_the_question_is_answered_behind_it, what_comes_while_it_waits_is_answered_behind_it,
          other_manners_are_kept, who_leaves_or_closes_one_side_is_noticed, a_question_and_a_closed_side_behind_it_are_answered,
          slow_readers_keep_nobody_and_share_their_bytes, those_who_never_read_are_let_go, waits_end_together,
          crowds_that_come_and_go_while_they_are_woken_are_all_answered, who_may_see_different_things_gets_different_answers,
          those_of_agents_without_a_store_are_held_too, the_held_count_among_those_of_their_address, what_clients_took_is_given_back,
          large_snapshots_pass_agents_without_a_store,
          five_thousand_do_not_keep_the_agent_from_ending)


def main(names):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, most), most))
    subprocess.run(["ip", "address", "add", AFAR + "/24", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        one = Agent(folder / "n1", "n1", ONE, server=True, bootstrap_expect=1, client_addr=f"{ONE} {AFAR}")
        two = Agent(folder / "n2", "n2", TWO, retry_join=[ONE])
        three = Agent(folder / "n3", "n3", THREE, server=True, bootstrap_expect=1, acl={"enabled": True, "default_policy": "deny"})
        try:
            for agent in (one, two, three):
                agent.start()
            one.ready()
            two.ready()
            until(lambda: three.call("GET", "/v1/status/leader").status == 200)
            for claim in CLAIMS:
                if not names or claim.__name__ in names:
                    began = time.monotonic()
                    claim(one=one, two=two, three=three, folder=folder)
                    print("ok", claim.__name__, f"{time.monotonic() - began:.1f} s", flush=True)
        except BaseException:
            for agent in (one, two, three):
                print(agent.name, agent.log()[-3000:])
            raise
        finally:
            for agent in (two, three, one):
                agent.end()


def test_clients_that_wait():
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__],
                         capture_output=True, text=True, timeout=280, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    main(sys.argv[1:])
