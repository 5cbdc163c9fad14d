"""One fault of the matrix: rows are written through the proxy meanwhile, and what was told of them is judged."""
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pg_tally
from pg_pool import HERE, until

NAME = "primary.postgres.service.rollcall"


class Watch:
    """What DNS says of the primary on some hosts, from the first fault to the last: row 35."""

    def __init__(self, pool, names=("c", "s1", "pg2")):
        self.pool, self.files = pool, {name: pool.folder / f"dns-{name}" for name in names}
        for name in names:
            self._start(name)

    def _start(self, name):
        self.pool[name].start("dns-watch", sys.executable, "-B", HERE / "pg_dns_watch.py", NAME, self.files[name])

    def again(self):
        """A host that was killed had no more of it."""
        for name, file in self.files.items():
            if self.pool[name].programs["dns-watch"].poll() is not None:
                file.rename(f"{file}-{time.monotonic_ns()}")
                self._start(name)

    def end(self):
        for name in self.files:
            self.pool[name].programs["dns-watch"].terminate()
            self.pool[name].programs["dns-watch"].wait(10)

    def changes(self):
        """{host: [answers, one after the other]}"""
        found = {}
        for file in sorted(self.pool.folder.glob("dns-*")):
            found[file.name] = [line.split()[1] for line in file.read_text().splitlines() if "asked" not in line]
        return found

    def asked(self):
        return sum(int(line.split()[2]) for file in self.pool.folder.glob("dns-*") for line in file.read_text().splitlines()
                   if " asked " in line)

    def two_at_once(self):
        return {host: answers for host, answers in self.changes().items() if any("," in answer for answer in answers)}


class Trial:
    """with Trial(pool, "3") as trial: trial.fault(...); ... Leaves the pool whole. Afterwards: trial.gap_s, trial.lost."""

    def __init__(self, pool, row, watch=None, may_lose=False, **writing):
        self.pool, self.row, self.watch, self.may_lose, self.writing = pool, row, watch, may_lose, writing
        self.gap_s, self.lost, self.fault_at, self.mode = None, None, None, "?"
        self.counts = (0, 0, None, 0, 0)  # what the tally wants
        self.end = "ok"  # or "failed", or "skipped"; a fixture has to say so, for its test's errors do not pass through it

    def __enter__(self):
        try:
            return self._begin()
        except BaseException:
            pg_tally.note(self.row, self.mode, end="failed")
            raise

    def _begin(self):
        self.pool.mend()
        if self.watch:
            self.watch.again()
        self.look()
        self.first_term = self.term
        self.primary.sql("TRUNCATE ledger")
        self.writer = self.pool.writer(**self.writing)
        self.writer.wait_for(50)
        return self

    def look(self):
        """Who is what, and since which term."""
        view = until(self.pool.healthy, "the cluster is whole")
        self.primary, self.term, self.mode = self.pool[view["Primary"]["Node"]], view["Term"], view["Mode"]
        self.standby = next(self.pool[name] for name in self.pool.keepers if name != self.primary.name)

    def fault(self, act=None):
        """Notes the time, and does it."""
        self.fault_at = time.monotonic()
        return act() if act else None

    def postmaster(self, host=None):
        host = host or self.primary
        return int((host.folder / "postgres" / "main" / "postmaster.pid").read_text().split()[0])

    def taken_over(self, by=None, count=50):
        """Until another node writes."""
        by = by or self.standby
        self.writer.wait_for(count, by.address, self.fault_at)
        return by

    def goes_on(self, count=50):
        """Until rows are written again, wherever."""
        self.writer.wait_for(count, since=time.monotonic())

    def same_primary(self):
        view = self.pool.view()
        assert view["Term"] == self.term and view["Primary"]["Node"] == self.primary.name, view

    def __exit__(self, kind, problem, trace):
        if kind is not None:
            self.end = "failed"
        try:
            if self.end == "ok":
                self.end = "failed"  # unless the judge comes to its end
                self._judge()
            else:
                print(self.pool.describe())
        finally:
            self.writer.end()
            pg_tally.note(self.row, self.mode, *self.counts, end=self.end)
        return False

    def _judge(self):
        """What clients were told is compared with what is there."""
        record = self.writer.end()
        view = self.pool.mend()
        made = [entry for entry in view["History"] if entry["Term"] > self.first_term]
        moves = sum(entry["Node"] != entry["From"] for entry in made)
        there = map(int, self.pool.primary().sql("SELECT id FROM ledger", timeout=60).split())
        self.lost, self.late = record.lost(there), record.after_the_next(moves)
        self.gap_s = record.gap(self.fault_at) if self.fault_at and record.acks[-1][0] > self.fault_at else None
        self.counts = len(record.acks), len(self.lost), self.gap_s, len(made), len(self.late)
        gap = f"{1000 * self.gap_s:.0f} ms" if self.gap_s is not None else "-"
        print(f"row {self.row}: no row written for {gap}, {len(record.acks)} acknowledged, {len(self.lost)} lost, "
              f"{len(self.late)} by two at once", flush=True)
        if self.lost and not self.may_lose or self.late:
            print(self.pool.describe())
        assert self.may_lose or self.lost == [], self.lost[:10]
        assert self.late == [], self.late[:10]
        self.end = "ok"


@contextlib.contextmanager
def stopped(pids):
    """SIGSTOP now, SIGCONT at the end."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def children(pid):
    """All processes below it."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


def new_term(pool, term):
    return until(lambda: (lambda view: view if view["Term"] > term and view["Primary"] and view["Primary"]["Writable"] else None)(
        pool.view()), f"a primary of a term beyond {term}")
