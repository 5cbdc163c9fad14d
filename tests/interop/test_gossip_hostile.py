"""Any bytes on the gossip port, by UDP and TCP: our agents live, answer and know each other.

ROLLCALL_FUZZ_SECONDS makes the random part longer.
"""
import json
import os
import random
import socket
import time

import pytest

from serf_pool import ALIVE, GOSSIP, ROOT, new_key

FIXTURES = ROOT / "tests" / "fixtures" / "gossip"
MALFORMED = json.loads((FIXTURES / "malformed.json").read_text())["inputs"]
SECONDS = float(os.environ.get("ROLLCALL_FUZZ_SECONDS", "5"))


def send(agent, transport, data):
    if transport == "udp":
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(data[:65000], (agent.ip, GOSSIP))
        return
    with socket.socket() as sock:
        sock.settimeout(0.2)
        try:
            sock.connect((agent.ip, GOSSIP))
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except OSError:
            pass  # closed on us, or still waiting for the rest: both are its right


def pair(pool, key=None):
    one = pool.agent("one", key=key)
    two = pool.agent("two", key=key, join=one.address)
    pool.agree()
    return one, two


def still_well(agents):
    for agent in agents:
        assert agent.runs(), agent.said()[-6000:]
        for other in agents:
            agent.sees(other.name, ALIVE)


@pytest.mark.parametrize("key", [None, new_key()], ids=["plain", "encrypted"])
def test_what_kills_other_agents_does_not_kill_ours(pool, key):
    agents = pair(pool, key)
    assert len(MALFORMED) == 22
    for case in MALFORMED:
        send(agents[0], case["transport"], bytes.fromhex(case["hex"]))
        assert agents[0].runs(), "%s: %s" % (case["name"], agents[0].said()[-6000:])
    still_well(agents)


def seeds():
    """(transport, bytes) of everything that was ever captured or made up."""
    found = [(case["transport"], bytes.fromhex(case["hex"])) for case in MALFORMED]
    for path in sorted(FIXTURES.glob("[0-9]*.json")):
        capture = json.loads(path.read_text())
        if "hex" in capture:
            found.append(("tcp" if "tcp" in path.name else "udp", bytes.fromhex(capture["hex"])))
    assert len(found) > 60
    return found


def mutated(chance, data):
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at:at + chance.randrange(1, 9)] = b""
        elif kind == 3:
            data[at:at] = bytes(chance.choice((0, 0x7f, 0x80, 0xc0, 0xdf, 0xff)) for _ in range(chance.randrange(1, 9)))
        else:
            data[at:] = data[:chance.randrange(1, 64)] * chance.randrange(1, 4)
    return bytes(data)


def test_random_bytes_do_not_kill_ours(pool):
    agents = pair(pool)
    chance = random.Random(int(os.environ.get("ROLLCALL_FUZZ_SEED", "1")))
    inputs = seeds()
    end = time.monotonic() + SECONDS
    sent = 0
    while time.monotonic() < end:
        transport, data = chance.choice(inputs)
        send(chance.choice(agents), transport, mutated(chance, data))
        sent += 1
        if sent % 100 == 0:
            for agent in agents:
                assert agent.runs(), agent.said()[-6000:]
    print("%d inputs" % sent)
    still_well(agents)
