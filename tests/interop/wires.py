"""Hosts with networks of their own and a wire between each two of them, which loses, delays or cuts what it is told to.

A host is a network namespace whose only way out is a TUN device; a process reads the packets of all of them and passes
them on, or not. So each direction between two hosts has its own fault, and the kernel needs no queueing discipline for it.
Call it in a namespace of its own (`unshare -n`): the caller is a host as well, whose wires have no faults unless it asks.
"""
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import sys
import time

from patience import patient

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_MAX, MTU = 65536, 9000
CUT = 1.0  # a loss of everything


def why_not():
    """What these tests lack on this machine, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "there is no /dev/net/tun"


class Host:
    def __init__(self, name, address, pid):
        self.name, self.address, self.pid = name, address, pid

    @property
    def enter(self):
        """Words before a command that runs on this host."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--"]


class Wires:
    def __init__(self, names):
        self.holders, self.hosts = [], {}
        for number, name in enumerate(["", *names]):
            self.hosts[name] = Host(name, f"10.99.0.{number + 1}", self._hold() if name else os.getpid())
        self.process = subprocess.Popen([sys.executable, "-B", __file__, *(str(h.pid) for h in self.hosts.values())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def _hold(self):
        """A process that keeps a namespace: its pid."""
        process = subprocess.Popen(["unshare", "-n", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"])
        self.holders.append(process)
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{process.pid}/ns/net") == ours:
            time.sleep(0.01)
            assert process.poll() is None, "no network namespace is to be had"
        return process.pid

    def __getitem__(self, name):
        return self.hosts[name]

    def _tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def one_way(self, source, target, loss=0.0, delay_ms=0):
        """From now on, for what `source` sends to `target` (names)."""
        self._tell("set", self.hosts[source].address, self.hosts[target].address, loss, delay_ms)

    def between(self, one, other, loss=0.0, delay_ms=0):
        self.one_way(one, other, loss, delay_ms)
        self.one_way(other, one, loss, delay_ms)

    def heal(self):
        self._tell("heal")

    def counts(self):
        """(packets passed on, packets lost)"""
        return tuple(map(int, self._tell("counts").split()))

    def end(self):
        self.process.stdin.close()
        self.process.wait(patient(10))
        for holder in self.holders:
            holder.kill()
            holder.wait()


# ---- The process that passes packets on.


def device(number, pid):
    """A TUN device, given to the namespace of `pid`: its file."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"wire{number}"
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    words = ["ip"]
    if pid != os.getppid():
        subprocess.run(["ip", "link", "set", name, "netns", str(pid)], check=True)
        words = ["nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip"]
    subprocess.run([*words, "link", "set", "lo", "up"], check=True)
    subprocess.run([*words, "address", "add", f"10.99.0.{number + 1}/24", "dev", name], check=True)
    subprocess.run([*words, "link", "set", name, "mtu", str(MTU), "txqueuelen", "20000", "up"], check=True)
    return file


class Switch:
    def __init__(self, pids):
        self.files = {bytes([10, 99, 0, i + 1]): device(i, int(pid)) for i, pid in enumerate(pids)}
        self.faults, self.later, self.order = {}, [], 0
        self.passed = self.lost = 0
        self.random = random.Random(1)
        self.waiting = selectors.DefaultSelector()
        for file in self.files.values():
            self.waiting.register(file, selectors.EVENT_READ, file)
        os.set_blocking(0, False)
        self.waiting.register(0, selectors.EVENT_READ, None)
        self.told = b""

    def give(self, target, packet):
        try:
            os.write(self.files[target], packet)
            self.passed += 1
        except (OSError, KeyError):
            self.lost += 1

    def take(self, file):
        for _ in range(64):
            try:
                packet = os.read(file, PACKET_MAX)
            except BlockingIOError:
                return
            source, target = packet[12:16], packet[16:20]
            loss, delay = self.faults.get(source + target, (0, 0))
            if packet[0] >> 4 != 4 or loss and self.random.random() < loss:
                self.lost += 1
            elif delay:
                self.order += 1
                heapq.heappush(self.later, (time.monotonic() + delay, self.order, target, packet))
            else:
                self.give(target, packet)

    def obey(self):
        """False when there is nobody left to obey."""
        new = os.read(0, 65536)
        *lines, self.told = (self.told + new).split(b"\n")
        for line in lines:
            what, *words = line.decode().split()
            if what == "set":
                pair = bytes(map(int, (words[0] + "." + words[1]).split(".")))
                self.faults[pair] = (float(words[2]), float(words[3]) / 1000)
            elif what == "heal":
                self.faults.clear()
            print(f"{self.passed} {self.lost}", flush=True)
        return bool(new)

    def run(self):
        while True:
            wait = max(0, self.later[0][0] - time.monotonic()) if self.later else None
            for key, _ in self.waiting.select(wait):
                if key.data is not None:
                    self.take(key.data)
                elif not self.obey():
                    return
            while self.later and self.later[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(self.later)
                self.give(target, packet)


if __name__ == "__main__":
    made = Switch(sys.argv[1:])
    print("ready", flush=True)
    made.run()
