#!/usr/bin/python3
"""What agents remember when the power fails.

    sudo tests/interop/test_agent_memory.py [BINARY]

Two agents in a network namespace of their own, each on an address of the loopback network.
"""
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
from test_http_fixtures import ROOT, until  # noqa: E402

CONFIG = 'profile = "fast"\nretry_interval = "1s"\n'


class Agent:
    def __init__(self, binary, folder, number, name=None):
        self.binary, self.name = binary, name or f"n{number}"
        self.address = f"127.0.0.{number}"
        self.folder = Path(folder) / f"n{number}"
        self.folder.mkdir()
        (self.folder / "agent.hcl").write_text(CONFIG)
        self.process = None

    def start(self, *words):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [self.binary, "agent", "-node", self.name, "-bind", self.address, "-client", self.address,
             "-data-dir", str(self.folder / "data"), "-config-file", str(self.folder / "agent.hcl"), *words],
            stdout=log, stderr=log)
        log.close()
        until(self.answers, 30)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, path):
        with urllib.request.urlopen(f"http://{self.address}:8500{path}", timeout=30) as answer:
            return json.load(answer)

    def answers(self):
        try:
            return bool(self.ask("/v1/agent/self"))
        except OSError:
            return False

    def node_id(self):
        return self.ask("/v1/agent/self")["Config"]["NodeID"]

    def sees_alive(self):
        return sorted(member["Name"] for member in self.ask("/v1/agent/members") if member["Status"] == 1)

    def kept(self):
        return json.loads((self.folder / "data" / "node.json").read_text())

    def knows(self):
        """Whom it would look for after a restart."""
        known = set()
        path = self.folder / "data" / "gossip.snapshot"
        for line in path.read_text().splitlines() if path.exists() else []:
            word, _, rest = line.partition(": ")
            if word == "alive":
                known.add(rest.rpartition(" ")[0])
            elif word == "not-alive":
                known.discard(rest)
        return known


def a_newborn_that_loses_power_is_the_same_node_after(one, _):
    one.start()
    born = one.node_id()
    one.kill()
    one.start()
    assert one.node_id() == born
    one.kill()


def agents_that_lost_power_alone_still_find_each_other(one, two):
    one.start()
    two.start("-join", one.address)
    until(lambda: one.sees_alive() == two.sees_alive() == ["n1", "n2"], 30)
    until(lambda: one.knows() == {"n2"} and two.knows() == {"n1"}, 30)
    one.kill()
    until(lambda: two.sees_alive() == ["n2"], 30)
    until(lambda: two.kept()["incarnation"] and two.knows() == {"n1"}, 30)
    two.kill()
    for alone in (one, two):
        alone.start()
        alone.kill()
    one.start()
    two.start()
    until(lambda: one.sees_alive() == two.sees_alive() == ["n1", "n2"], 30)


def an_agent_that_woke_up_alone_looks_on(one, two):
    """It knew the other from before, and the other is there only later, knowing nobody."""
    for agent in (one, two):
        agent.kill()
    for name in ("node.json", "gossip.snapshot"):
        (two.folder / "data" / name).unlink()
    one.start()
    two.start()
    until(lambda: one.sees_alive() == ["n1", "n2"], 30)


CLAIMS = (a_newborn_that_loses_power_is_the_same_node_after, agents_that_lost_power_alone_still_find_each_other,
          an_agent_that_woke_up_alone_looks_on)


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        agents = [Agent(binary, folder, number) for number in (1, 2)]
        try:
            for claim in CLAIMS:
                claim(*agents)
                print("ok", claim.__name__)
        except BaseException:
            for agent in agents:
                print((agent.folder / "log").read_text()[-2000:] if (agent.folder / "log").exists() else "")
            raise
        finally:
            for agent in agents:
                agent.kill()


def test_what_agents_remember():
    binary = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__, str(binary)],
                         capture_output=True, text=True, timeout=patient(120))
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/rollcall"))
