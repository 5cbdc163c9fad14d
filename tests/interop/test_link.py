"""Requests for servers through agents without a store: the same answers, whatever breaks on the way."""
import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from patience import patient
from serf_pool import LONG, ROLLCALL, Namespace, new_key, until

SERVER, ONE, TWO, FLOOD = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"
LINK_PORT = 8300
CANARY = "canary-7f3a9c0e-token"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Agent:
    def __init__(self, folder, name, ip, *words, config=None):
        self.folder, self.name, self.ip = folder, name, ip
        self.log, self.config = folder / (name + ".log"), folder / (name + ".json")
        self.words, self.process = words, None
        self.configure(config or {})

    def configure(self, config):
        self.config.write_text(json.dumps(config))

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [ROLLCALL, "agent", "-node", self.name, "-bind", self.ip, "-client", self.ip, "-dns-port", "-1",
                 "-data-dir", str(self.folder / self.name), "-retry-interval", "1s", "-log-level", "trace",
                 "-config-file", str(self.config), *self.words], stdout=log, stderr=log)
        until(LONG, self.answers, lambda: "%s answers: %s" % (self.name, self.said()[-3000:]))
        return self

    def answers(self):
        assert self.process.poll() is None, self.said()[-3000:]
        try:
            return self.ask("GET", "/v1/agent/self")[0] == 200
        except OSError:
            return False

    def said(self):
        return self.log.read_text(errors="replace")

    def ask(self, method, path, body=None, headers=None, timeout=LONG):
        """Status, headers that mean something, body."""
        connection = http.client.HTTPConnection(self.ip, 8500, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            kept = sorted((k, v) for k, v in answer.getheaders() if k not in ("Date", "Content-Length"))
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def link(self):
        return json.loads(self.ask("GET", "/v1/agent/self")[2])["Stats"]["link"]

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(LONG) == 0

    def reload(self, config):
        self.configure(config)
        assert self.ask("PUT", "/v1/agent/reload")[0] == 200


class Pool:
    def __init__(self, folder):
        self.folder, self.agents = folder, []

    def add(self, name, ip, *words, config=None, join=SERVER):
        agent = Agent(self.folder, name, ip, "-retry-join", join, *words, config=config).start()
        self.agents.append(agent)
        return agent

    def three(self, config=None):
        made = (self.add("s1", SERVER, "-server", config=config), self.add("a1", ONE, config=config),
                self.add("a2", TWO, config=config))
        for agent in made[1:]:
            reaches(agent)
        return made


def reaches(agent):
    until(LONG, lambda: agent.ask("GET", "/v1/kv/none")[0] == 404, lambda: "%s: %s" % (agent.name, agent.said()[-2000:]))


@pytest.fixture
def pool(tmp_path):
    namespace = Namespace()
    made = Pool(tmp_path)
    yield made
    for agent in made.agents:
        agent.kill()
    namespace.leave()


def test_a_plain_agent_answers_like_the_server(pool):
    server, one, two = pool.three()
    status, _, body = one.ask("PUT", "/v1/session/create", '{"TTL": "3600s", "Name": "mine"}')
    assert status == 200
    session = json.loads(body)["ID"]
    big = os.urandom(400 << 10)
    for agent, method, path, body, want in (
            (one, "PUT", "/v1/kv/web/a", b"1", b"true"),
            (two, "PUT", "/v1/kv/web/b%20c%3Fd%25?flags=42", b"2", b"true"),
            (two, "PUT", "/v1/kv/web/b%20c%3Fd%25?cas=1", b"3", b"false"),
            (one, "PUT", "/v1/kv/web/\xc3\xa4".encode("latin1").decode("latin1"), b"", b"true"),
            (one, "PUT", "/v1/kv/big", big, b"true"),
            (two, "PUT", "/v1/kv/lock?acquire=" + session, b"held", b"true")):
        got = agent.ask(method, path.replace("\xc3\xa4", "%C3%A4"), body)
        assert (got[0], got[2]) == (200, want), (path, got)
    assert two.ask("GET", "/v1/kv/big?raw")[2] == big
    for method, path, body in (
            ("GET", "/v1/kv/web/a", None), ("GET", "/v1/kv/web/a?raw", None), ("GET", "/v1/kv/web/b%20c%3Fd%25", None),
            ("GET", "/v1/kv/web/?recurse", None), ("GET", "/v1/kv/web/?recurse&pretty", None),
            ("GET", "/v1/kv/?keys&separator=/", None), ("GET", "/v1/kv/none", None), ("GET", "/v1/kv/", None),
            ("GET", "/v1/kv/web/a?consistent", None), ("GET", "/v1/kv/web/a?stale", None),
            ("GET", "/v1/kv/web/a?stale&consistent", None), ("GET", "/v1/kv/web/a?index=x", None),
            ("PUT", "/v1/kv/lock?acquire=11111111-2222-3333-4444-555555555555", b"x"),
            ("PUT", "/v1/kv/web/a?cas=x", b"x"), ("GET", "/v1/session/list", None),
            ("GET", "/v1/session/info/" + session, None), ("GET", "/v1/session/node/a1", None),
            ("PUT", "/v1/session/renew/" + session, None), ("PUT", "/v1/session/create", b"{"),
            ("PUT", "/v1/txn", b'[{"KV": {"Verb": "get", "Key": "web/a"}}]'),
            ("PUT", "/v1/txn", b'[{"KV": {"Verb": "get", "Key": "none"}}]'), ("PUT", "/v1/txn", b"["),
            ("GET", "/v1/query", None), ("GET", "/v1/query/none", None)):
        there = server.ask(method, path, body)
        here = one.ask(method, path, body)
        drop = ("X-Consul-Lastcontact",) if "stale" in path else ()
        there, here = ((s, [h for h in hs if h[0] not in drop], b) for s, hs, b in (there, here))
        assert here == there, path
    time.sleep(0.3)  # nobody writes but the server with SQLite itself: what it shows is of now
    for agent in (server, one):
        assert ("X-Consul-Lastcontact", "0") in agent.ask("GET", "/v1/kv/web/a?stale")[1]
    node = json.loads(server.ask("GET", "/v1/session/info/" + session)[2])[0]["Node"]
    assert node == "a1"  # whose client asked, not who wrote it down


def test_only_what_servers_answer_is_asked_of_them(pool):
    server, one, _ = pool.three()
    assert one.ask("GET", "/v1/agent/members")[0] == 200
    assert int(one.link()["forwarded"]) == int(one.link()["answered"])
    before = int(server.link()["served"])
    assert one.ask("GET", "/v1/catalog/nodes")[0] == 200
    assert int(server.link()["served"]) == before


def test_a_blocking_query_wakes_and_survives_its_server(pool):
    server, one, two = pool.three()
    assert one.ask("PUT", "/v1/kv/x", b"1")[2] == b"true"
    index = dict(one.ask("GET", "/v1/kv/x")[1])["X-Consul-Index"]
    got = []

    def wait():
        got.append(one.ask("GET", "/v1/kv/x?wait=60s&index=" + index, timeout=70))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    until(LONG, lambda: one.link()["open"] == "1", "the query waits")
    server.kill()
    server.start()
    reaches(two)
    assert not got
    assert two.ask("PUT", "/v1/kv/x", b"2")[2] == b"true"
    waiting.join(LONG)
    assert got and json.loads(got[0][2])[0]["Value"] == base64.b64encode(b"2").decode()
    assert int(one.link()["moved"]) >= 1


def test_a_client_that_hangs_up_leaves_nothing_behind(pool):
    server, one, _ = pool.three()
    index = dict(one.ask("GET", "/v1/kv/x")[1])["X-Consul-Index"]
    sockets = []
    for _ in range(20):
        client = socket.create_connection((ONE, 8500))
        client.sendall(("GET /v1/kv/x?wait=60s&index=%s HTTP/1.1\r\nHost: %s\r\n\r\n" % (index, ONE)).encode())
        sockets.append(client)
    until(LONG, lambda: one.link()["open"] == "20", "they wait")
    for client in sockets:
        client.close()
    until(LONG, lambda: one.link()["open"] == "0", "they are forgotten")
    until(LONG, lambda: b"\nrollcall_http_blocking_queries 0\n" in server.ask("GET", "/v1/agent/metrics?format=prometheus")[2],
          "also at the server")


def watches(folder, name):
    """Watches of a key and of a prefix, whose handlers write what they get into files."""
    def one(kind, **what):
        line = "cat >> %s/%s.%s; echo >> %s/%s.%s" % ((folder, name, kind) * 2)
        return dict(what, type=kind, args=["/bin/sh", "-c", line])
    return {"enable_script_handlers": True,
            "watches": [one("key", key="w/a"), one("keyprefix", prefix="w/")]}


def test_keys_are_watched_at_servers_and_elsewhere(pool, tmp_path):
    server = pool.add("s1", SERVER, "-server", config=watches(tmp_path, "s1"))
    plain = pool.add("a1", ONE, config=watches(tmp_path, "a1"))
    reaches(plain)

    def seen(name, kind):
        file = tmp_path / ("%s.%s" % (name, kind))
        lines = file.read_text().split("\n") if file.exists() else []
        return [json.loads(line) for line in lines if line]

    def last(kind, want):
        for name in ("s1", "a1"):
            until(LONG, lambda n=name: want(seen(n, kind)[-1:]),
                  lambda n=name: (n, kind, seen(n, kind)))

    last("key", lambda got: got == [None])
    last("keyprefix", lambda got: got == [[]])
    assert server.ask("PUT", "/v1/kv/w/a?flags=18446744073709551615", "1")[2] == b"true"
    last("key", lambda got: got and got[0] and got[0]["Value"] == "MQ==" and got[0]["Flags"] == 2**64 - 1)
    last("keyprefix", lambda got: got and [p["Key"] for p in got[0]] == ["w/a"])
    assert plain.ask("PUT", "/v1/kv/w/b", "2")[2] == b"true"
    last("keyprefix", lambda got: got and [p["Key"] for p in got[0]] == ["w/a", "w/b"])
    server.kill()
    server.start()
    reaches(plain)
    assert plain.ask("DELETE", "/v1/kv/w/a")[2] == b"true"
    last("key", lambda got: got == [None])
    last("keyprefix", lambda got: got and [p["Key"] for p in got[0]] == ["w/b"])
    assert [x and x["Value"] for x in seen("a1", "key")] == [None, "MQ==", None]  # each change once
    server.reload({})
    assert server.ask("PUT", "/v1/kv/w/a", "3")[2] == b"true"
    until(LONG, lambda: seen("a1", "key")[-1] and seen("a1", "key")[-1]["Value"] == "Mw==", "goes on")
    assert seen("s1", "key")[-1] is None


def test_writes_happen_once_though_the_server_is_killed(pool):
    """One writer by check-and-set: if a retry were a second write, its check would fail."""
    server, one, _ = pool.three()
    stop = threading.Event()
    wrong, done = [], []

    def write():
        value = 0
        while not stop.is_set():
            status, _, body = one.ask("GET", "/v1/kv/n")
            if status not in (200, 404):
                time.sleep(0.05)
                continue
            held = json.loads(body)[0] if status == 200 else {"ModifyIndex": 0, "Value": base64.b64encode(b"0").decode()}
            was = int(base64.b64decode(held["Value"]))
            if was not in (value, value + 1):
                wrong.append("%d after %d" % (was, value))
            status, _, body = one.ask("PUT", "/v1/kv/n?cas=%d" % held["ModifyIndex"], b"%d" % (was + 1))
            if status == 200 and body != b"true":
                wrong.append("%d: %s" % (was, body))
            value = was + 1 if status == 200 else was
            done.append(status)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    chance = random.Random(7)
    for _ in range(4):
        time.sleep(0.3 + chance.random())
        server.kill()
        time.sleep(chance.random() / 2)
        server.start()
        reaches(one)
    stop.set()
    writer.join(LONG)
    assert not wrong and done.count(200) > 10


def test_a_server_that_moves_is_found(pool):
    server, one, _ = pool.three()
    assert one.ask("PUT", "/v1/kv/x", b"1")[2] == b"true"
    server.stop()
    assert one.ask("PUT", "/v1/kv/x", b"2")[::2] == (500, b"No cluster leader")
    moved = Agent(pool.folder, "s1", "127.0.0.4", "-server", "-retry-join", ONE).start()
    pool.agents.append(moved)
    until(LONG, lambda: one.ask("GET", "/v1/kv/x?raw")[2] == b"1", one.link)


def test_keys_change_under_load_and_no_request_fails(pool):
    old, new = new_key(), new_key()
    server, one, two = pool.three({"encrypt": old})
    assert one.link()["protection"] == "the pool's key alone"
    stop, bad, good = threading.Event(), [], []

    def write(agent):
        while not stop.is_set():
            status, _, body = agent.ask("PUT", "/v1/kv/load/" + agent.name, b"x")
            (good if (status, body) == (200, b"true") else bad).append((agent.name, status, body))

    writers = [threading.Thread(target=write, args=(agent,), daemon=True) for agent in (one, two)]
    for writer in writers:
        writer.start()
    for order, key in (("-install", new), ("-use", new), ("-remove", old)):
        def given(order=order, key=key):
            done = subprocess.run([ROLLCALL, "keyring", order, key, "-http-addr", "http://%s:8500" % ONE], capture_output=True,
                                  text=True, timeout=patient(60))
            return done.returncode == 0
        until(LONG, given, order)
    for agent in (one, two):
        until(LONG, lambda agent=agent: "is made anew: its key was removed" in agent.said(), agent.name + " renews its link")
    reached = len(good)
    until(LONG, lambda: len(good) > reached + 20, "writes go on")
    stop.set()
    for writer in writers:
        writer.join(LONG)
    assert not bad


def server_key(folder, name):
    done = subprocess.run([ROLLCALL, "keygen", "-server", str(folder / name)], capture_output=True, text=True, check=True)
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    return str(folder / name), done.stdout.strip()


def test_only_a_server_with_the_credential_is_asked(pool):
    key = new_key()
    secret, public = server_key(pool.folder, "k1")
    _, other = server_key(pool.folder, "k2")
    server = pool.add("s1", SERVER, "-server", config={"encrypt": key, "link": {"server_key_file": secret}}, join=ONE)
    good = {"encrypt": key, "link": {"server_public_keys": [other, public]}}
    wrong = {"encrypt": key, "link": {"server_public_keys": [other]}}
    one, two = pool.add("a1", ONE, config=good), pool.add("a2", TWO, config=wrong)
    reaches(one)
    assert one.link()["protection"] == "the pool's key, and the server's credential"
    until(LONG, lambda: two.ask("PUT", "/v1/kv/x", CANARY)[::2] == (500, b"No cluster leader") and
          "does not prove one of link.server_public_keys" in two.said(), two.link)
    assert server.ask("GET", "/v1/kv/x")[0] == 404
    two.reload(good)
    reaches(two)
    two.reload(wrong)  # revoked
    assert "is made anew: its credential" in two.said()
    assert two.ask("GET", "/v1/kv/x")[0] == 500
    server.stop()
    server.configure({"encrypt": key})  # none at all
    server.start()
    until(LONG, lambda: one.ask("GET", "/v1/kv/x")[0] == 500 and "calls itself a server" in one.said(), one.link)


def test_a_revoked_credential_is_trusted_by_nobody_whatever_its_file_says(pool):
    """No file is touched but the server's own, which gets another key."""
    key = new_key()
    stolen, stolen_public = server_key(pool.folder, "k1")
    fresh, fresh_public = server_key(pool.folder, "k2")
    server = pool.add("s1", SERVER, "-server", config={"encrypt": key, "link": {"server_key_file": stolen}}, join=ONE)
    pinned = {"encrypt": key, "link": {"server_public_keys": [stolen_public, fresh_public]}}
    one, two = pool.add("a1", ONE, config=pinned), pool.add("a2", TWO, config=pinned)
    reaches(one)
    reaches(two)

    def run(agent, *words):
        return subprocess.run([ROLLCALL, "operator", "link", *words, "-http-addr", agent.ip + ":8500"],
                              capture_output=True, text=True, timeout=LONG, check=False)

    assert run(one, "revoked").stdout == ""
    assert run(one, "revoke", "nonsense").returncode == 1
    assert run(one, "revoke", stolen_public).returncode == 0
    for agent in (server, one, two):
        until(LONG, lambda a=agent: run(a, "revoked").stdout == stolen_public + "\n", agent.said)
    for agent in (one, two):
        until(LONG, lambda a=agent: a.ask("GET", "/v1/kv/x")[0] == 500 and "proves a key that was revoked" in a.said(),
              agent.link)
    assert "was revoked: others send nothing here" in server.said()
    server.stop()
    server.configure({"encrypt": key, "link": {"server_key_file": fresh}})
    server.start()
    reaches(one)
    reaches(two)
    two.stop()  # it was kept
    two.log.unlink()
    two.start()
    assert run(two, "revoked").stdout == stolen_public + "\n"
    late = pool.add("a3", "127.0.0.5", config=pinned)  # hears of it from the pool
    until(LONG, lambda: run(late, "revoked").stdout == stolen_public + "\n", late.said)
    server.stop()
    server.configure({"encrypt": key, "link": {"server_key_file": stolen}})
    server.start()
    until(LONG, lambda: late.ask("GET", "/v1/kv/x")[0] == 500 and "proves a key that was revoked" in late.said(), late.link)


def test_bad_settings_are_told_and_change_nothing(pool):
    secret, public = server_key(pool.folder, "k1")
    server = pool.add("s1", SERVER, "-server", config={"link": {"server_key_file": secret}})
    for link, words in (({"server_public_keys": ["x"]}, "is no public key of a server"),
                        ({"server_key_file": "/none"}, "cannot be read"),
                        ({"server_key_file": str(server.config)}, "server.json|may be read by others|is no server key")):
        server.configure({"link": link})
        status, _, body = server.ask("PUT", "/v1/agent/reload")
        assert status == 500 and re.search(words, body.decode()), body
    os.chmod(secret, 0o644)
    server.configure({"link": {"server_key_file": secret}})
    assert b"its mode must be 0600" in server.ask("PUT", "/v1/agent/reload")[2]
    assert server.link()["credential"] == "yes" and public.startswith("rollcall-server-public:")


def test_half_open_handshakes_and_garbage_keep_nobody_out(pool):
    server, one, _ = pool.three({"encrypt": new_key()})
    sockets = []

    def flood():
        for i in range(200):
            stranger = socket.socket()
            stranger.bind((FLOOD if i % 2 else "127.0.1.%d" % (i % 100 + 1), 0))
            stranger.connect((SERVER, LINK_PORT))
            stranger.settimeout(LONG)
            if i % 3 == 0:
                stranger.sendall(os.urandom(200))
            elif i % 3 == 1:
                stranger.sendall(b"rlk\x01" + os.urandom(20))
            sockets.append(stranger)

    flood()
    late = pool.add("a3", "127.0.0.5", config=json.loads(one.config.read_text()))
    for _ in range(20):
        assert one.ask("PUT", "/v1/kv/x", b"1")[2] == b"true"
    reaches(late)  # a newcomer's handshake gets through as soon as the strangers' time is over
    for stranger in sockets:
        try:
            assert stranger.recv(100) == b""  # not a byte for strangers, and then the end
        except ConnectionResetError:
            pass
        stranger.close()
    metrics = server.ask("GET", "/v1/agent/metrics?format=prometheus")[2].decode()
    away = {reason: int(n) for reason, n in re.findall(r'turned_away_total\{reason="(\w+)"\} (\d+)', metrics)}
    assert away["crowd"] > 50 and away["stranger"] > 5 and away["late"] > 5, away


def test_secrets_are_not_on_the_wire_and_not_in_logs(pool):
    seen = []
    ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    ears.bind(("lo", 0))
    ears.settimeout(0.2)
    stop = threading.Event()

    def listen():
        while not stop.is_set():
            try:
                packet = ears.recv(65536)
            except TimeoutError:
                continue
            ports = packet[34:36], packet[36:38]
            if LINK_PORT.to_bytes(2, "big") in ports:
                seen.append(packet[54:])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    key = new_key()
    secret, public = server_key(pool.folder, "k1")
    server, one, _ = pool.three({"encrypt": key, "link": {"server_key_file": secret, "server_public_keys": [public]}})
    value = "canary-value-of-a-key-" * 100
    status, _, body = one.ask("PUT", "/v1/kv/x", value, {"X-Consul-Token": CANARY})
    one.ask("GET", "/v1/kv/x", headers={"Authorization": "Bearer " + CANARY})
    one.ask("GET", "/v1/kv/x?token=" + CANARY)
    server.kill()
    one.ask("PUT", "/v1/kv/x", value, {"X-Consul-Token": CANARY})  # its failure is logged
    server.start()
    time.sleep(0.5)
    stop.set()
    listener.join(LONG)
    wire = b"".join(seen)
    assert len(wire) > len(value)
    words = [CANARY, "canary-value", key, open(secret).read().split(":")[1].strip()]
    for word in words:
        assert word.encode() not in wire, word
        for agent in pool.agents:
            assert word not in agent.said(), (agent.name, word)
            for path in ("/v1/agent/self", "/v1/agent/metrics", "/v1/agent/debug/gossip"):
                assert word.encode() not in agent.ask("GET", path)[2], (path, word)


def test_without_a_key_nothing_leaves_the_machine_in_plain(pool):
    for ip in ("10.9.0.1", "10.9.0.2", "10.9.0.3"):
        subprocess.run(["ip", "addr", "add", ip + "/24", "dev", "lo"], check=True)
    pool.add("s1", "10.9.0.1", "-server", join="10.9.0.2")
    one = pool.add("a1", "10.9.0.2", join="10.9.0.1")
    until(LONG, lambda: b"would go there unencrypted" in one.ask("PUT", "/v1/kv/x", CANARY)[2], one.link)
    assert b"link.allow_plaintext" in one.ask("GET", "/v1/kv/x")[2]
    allowed = {"link": {"allow_plaintext": True}}
    two = pool.add("a2", "10.9.0.3", join="10.9.0.1", config=allowed)
    until(LONG, lambda: two.ask("GET", "/v1/kv/x")[::2] == (500, b"No cluster leader"), two.link)  # the server does not
    assert "link.allow_plaintext is set" in two.said()
    server = pool.agents[0]
    server.stop()
    server.configure(allowed)
    server.start()
    reaches(two)
    assert server.link()["protection"] == "none: anybody may ask and listen"


def test_a_dead_server_is_noticed_within_seconds(pool):
    server, one, _ = pool.three()
    server.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    status, _, body = one.ask("GET", "/v1/kv/x", timeout=60)
    server.process.send_signal(signal.SIGCONT)
    assert status in (500, 404), body
    assert time.monotonic() - start < LONG
    reaches(one)


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_requests_move_to_another_server_while_one_is_killed_or_stopped(pool):
    etcd = subprocess.Popen(["etcd", "--data-dir", str(pool.folder / "etcd")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        store = {"encrypt": new_key(), "store": {"engine": "etcd", "endpoints": ["http://127.0.0.1:2379"]}}
        servers = {name: pool.add(name, ip, "-server", config=store, join=join)
                   for name, ip, join in (("s1", SERVER, "127.0.0.4"), ("s2", "127.0.0.4", SERVER))}
        one = pool.add("a1", ONE, config={"encrypt": store["encrypt"]})
        reaches(one)
        until(LONG, lambda: len(json.loads(one.ask("GET", "/v1/agent/members")[2])) == 3, one.said)
        for end in (signal.SIGKILL, signal.SIGSTOP):
            asked = one.link()["server"]
            index = dict(one.ask("GET", "/v1/kv/x")[1])["X-Consul-Index"]
            got = []
            waiting = threading.Thread(target=lambda: got.append(one.ask("GET", "/v1/kv/x?wait=60s&index=" + index, timeout=70)), daemon=True)
            waiting.start()
            until(LONG, lambda: one.link()["open"] == "1", "the query waits")
            servers[asked].process.send_signal(end)
            start = time.monotonic()
            assert one.ask("PUT", "/v1/kv/x", b"%d" % end, timeout=60)[2] == b"true"
            took = time.monotonic() - start
            waiting.join(LONG)
            assert got and json.loads(got[0][2])[0]["Value"] == base64.b64encode(b"%d" % end).decode()
            assert one.link()["server"] != asked and took < LONG
            print("signal %d: the write took %.2f s" % (end, took))
            if end == signal.SIGKILL:
                servers[asked].process.wait()
                servers[asked].start()
    finally:
        etcd.kill()
        etcd.wait()
