#!/usr/bin/python3
"""`rollcall lock` under faults: whoever holds the lock is alone, and terms only grow.

    sudo unshare -n tests/interop/test_lock_safety.py [--seconds N] [--workers N] [--seed N] [--store sqlite|etcd] [BINARY]

Workers take one lock again and again and append lines to one file while they hold it. Two agents and a server
with SQLite, or three before three members of etcd, are killed and stopped, and the wires between their hosts
fail (net_faults.py); the processes of `rollcall lock` are killed and stopped, one or two of the three at a
time, as the manual has it. The judge needs no clock: the file's own order is one, so a line of a term below
one that has begun is an overlap.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
import store_agents  # noqa: E402
from etcd_cluster import Cluster, why_not  # noqa: E402
from lock_family import children, send  # noqa: E402
from net_faults import NetFaults  # noqa: E402
import wires  # noqa: E402
from store_agents import Agents, until  # noqa: E402

# What runs under the lock: one write a line, so that lines of two processes are never mixed.
COMMAND = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
def line(what):
    os.write(file, f"{os.environ['ROLLCALL_LOCK_TERM']} {what} {os.getpid()} {time.clock_gettime(7):.3f}\\n".encode())
line("start")
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    time.sleep(0.01)
    line("beat")
line("end")
"""


def judge(lines):
    """A list of what is wrong with a file of lines."""
    wrong, highest, holders, ended = [], 0, {}, set()
    for number, text in enumerate(lines, 1):
        term, what, pid, _ = text.split()
        term = int(term)
        if term < highest:
            wrong.append(f"line {number}: {text!r} though term {highest} has begun")
        if term in ended:
            wrong.append(f"line {number}: {text!r} though that term has ended")
        if holders.setdefault(term, pid) != pid:
            wrong.append(f"line {number}: {text!r}, but the term is process {holders[term]}'s")
        if what == "start" and term <= highest:
            wrong.append(f"line {number}: {text!r} is no new term")
        if what == "end":
            ended.add(term)
        highest = max(highest, term)
    return wrong


class Drive:
    def __init__(self, folder, workers, seed, store):
        self.random = random.Random(seed)
        self.file = Path(folder) / "lines"
        self.file.touch()
        self.program = Path(folder) / "command.py"
        self.program.write_text(COMMAND)
        servers, members = (["s1", "s2", "s3"], ["m0", "m1", "m2"]) if store == "etcd" else (["s1"], [])
        self.wires = wires.Wires([*servers, "a1", "a2", *members])
        self.agents, self.cluster = Agents(folder, self.wires), None
        try:
            if members:
                self.cluster = Cluster(3, hosts=[self.wires[name] for name in members])
                self.cluster.start()
            self.start_agents(servers)
        except BaseException:
            self.end()
            raise
        self.victims = [*self.agents.all, *(self.cluster.members if self.cluster else [])]
        self.net = NetFaults(self.wires, seed, servers, members, ["a1", "a2"], self.cluster.leader_now if members else lambda: None)
        self.over = threading.Event()
        self.locks = [None] * workers  # the process of each worker now
        self.faults = {}
        self.hurt = []
        self.told = []
        self.threads = [threading.Thread(target=self.work, args=(i, random.Random(seed * 100 + i)), daemon=True) for i in range(workers)]

    def start_agents(self, servers):
        settings = {"session_ttl_min": "1s"}
        if self.cluster:
            settings["store"] = {"engine": "etcd", "endpoints": self.cluster.urls.split(",")}
        for name in servers:
            join = {"retry_join": [self.agents.all[0].address]} if self.agents.all else {}
            self.agents.server(name, **settings, **join).start().ready()
        for name in ("a1", "a2"):
            self.agents.client(name).start().ready()

    def end(self):
        try:
            self.agents.end()
        finally:
            if self.cluster:
                self.cluster.end()
            self.wires.end()

    # ---- Who wants the lock.

    def work(self, number, dice):
        address = self.agents.all[number % len(self.agents.all)].address
        while not self.over.is_set():
            seconds = str(dice.choice([0.05, 0.3, 1, 4]))
            words = [sys.executable, "-I", "-S", str(self.program), str(self.file), seconds]
            by_shell = dice.random() < 0.5  # then the one who writes is a grandchild
            what = [" ".join(words) + "; true"] if by_shell else words
            self.locks[number] = subprocess.Popen(
                [str(store_agents.BINARY), "lock", f"-http-addr={address}:8500", "-ttl=2s", "-lock-delay=300ms",
                 f"-shell={str(by_shell).lower()}", "locks/one", *what],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.locks[number].wait()

    # ---- What goes wrong.

    def hurt_lock(self):
        """Kills or stops one or two of a lock's three processes: each lock once, or it would be all of them in the end."""
        families = [(p, [p.pid, *children(p.pid)]) for p in self.locks if p is not None]
        held = [(p, family) for p, family in families if len(family) == 3 and p not in self.hurt]
        if not held:
            return None
        process, family = self.random.choice(held)
        self.hurt.append(process)
        chosen = self.random.sample(family, self.random.choice([1, 1, 2]))
        names = []
        for pid in chosen:
            dies = self.random.random() < 0.5
            role = "lock" if pid == process.pid else "guardian" if children(pid) else "renewer"
            names.append(f"{role} {'killed' if dies else 'stopped'}")
            self.told.append(f"{time.clock_gettime(7):.3f} {names[-1]}: {pid} of {process.pid}, guardian's command {[children(p) for p in family[1:]]}")
            send(pid, signal.SIGKILL if dies else signal.SIGSTOP)
            if not dies:
                self.later(self.random.choice([0.3, 1.5, 4, 6]), send, pid, signal.SIGCONT)
        return " and ".join(sorted(names))

    def kill_one(self):
        """An agent, or a member of etcd."""
        one = self.random.choice(self.victims)
        one.kill()
        time.sleep(self.random.choice([0.1, 1, 3]))
        one.start()
        return f"{one.name} killed"

    def stop_one(self):
        one = self.random.choice(self.victims)
        one.process.send_signal(signal.SIGSTOP)
        time.sleep(self.random.choice([0.3, 1, 3]))
        one.process.send_signal(signal.SIGCONT)
        return f"{one.name} stopped"

    def later(self, seconds, what, *arguments):
        timer = threading.Timer(seconds, what, arguments)
        timer.start()

    def run(self, seconds):
        for thread in self.threads:
            thread.start()
        end = time.monotonic() + seconds
        with self.net:
            while time.monotonic() < end:
                fault = self.random.choice([self.hurt_lock] * 6 + [self.kill_one, self.stop_one])()
                if fault:
                    self.faults[fault] = self.faults.get(fault, 0) + 1
                time.sleep(self.random.choice([0.05, 0.2, 0.5, 2]))
        self.over.set()
        time.sleep(7)  # whoever is stopped is woken by then
        for process in self.locks:
            send(process.pid, signal.SIGTERM)
        for thread in self.threads:
            thread.join(patient(60))
            assert not thread.is_alive(), "a worker does not end"
        self.await_commands()

    def commands(self):
        """Processes that know the file, wherever they hang now."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and int(entry.name) != os.getpid() and str(self.file).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
        return found

    def await_commands(self):
        try:
            until(lambda: not self.commands(), 20)
        except AssertionError:
            left = self.commands()
            for pid in left:
                send(pid, signal.SIGKILL)
            raise AssertionError(f"processes {left} have outlived their locks") from None


def drive(seconds, workers, seed, store):
    with tempfile.TemporaryDirectory() as folder:
        made = Drive(folder, workers, seed, store)
        try:
            made.run(seconds)
            net, count = str(made.net), sum(made.net.told.values())
        finally:
            made.end()
        lines = made.file.read_text().splitlines()
        wrong = judge(lines)
        terms = {line.split()[0] for line in lines}
        whole = sum(line.split()[1] == "end" for line in lines)
        print(f"seed {seed}: {store}, {workers} workers, {seconds} s, {len(lines)} lines, {len(terms)} terms, {whole} of them ended well, "
              f"{sum(made.faults.values())} faults of processes and {count} between hosts, {len(wrong)} wrong")
        print(net)
        print("\n".join(f"  {count:4} {name}" for name, count in sorted(made.faults.items())))
        print("\n".join(wrong[:20]))
        if wrong:
            kept = Path(tempfile.gettempdir()) / f"lock-safety-{seed}.txt"
            kept.write_text("\n".join(lines + made.told))
            print(f"all lines: {kept}")
        return 1 if wrong or len(terms) < max(3, seconds // 20) else 0


def test_the_judge_sees_overlaps():
    assert judge(["5 start 1 0.0", "5 end 1 0.0", "9 start 2 0.0", "9 beat 2 0.0"]) == []
    for lines in (["5 start 1 0", "9 start 2 0", "5 beat 1 0"], ["5 start 1 0", "5 start 2 0"], ["5 start 1 0", "5 end 1 0", "5 beat 1 0"],
                  ["9 start 1 0", "9 end 1 0", "5 start 2 0"]):
        assert judge(lines) != [], lines


@pytest.mark.skipif(bool(wires.why_not()), reason="wants root and /dev/net/tun")
@pytest.mark.parametrize("store", [pytest.param("sqlite", marks=pytest.mark.slow), "etcd"])
def test_whoever_holds_the_lock_is_alone(store):
    if store == "etcd" and why_not():
        pytest.skip(why_not())
    run = subprocess.run(["unshare", "-n", sys.executable, "-B", __file__, "--seconds", "20", "--workers", "5", "--store", store,
                          str(store_agents.BINARY)], capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--store", choices=["sqlite", "etcd"], default="sqlite")
    parser.add_argument("binary", nargs="?", default=str(store_agents.BINARY))
    given = parser.parse_args()
    store_agents.BINARY = Path(given.binary)
    return drive(given.seconds, given.workers, given.seed, given.store)


if __name__ == "__main__":
    sys.exit(main())
