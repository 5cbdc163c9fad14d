"""Real agents with a store on loopback addresses that nobody else has, for tests and measurements."""
import http.client
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
KEY = "ReRmE2u1ucnGZbK1Uf3dcb1sdXEb0TB84NYYoKzQWdA="  # of pools on more than loopback


def until(question, seconds=30, every=0.05):
    """Waits until question() is true and returns that; errors of a program that starts do not count."""
    end = time.monotonic() + patient(seconds)
    while True:
        try:
            found = question()
            if found:
                return found
        except (OSError, ValueError, KeyError, IndexError, AssertionError, http.client.HTTPException):
            pass
        assert time.monotonic() < end, "timed out"
        time.sleep(every)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {k.lower(): v for k, v in headers}

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def index(self):
        return int(self.headers["x-consul-index"])


class Agent:
    """One agent; `settings` go into its file. It can be killed, stopped and started again. `enter`: words before its own."""

    def __init__(self, folder, name, address, enter=(), **settings):
        self.folder, self.name, self.address, self.process = Path(folder), name, address, None
        self.enter = list(enter)
        self.folder.mkdir(parents=True, exist_ok=True)
        everything = {"node_name": name, "data_dir": str(self.folder / "data"), "bind_addr": address, "client_addr": address,
                      "ports": {"dns": -1}, "profile": "fast", "retry_interval": "1s", "leave_on_terminate": False, **settings}
        (self.folder / "agent.json").write_text(json.dumps(everything))

    def start(self):
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([*self.enter, str(BINARY), "agent", "-config-file", str(self.folder / "agent.json")], stdout=log, stderr=log)
        return self

    def ready(self, seconds=30):
        """Answers, and its store (or the one it forwards to) does too."""
        until(lambda: self.call("GET", "/v1/kv/?keys", timeout=20).status in (200, 404), seconds)
        return self

    def call(self, method, target, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection(self.address, 8500, timeout=timeout)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, target, body.encode() if isinstance(body, str) else body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def put(self, key, value):
        """A slow machine's store may not know in time whether it did: what does no harm is done again."""
        until(lambda: self.call("PUT", f"/v1/kv/{key}", value).text == "true", 60)

    def session(self, **settings):
        reply = self.call("PUT", "/v1/session/create", {"Checks": [], "LockDelay": "0.001s", **settings})
        assert reply.status == 200, reply.text
        return reply.json["ID"]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(patient(20))
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def log(self):
        return (self.folder / "log").read_text()


class Agents:
    """Some agents that know each other; on hosts of their names if there are `wires` (wires.py)."""

    def __init__(self, folder, wires=None):
        self.folder, self.all, self.wires = Path(folder), [], wires
        self.network = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"

    def add(self, name, **settings):
        if self.wires:
            host = self.wires[name]
            agent = Agent(self.folder / name, name, host.address, host.enter, encrypt=KEY, **settings)
        else:
            agent = Agent(self.folder / name, name, f"{self.network}.{len(self.all) + 1}", **settings)
        self.all.append(agent)
        return agent

    def server(self, name="s1", **settings):
        return self.add(name, server=True, **settings)

    def client(self, name, **settings):
        return self.add(name, retry_join=[self.all[0].address], **settings)

    def end(self):
        for agent in reversed(self.all):
            agent.end()
