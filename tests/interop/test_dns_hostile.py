"""Whoever sends anything to an agent's DNS: it goes on answering, in bounded memory. HOSTILE_SECONDS makes it longer, HOSTILE_SEED
another one."""
import contextlib
import os
import random
import resource
import socket
import struct
import subprocess
import threading
import time

import pytest

import serf_pool
from dns_packets import (
    A, AAAA, ANY, AXFR, COOKIE, KEEPALIVE, NOERROR, NSID, NXDOMAIN, PTR, SOA, SRV, TXT, Answer, Broken, header, name, opt, option, over_tcp,
    over_udp, query, question)
from patience import patient

PORT, SECONDS = 8600, float(os.environ.get("HOSTILE_SECONDS", "4"))
SEED = int(os.environ.get("HOSTILE_SEED", "0")) or random.randrange(1 << 30)
SERVER, NODE = "127.0.0.1", "a.node.rollcall"
SOURCES = ["127.0.0.1", "127.0.0.9", *(f"198.51.100.{n}" for n in range(1, 9)), *(f"10.0.{n}.1" for n in range(1, 9))]
IS_CHECKED = os.environ.get("ROLLCALL_BUILD", "release") != "release"  # by sanitizers, which keep what was freed for a while
GROWTH_MAX = (64 << 20) * (5 if IS_CHECKED else 1)  # bytes; what is held for connections is far less
SLOW = 300  # TCP connections that say little: more than one client, and all together, may have
pytestmark = pytest.mark.skipif(bool(serf_pool.why_not()), reason=str(serf_pool.why_not()))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    network = serf_pool.Namespace()
    for address in SOURCES[2:]:
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    command = [serf_pool.ROLLCALL, "agent", "-dev", "-node=a", f"-dns-port={PORT}", "-log-level=info", f"-data-dir={folder}/data",
               "-hcl=dns_config { workers = 2 nsid = \"a\" version = \"1\" identity = \"a\" }"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    serf_pool.until(serf_pool.LONG, lambda: over_udp((SERVER, PORT), query(NODE)), "no DNS")
    yield process
    process.terminate()
    code = process.wait(serf_pool.LONG)
    network.leave()
    assert code == 0, (folder / "log").read_text()[-4000:]


def memory(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def real(dice):
    """What a client could send."""
    label = dice.choice([NODE, "consul.service.rollcall", "none.service.consul", "1.0.0.127.in-addr.arpa", "rollcall", "7f000001.addr.consul",
                         "x.query.rollcall", "_a._tcp.service.consul", "version.bind", "example.com", "rollcall.service." + "y" * 60 + ".consul"])
    options = b"".join(dice.sample([option(NSID), option(COOKIE, dice.randbytes(dice.choice([8, 16, 24, 40, 7]))), option(KEEPALIVE),
                                    option(dice.randrange(65536), dice.randbytes(dice.randrange(40)))], dice.randrange(4)))
    edns = opt(options, dice.randrange(65536), dice.choice([0, 0, 0, 1]), dice.randrange(65536)) if dice.random() < 0.7 else None
    return query(label, dice.choice([A, AAAA, SRV, TXT, SOA, PTR, ANY, AXFR, dice.randrange(65536)]), dice.choice([1, 1, 1, 3, 255]),
                 dice.randrange(65536) & 0x07f0, edns, dice.choice([0, 0, 0, 0, dice.randrange(16)]))


def mutated(dice):
    packet = bytearray(real(dice))
    for _ in range(dice.randrange(1, 5)):
        at, how = dice.randrange(len(packet)), dice.randrange(5)
        if how == 0:
            packet[at] = dice.randrange(256)
        elif how == 1:
            packet[at] ^= 1 << dice.randrange(8)
        elif how == 2:
            packet = packet[:at + 1]
        elif how == 3:
            packet[at:at] = dice.randbytes(dice.randrange(20))
        else:
            packet[at:at + 2] = struct.pack("!H", 0xc000 | dice.randrange(len(packet)))
    return bytes(packet)


def many_names(dice):
    """A name after a name, each pointing to the one before."""
    chain = b"".join(b"\1a" + struct.pack("!H", 0xc000 | 12 + 4 * n) for n in range(dice.randrange(1, 200)))
    return header(counts=(1, 0, 0, dice.randrange(200))) + question("a.b")[:-4] + struct.pack("!HH", A, 1) + chain


KINDS = [real, mutated, mutated, many_names, lambda dice: dice.randbytes(dice.randrange(64)), lambda dice: dice.randbytes(dice.randrange(1500)),
         lambda dice: header(0, (1, 0, 0, 0)) + dice.randbytes(dice.randrange(300)),
         lambda dice: header(counts=(1, 0, 0, 65535)) + question(NODE), lambda dice: header(counts=(1, 0, 0, 1)) + name(NODE) + bytes(50000)]


class Flood(threading.Thread):
    """Packets from many addresses, as fast as it goes; and strict eyes on what comes back."""

    def __init__(self, seed, packets):
        super().__init__()
        self.dice, self.packets = random.Random(seed), packets
        self.sent, self.received, self.broken, self.is_over = 0, 0, [], threading.Event()
        self.sockets = []
        for source in SOURCES:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((source, 0))
            one.setblocking(False)
            self.sockets.append(one)

    def read(self, one):
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                packet = one.recv(65535)
                self.received += 1
                try:
                    Answer(packet)
                except Broken as error:
                    self.broken.append((str(error), packet.hex()))

    def run(self):
        while not self.is_over.is_set():
            one = self.dice.choice(self.sockets)
            for packet in self.dice.sample(self.packets, 50):
                with contextlib.suppress(BlockingIOError):
                    one.sendto(packet, (SERVER, PORT))
                self.sent += 1
            self.read(one)
        for one in self.sockets:
            one.close()


def still_answers():
    for word, code in ((NODE, NOERROR), ("none.service.rollcall", NXDOMAIN)):
        received = over_udp((SERVER, PORT), query(word), 2.0, 10)
        assert received and Answer(received).rcode == code, word
        received = over_tcp((SERVER, PORT), query(word), patient(20))
        assert received and Answer(received).rcode == code, word


def test_flood_of_all_kinds_leaves_it_answering_in_bounded_memory(agent):
    dice = random.Random(SEED)
    packets = [dice.choice(KINDS)(dice) for _ in range(20000)]
    before = memory(agent)
    flood = Flood(SEED, packets)
    flood.start()
    lost, asked, end = 0, 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        asked += 1
        lost += over_udp((SERVER, PORT), query(NODE), 1.0, 3) is None
        time.sleep(0.05)
    flood.is_over.set()
    flood.join()
    print(f"seed {SEED}: {flood.sent} packets sent, {flood.received} answers, {lost} of {asked} honest questions lost, "
          f"{(memory(agent) - before) >> 10} KiB more")
    assert not flood.broken, flood.broken[:3]
    assert flood.received > 0
    still_answers()
    assert memory(agent) - before < GROWTH_MAX
    assert agent.poll() is None


def slow_client(dice, source):
    """A connection that has said something, of which some is a query."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.bind((source, 0))
    one.settimeout(patient(5))
    with contextlib.suppress(OSError):
        one.connect((SERVER, PORT))
        packet = dice.choice(KINDS)(dice)
        stream = struct.pack("!H", dice.choice([len(packet), len(packet), dice.randrange(65536)])) + packet
        one.sendall(stream[:dice.randrange(len(stream) + 1)])
    return one


def test_tcp_clients_that_trickle_and_never_read_are_closed(agent):
    dice = random.Random(SEED)
    before = memory(agent)
    crowd = [slow_client(dice, dice.choice(SOURCES)) for _ in range(SLOW)]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        one = dice.choice(crowd)
        with contextlib.suppress(OSError):
            one.send(dice.randbytes(dice.randrange(1, 30)), socket.MSG_DONTWAIT)
    still_answers()
    greedy = socket.create_connection((SERVER, PORT), patient(10))
    greedy.setblocking(False)
    packet = query("rollcall", ANY, edns=opt(size=65535))
    stream = (struct.pack("!H", len(packet)) + packet) * 2000
    sent = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:  # reads nothing: sooner or later it is not read from either
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sent += greedy.send(stream)
    still_answers()
    print(f"seed {SEED}: {sent >> 10} KiB of queries taken without reading an answer, {(memory(agent) - before) >> 10} KiB more")
    assert memory(agent) - before < GROWTH_MAX
    for one in (*crowd, greedy):
        one.close()
    still_answers()
    assert agent.poll() is None
