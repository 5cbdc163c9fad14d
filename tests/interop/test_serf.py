"""A real `serf agent` and ours in one pool: each sees the other come, change, leave and die."""
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLLCALL = str(ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall")
SERF = shutil.which("serf") or "/usr/bin/serf"
ALIVE, LEFT, FAILED = 1, 3, 4  # Consul's and Serf's numbers

pytestmark = pytest.mark.skipif(not os.path.exists(SERF), reason="serf is not installed")


def free_port(ip):
    """A port that is free for TCP and UDP alike, outside what the system hands out to others."""
    for port in range(22000 + os.getpid() % 5000, 32000):
        try:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.bind((ip, port))
                udp.bind((ip, port))
                return port
        except OSError:
            continue
    raise AssertionError("no free port")


def until(seconds, question, what):
    """Waits for a true answer; the last one is in the complaint."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, "not within %s s: %s" % (seconds, what)
        time.sleep(0.05)


class Program:
    """A program with its output in a file."""

    def __init__(self, folder, name, command):
        self.path = folder / (name + ".log")
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def said(self):
        return self.path.read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode


class Serf(Program):
    def __init__(self, folder, name, ip, key=None, join=None, tags=()):
        self.name, self.port = name, free_port(ip)
        self.address = "%s:%d" % (ip, self.port)
        self.rpc = "%s:%d" % (ip, free_port("127.0.0.1") + 1000)
        command = [SERF, "agent", "-node=" + name, "-bind=" + self.address,
                   "-rpc-addr=" + self.rpc, "-profile=local", "-log-level=trace"]
        command += ["-encrypt=" + key] if key else []
        command += ["-join=" + join] if join else []
        command += ["-tag=%s=%s" % tag for tag in tags]
        super().__init__(folder, name, command)
        until(10, lambda: self.ask("members", quiet=True), "serf answers")

    def ask(self, *words, quiet=False):
        done = subprocess.run([SERF, words[0], "-rpc-addr=" + self.rpc, *words[1:]],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert quiet or done.returncode == 0, done.stdout
        return done.stdout.decode() if done.returncode == 0 else ""

    def members(self):
        listed = json.loads(self.ask("members", "-format=json"))["members"]
        return {member["name"]: member for member in listed}

    def sees(self, name, status, seconds=10):
        until(seconds, lambda: self.members().get(name, {}).get("status") == status,
              "serf sees %s as %s: %s" % (name, status, self.members().get(name)))

    def complaints(self):
        lines = re.findall(r".*\[(?:WARN|ERR)\].*", self.said())
        return [line for line in lines if "shutdown detected" not in line]


class Agent(Program):
    def __init__(self, folder, name, ip, key=None, join=None):
        self.name, self.port = name, free_port(ip)
        self.address = "%s:%d" % (ip, self.port)
        self.http = free_port(ip) + 1
        command = [ROLLCALL, "agent", "-node=" + name, "-bind=" + ip, "-client=" + ip,
                   "-serf-lan-port=%d" % self.port, "-http-port=%d" % self.http,
                   "-dns-port=-1", "-profile=fast", "-data-dir=%s" % (folder / name)]
        command += ["-encrypt=" + key] if key else []
        command += ["-retry-join=" + join, "-retry-interval=1s"] if join else []
        self.url = "http://%s:%d/v1/agent/members" % (ip, self.http)
        super().__init__(folder, name, command)
        until(10, lambda: self.members(), "rollcall answers: " + self.said())

    def members(self):
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return {member["Name"]: member for member in json.load(answer)}
        except OSError:
            return {}

    def sees(self, name, status, seconds=10):
        until(seconds, lambda: self.members().get(name, {}).get("Status") == status,
              "rollcall sees %s as %s: %s" % (name, status, self.members().get(name)))


@pytest.fixture
def pool(tmp_path):
    made = []

    class Pool:
        @staticmethod
        def serf(*words, **more):
            made.append(Serf(tmp_path, *words, **more))
            return made[-1]

        @staticmethod
        def agent(*words, **more):
            made.append(Agent(tmp_path, *words, **more))
            return made[-1]

    yield Pool
    for program in reversed(made):
        if isinstance(program, Serf):
            program.kill()
    for program in reversed(made):
        if isinstance(program, Agent) and program.process.poll() is None:
            assert program.stop() == 0, program.said()


def key_of(size):
    return base64.b64encode(os.urandom(size)).decode() if size else None


def both_see_both(serf, agent):
    serf.sees(agent.name, "alive")
    agent.sees(serf.name, ALIVE)


@pytest.mark.parametrize("key_size", [0, 16, 24, 32])
def test_serf_joins_us(pool, key_size):
    key = key_of(key_size)
    agent = pool.agent("ours", "127.0.77.1", key=key)
    serf = pool.serf("theirs", "127.0.77.2", key=key, join=agent.address, tags=[("role", "db")])
    both_see_both(serf, agent)
    assert "rc" in serf.members()["ours"]["tags"]
    assert agent.members()["theirs"]["Tags"]["role"] == "db"
    assert serf.complaints() == []


@pytest.mark.parametrize("key_size", [0, 32])
def test_we_join_serf(pool, key_size):
    key = key_of(key_size)
    serf = pool.serf("theirs", "127.0.77.2", key=key)
    agent = pool.agent("ours", "127.0.77.1", key=key, join=serf.address)
    both_see_both(serf, agent)
    time.sleep(3)  # probes, push/pulls and whatever else might annoy it
    both_see_both(serf, agent)
    assert serf.complaints() == []


def test_without_the_key_nobody_gets_in(pool):
    serf = pool.serf("theirs", "127.0.77.2", key=key_of(32))
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    time.sleep(2)
    assert list(agent.members()) == ["ours"]
    assert list(serf.members()) == ["theirs"]


@pytest.mark.parametrize("key_size", [0, 32])
def test_a_killed_serf_is_failed(pool, key_size):
    key = key_of(key_size)
    serf = pool.serf("theirs", "127.0.77.2", key=key)
    agent = pool.agent("ours", "127.0.77.1", key=key, join=serf.address)
    both_see_both(serf, agent)
    serf.kill()
    agent.sees("theirs", FAILED, 5)


@pytest.mark.parametrize("key_size", [0, 32])
def test_when_we_are_killed_serf_says_failed(pool, key_size):
    key = key_of(key_size)
    serf = pool.serf("theirs", "127.0.77.2", key=key)
    agent = pool.agent("ours", "127.0.77.1", key=key, join=serf.address)
    both_see_both(serf, agent)
    agent.kill()
    serf.sees("ours", "failed", 15)


def test_a_serf_that_leaves_has_left(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    serf.ask("leave")
    agent.sees("theirs", LEFT, 5)


def test_when_we_leave_serf_says_left(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    assert agent.stop() == 0
    serf.sees("ours", "left", 5)


def test_a_stopped_serf_is_suspect_and_comes_back(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    serf.process.send_signal(signal.SIGSTOP)
    agent.sees("theirs", FAILED, 5)
    serf.process.send_signal(signal.SIGCONT)
    agent.sees("theirs", ALIVE, 15)
    serf.sees("ours", "alive", 15)


def test_a_force_leave_while_we_live_is_taken_back(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    other = pool.serf("other", "127.0.77.3", join=serf.address)
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    both_see_both(other, agent)
    serf.ask("force-leave", "ours")
    serf.sees("ours", "alive", 5)
    other.sees("ours", "alive", 5)


def test_events_and_queries_of_serf_reach_us(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    serf.ask("event", "deploy", "v1")
    assert "Ack from 'ours'" in serf.ask("query", "-timeout=1s", "uptime")
    assert "Ack from 'ours'" not in serf.ask("query", "-timeout=1s", "-node=theirs", "uptime")
    until(5, lambda: "user event deploy" in agent.said(), "the event is logged")
    assert serf.complaints() == []


def test_serf_can_tell_how_far_we_are(pool):
    serf = pool.serf("theirs", "127.0.77.2")
    agent = pool.agent("ours", "127.0.77.1", join=serf.address)
    both_see_both(serf, agent)
    until(10, lambda: "Estimated" in serf.ask("rtt", "theirs", "ours", quiet=True), "an rtt")
