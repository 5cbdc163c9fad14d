"""The processes of `rollcall lock`: any two of them may be killed or stopped, and the command still ends in time.

The agent is a made one, which does its worst: it keeps every last question waiting beyond the session's end.
"""
import http.server
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

from lock_family import children, send
from patience import patient
from store_agents import BINARY, until

TTL = 6.0
GUARD = TTL / 10  # by so much earlier the command has to be dead
LATE = 0.4        # what a kill may take, beyond the guard and what the machine holds up anybody
ROLES = ("lock", "guardian", "renewer")
BEAT = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while True:
    os.write(file, f"{time.clock_gettime(7):.3f}\\n".encode())
    time.sleep(0.01)
"""


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        body = json.dumps(body).encode() if status == 200 else b"No cluster leader"
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Consul-Index", "7")
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass

    def do_PUT(self):  # noqa: N802
        agent, length = self.server.agent, int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        words = self.path.split("?")[0].split("/")
        if words[2:4] == ["session", "create"]:
            session = f"s{next(agent.numbers)}"
            agent.renewed[session] = now()
            self.answer(200, {"ID": session})
        elif words[2:4] == ["session", "renew"]:
            session = words[4]
            if not agent.is_away.is_set():
                agent.renewed[session] = now()
                self.answer(200, [{"ID": session}])
                return
            if now() > agent.renewed[session] + TTL - GUARD - 0.15:
                time.sleep(TTL)  # the question that comes just before the deadline
            self.answer(500, None)
        elif "acquire=" in self.path:
            agent.holders[urllib.parse.unquote(words[-1])] = self.path.split("acquire=")[1].split("&")[0]
            self.answer(200, True)
        else:
            self.answer(200, True)

    def do_GET(self):  # noqa: N802
        agent, key = self.server.agent, urllib.parse.unquote(self.path.split("?")[0][len("/v1/kv/"):])
        if "wait=" in self.path:
            time.sleep(0.2)
        if agent.is_away.is_set():
            self.answer(500, None)
            return
        holder = agent.holders.get(key)
        pair = {"Key": key, "Flags": 0x2DDCCBC058A50C18, "Value": None}
        if holder:
            pair |= {"Session": holder, "Term": 9}
        self.answer(200, [pair])

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # whoever asked was killed

    def log_message(self, *_):
        pass


class MadeAgent:
    """Gives everybody his lock and renews it, until it is away: then it refuses, and the last question hangs."""

    def __init__(self):
        self.numbers, self.renewed, self.holders = itertools.count(1), {}, {}
        self.is_away = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.agent = True, self
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def session_of(self, name):
        return self.holders[f"{name}/.lock"]


class Lock:
    """One `rollcall lock` whose command is a grandchild: the kernel ends only the shell with the guardian."""

    def __init__(self, folder, agent, number, faults, by_shell=True):
        self.name, self.file, self.faults = f"lock{number}", Path(folder) / f"beats{number}", faults
        words = [sys.executable, "-I", "-S", str(Path(folder) / "beat.py"), str(self.file)]
        self.process = subprocess.Popen([str(BINARY), "lock", f"-http-addr={agent.address}", f"-ttl={TTL:.0f}s",
                                         f"-shell={str(by_shell).lower()}", self.name, *([" ".join(words) + "; true"] if by_shell else words)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def roles(self):
        found = {"lock": self.process.pid}
        for pid in children(self.process.pid):
            found["guardian" if children(pid) else "renewer"] = pid
        return found if len(found) == len(ROLES) and self.file.exists() and self.file.stat().st_size else None

    def hurt(self):
        roles = until(self.roles)
        for role, number in self.faults.items():
            send(roles[role], number)
        return roles

    def beats(self):
        return [float(line) for line in self.file.read_text().split()]

    def __repr__(self):
        return " and ".join(f"{role} {'killed' if number == signal.SIGKILL else 'stopped'}" for role, number in self.faults.items())


class Witness:
    """A process that nobody hurts and that has nothing to wait for: what it is late, everybody may be."""

    def __init__(self, folder):
        self.file = Path(folder) / "witness"
        self.process = subprocess.Popen([sys.executable, "-I", "-S", str(Path(folder) / "beat.py"), str(self.file)])

    def longest_gap(self):
        beats = [float(line) for line in self.file.read_text().split()]
        return max((b - a for a, b in zip(beats, beats[1:])), default=0.0)


def cases():
    """Each of the three alone, and each two, killed or stopped."""
    for count in (1, 2):
        for roles in itertools.combinations(ROLES, count):
            for numbers in itertools.product((signal.SIGKILL, signal.SIGSTOP), repeat=count):
                yield dict(zip(roles, numbers))


def writers(folder):
    """Processes that write beats there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"\0{folder}/beat.py\0".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def end(locks, hurt, folder):
    for pid in (pid for roles in hurt for pid in roles.values()):
        send(pid, signal.SIGCONT)
    for lock in locks:
        send(lock.process.pid, signal.SIGTERM)
    for lock in locks:
        lock.process.wait(patient(60))
    for pid in writers(folder):
        send(pid, signal.SIGKILL)


def test_the_command_is_dead_before_the_session_ends_whichever_two_watchers_are_gone(tmp_path):
    (tmp_path / "beat.py").write_text(BEAT)
    agent = MadeAgent()
    locks, hurt = [Lock(tmp_path, agent, number, faults) for number, faults in enumerate(cases())], []
    witness = Witness(tmp_path)
    try:
        for lock in locks:
            until(lock.roles)
        agent.is_away.set()
        hurt += [lock.hurt() for lock in locks]
        until(lambda: writers(tmp_path) == [witness.process.pid], 3 * TTL)
        late, held_up = {}, 2 * witness.longest_gap()
        for lock in locks:
            good_until = agent.renewed[agent.session_of(lock.name)] + TTL
            if lock.beats()[-1] > good_until + LATE - GUARD / 2 + held_up:
                late[repr(lock)] = round(lock.beats()[-1] - good_until, 3)
    finally:
        end(locks, hurt, tmp_path)
        witness.process.wait(patient(10))

    assert len(locks) == 18 and late == {}


def test_who_kills_all_three_kills_the_command(tmp_path):
    (tmp_path / "beat.py").write_text(BEAT)
    agent = MadeAgent()
    lock = Lock(tmp_path, agent, 1, dict.fromkeys(ROLES, signal.SIGKILL), by_shell=False)
    hurt = []
    try:
        hurt += [lock.hurt()]
        until(lambda: not writers(tmp_path))
    finally:
        end([lock], hurt, tmp_path)
