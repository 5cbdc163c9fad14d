#!/usr/bin/python3
"""What operators read when two nodes do not fit together.

    sudo tests/interop/test_agent_names.py [BINARY]

Agents in a network namespace of their own, each on an address of the loopback network.
"""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
from test_agent_memory import Agent  # noqa: E402
from test_http_fixtures import ROOT, until  # noqa: E402

KEYS = ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "HxwdHh8QERITFBUWFxgZGgsMDQ4PAAECAwQFBgcICQo=")


def lines(agent, words):
    return [line for line in (agent.folder / "log").read_text().splitlines() if words in line]


def two_nodes_of_one_name_are_told_of_but_fill_no_log(binary, folder):
    one, two, other = Agent(binary, folder, 1), Agent(binary, folder, 2, "twin"), Agent(binary, folder, 3, "twin")
    try:
        one.start()
        two.start("-join", one.address)
        until(lambda: one.sees_alive() == ["n1", "twin"], 30)
        other.start("-join", one.address)
        until(lambda: lines(one, "uses the name of 'twin'"), 30)
        two.kill()  # from now on the other's own word arrives again and again
        until(lambda: one.sees_alive() == ["n1"], 30)
        time.sleep(4)
        assert len(lines(one, "uses the name of 'twin'")) <= 2, lines(one, "uses the name of 'twin'")
        until(lambda: lines(other, "uses our name 'twin'"), 30)
    finally:
        for agent in (one, two, other):
            agent.kill()


def a_refused_join_names_the_key_as_a_likely_cause(binary, folder):
    one, other = Agent(binary, folder, 4), Agent(binary, folder, 5)
    try:
        one.start("-encrypt", KEYS[0])
        other.start("-encrypt", KEYS[1], "-retry-join", one.address)
        until(lambda: lines(other, "none under a key that this node has"), 30)
        assert one.sees_alive() == ["n4"]
    finally:
        one.kill()
        other.kill()


CLAIMS = (two_nodes_of_one_name_are_told_of_but_fill_no_log, a_refused_join_names_the_key_as_a_likely_cause)


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        for claim in CLAIMS:
            claim(binary, folder)
            print("ok", claim.__name__)


def test_what_operators_read():
    binary = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", __file__, str(binary)],
                         capture_output=True, text=True, timeout=patient(120))
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/rollcall"))
