"""Programs of tests/load, processor time of others, and a little DNS: what the measurements of DNS share."""
import contextlib
import json
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

from patience import patient
from store_agents import BINARY

LOAD, ECHO = BINARY.parent / "tests/load/dns_load", BINARY.parent / "tests/load/dns_echo"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
A, SRV = 1, 33


def on(core):
    """Words before a command that runs on one core only."""
    return ["taskset", "-c", str(core)]


def stream(kind="udp", **words):
    return [f"kind={kind}", *(f"{key}={value}" for key, value in words.items())]


class Traffic:
    """Streams of dns_load at one server, from the clients' core."""

    def __init__(self, address, port, seconds, *streams, spin=False, core=CLIENT_CORE):
        words = []
        for each in streams:
            words += (["with"] if words else []) + each
        command = [*on(core), str(LOAD), address, str(port), str(seconds), *(["spin"] if spin else []), *words]
        self.seconds = seconds
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.process.terminate()
        return self.end()

    def end(self):
        """What came of each stream; with `rate`, answers a second."""
        try:
            said = self.process.communicate(timeout=self.seconds + patient(20))[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert self.process.returncode == 0, said
        found = [json.loads(line) for line in said.splitlines()]
        for each in found:
            each["rate"] = each["answered"] / each["seconds"]
        return found


def traffic(*words, **more):
    return Traffic(*words, **more).end()


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def cpu_s(pid):
    """Of all its threads and children, in seconds, exact."""
    total = 0
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").glob("*"):
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mb(pid):
    """Resident: what is its own, and all."""
    words = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
    kb = {word[:-1]: int(words[i + 1]) for i, word in enumerate(words) if word in ("Rss:", "Pss:", "Private_Dirty:")}
    return kb["Private_Dirty"] / 1024, kb["Rss"] / 1024


def question(name, kind=A, number=1, edns=0):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split("."))
    packet = struct.pack(">HHHHHH", number, 0x100, 1, 0, 0, 1 if edns else 0) + labels + b"\0" + struct.pack(">HH", kind, 1)
    return packet + (b"\0" + struct.pack(">HHIH", 41, edns, 0, 0) if edns else b"")


class Asker:
    """One socket that asks one question at a time."""

    def __init__(self, address, port, timeout=1.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.socket.settimeout(timeout)
        self.number = 0

    def ask(self, name, kind=A, edns=4096):
        """(rcode, number of answers, packet), or OSError."""
        self.number = self.number % 65535 + 1
        self.socket.send(question(name, kind, self.number, edns))
        while True:
            packet = self.socket.recv(65536)
            number, flags, _, answers = struct.unpack(">HHHH", packet[:8])
            if number == self.number:
                return flags & 15, answers, packet

    def answers(self, name, kind=A):
        """How many records, or 0."""
        with contextlib.suppress(OSError):
            return self.ask(name, kind)[1]
        return 0


class Calls:
    """HTTP requests over one connection, sent without waiting for the answers before: cheap enough beside a measurement."""

    AT_ONCE = 50  # the server reads no further while answers wait

    def __init__(self, address, port=8500):
        self.socket = socket.create_connection((address, port), timeout=patient(20))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    @staticmethod
    def put(target, body=b""):
        return b"PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (target.encode(), len(body), body)

    def run(self, requests):
        """Sends them, some at a time, and waits until all are answered well."""
        for first in range(0, len(requests), self.AT_ONCE):
            some = requests[first:first + self.AT_ONCE]
            self.socket.sendall(b"".join(some))
            for _ in some:
                self._answer()

    def _answer(self):
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        while len(self.rest) < length:
            self._more()
        self.rest = self.rest[length:]

    def _more(self):
        data = self.socket.recv(1 << 16)
        assert data, "closed"
        self.rest += data


def wait_quiet(limit=3.0, cores=0.3):
    """Waits until others use little of the machine, but not for long."""
    end = time.monotonic() + limit

    def busy():
        return sum(int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:4])
    while time.monotonic() < end:
        before = busy()
        time.sleep(0.2)
        if (busy() - before) / os.sysconf("SC_CLK_TCK") / 0.2 < cores:
            return
