"""A server agent is killed while clients write; what they were told must be there afterwards.

usage: sudo /usr/bin/python3 -B tests/interop/store_kill.py      (make store-kill)

STORE_KILLS=500 rounds by STORE_SEED, in a network of its own. Each client has one request open and a pair
of keys of its own, so after a kill there is one state that was acknowledged, and at most one that may be.
ROLLCALL_BUILD chooses the build. Ends with 0 and a summary, or with 1 and what is wrong.
"""
import base64
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
PORT = 23850
CLIENTS = 8
LONG = 60  # seconds, for what takes milliseconds on an idle machine

SETTINGS = f"""
node_name = "server"
server = true
bind_addr = "127.0.0.1"
ports {{ http = {PORT} dns = 23860 serf_lan = 23870 }}
"""


class Wrong(Exception):
    """The store says something that cannot be."""


def ask(connection, method, target, body=None):
    connection.request(method, "/v1" + target, body=body)
    reply = connection.getresponse()
    return reply.status, reply.read(), reply.headers


def connect():
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=LONG)


class Server:
    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "agent.hcl").write_text(SETTINGS + f'data_dir = "{folder}/data"\n')
        self.process = None

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([str(BUILD / "rollcall"), "agent", "-config-file", str(self.folder / "agent.hcl")],
                                        stdout=log, stderr=log)
        log.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self):
        """Until it answers reads that must be true."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Wrong(f"the agent ended by itself: {self.process.returncode}")
            try:
                status, _, _ = ask(connect(), "GET", "/kv/none?consistent")
                if status == 404:
                    return
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            time.sleep(0.01)
        raise Wrong("the agent does not answer")


class Client:
    """A pair of keys, what they are as far as was acknowledged, and what they may be."""

    def __init__(self, number, seed):
        self.number = number
        self.names = [f"{kind}/{number}" for kind in ("a", "b")]
        self.random = random.Random(seed * 1000 + number)
        self.acked = (None, None)
        self.open = None  # what was asked and not answered
        self.index = 0    # of the first key, when it is known
        self.count = 0
        self.done = Counter()

    def next(self):
        """One request: its kind, method, target, body, and the state that it makes."""
        first, second = self.acked
        self.count += 1
        value = f"{self.number}:{self.count}"
        kind = self.random.choice(("put", "put", "put", "delete", "txn", "cas"))
        if kind == "delete":
            return kind, "DELETE", "/kv/" + self.names[1], None, (first, None)
        if kind == "txn":
            text = base64.b64encode(value.encode()).decode()
            body = json.dumps([{"KV": {"Verb": "set", "Key": name, "Value": text}} for name in self.names])
            return kind, "PUT", "/txn", body, (value, value)
        if kind == "cas":
            wanted = f"?cas={self.index}"
            return kind, "PUT", "/kv/" + self.names[0] + wanted, value, (value, second)
        return kind, "PUT", "/kv/" + self.names[self.count % 2], value, \
            (value, second) if self.count % 2 == 0 else (first, value)

    def step(self, connection):
        kind, method, target, body, state = self.next()
        if kind == "cas":
            status, text, headers = ask(connection, "GET", "/kv/" + self.names[0] + "?consistent")
            if status not in (200, 404):
                raise OSError(status)
            self.index = json.loads(text)[0]["ModifyIndex"] if status == 200 else 0
            target = "/kv/" + self.names[0] + f"?cas={self.index}"
        self.open = state
        status, text, _ = ask(connection, method, target, body)
        if status != 200:
            raise OSError(status, text)  # it may have happened
        if kind != "txn" and text.strip() != b"true":
            raise Wrong(f"{method} {target}: {text}")  # nobody else writes these keys
        self.acked, self.open = state, None
        self.done[kind] += 1

    def run(self, stop, wrong):
        connection = connect()
        try:
            while not stop.is_set():
                self.step(connection)
        except (OSError, http.client.HTTPException):
            self.done["unknown"] += 1
        except Wrong as error:
            wrong.append(error)
        finally:
            connection.close()

    def check(self, found):
        state = tuple(found.get(name) for name in self.names)
        if state != self.acked and state != self.open:
            raise Wrong(f"{self.names} are {state}: acknowledged was {self.acked}, asked for {self.open}")
        self.acked, self.open = state, None


def read_all():
    status, text, headers = ask(connect(), "GET", "/kv/?recurse&consistent")
    if status == 404:
        return {}, int(headers["X-Consul-Index"])
    if status != 200:
        raise Wrong(f"reading: {status} {text}")
    pairs = json.loads(text)
    return {pair["Key"]: base64.b64decode(pair["Value"] or "").decode() for pair in pairs}, \
        max(pair["ModifyIndex"] for pair in pairs)


def run(kills, seed, folder):
    chance = random.Random(seed)
    server = Server(folder)
    clients = [Client(number, seed) for number in range(CLIENTS)]
    highest = 0
    for kill in range(kills):
        server.start()
        if chance.random() < 0.1:  # while it starts
            time.sleep(chance.uniform(0, 0.1))
            server.kill()
            continue
        server.wait()
        found, index = read_all()
        if index < highest:
            raise Wrong(f"kill {kill}: the index fell from {highest} to {index}")
        highest = index
        for client in clients:
            client.check(found)
        stop, wrong = threading.Event(), []
        threads = [threading.Thread(target=client.run, args=(stop, wrong), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.005, 0.3))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
    server.start()
    server.wait()
    found, _ = read_all()
    for client in clients:
        client.check(found)
    server.kill()
    done = sum((client.done for client in clients), Counter())
    acknowledged = sum(done.values()) - done["unknown"]
    return f"{kills} kills: {acknowledged} acknowledged writes, none lost; {done['unknown']} unknown; {dict(done)}"


def main():
    if "STORE_KILL_INSIDE" not in os.environ:  # a network of its own, so that ports are free
        inside = dict(os.environ, STORE_KILL_INSIDE="1")
        words = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__]
        os.execvpe("unshare", words, inside)
    seed = int(os.environ.get("STORE_SEED", "1"))
    folder = tempfile.mkdtemp(prefix="store_kill.")
    try:
        print(run(int(os.environ.get("STORE_KILLS", "500")), seed, folder), flush=True)
    except Wrong as error:
        print(f"seed {seed}: {error}; logs and data are in {folder}", flush=True)
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
