"""The tour: the things the README tells you to try, done and shown one after the other."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .programs import until

LOAD = Path(__file__).parent / "load.py"


class Tour:
    def __init__(self, lab):
        self.lab = lab
        self.node = lab.inventory.node

    def say(self, text):
        print(f"\n== {text}", flush=True)

    def run(self, name, *command):
        """Shows a command, runs it on a host and shows its answer."""
        print(f"{name}$ {' '.join(command)}", flush=True)
        done = subprocess.run([*self.lab.network.enter(self.node(name)), *command],
                              capture_output=True, text=True, check=False)
        text = (done.stdout + done.stderr).strip()
        print("  " + text.replace("\n", "\n  "), flush=True)
        return text

    def dig(self, name, *question):
        return self.run(name, "dig", "@127.0.0.1", "-p", "8600", "+short", *question)

    def curl(self, name, *words):
        return self.run(name, "curl", "-s", "-S", "-m", "40", *words)

    def load(self, name, seconds):
        """200 requests a second in the background; collect() waits and shows how they ended."""
        command = [*self.lab.network.enter(self.node(name)), sys.executable, "-B", str(LOAD),
                   str(seconds), "200", "http://127.0.0.1/api/todos"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def collect(self, load):
        outcome = json.loads(load.communicate()[0])
        print(f"  {outcome['requests']} requests, {outcome['failed']} failed, median {outcome['median_ms']} ms, "
              f"slowest {outcome['slowest_ms']} ms, served by {outcome['served_by']} {outcome['failures'] or ''}")
        return outcome


def _look(tour):
    tour.say("Who is here, and who offers what")
    tour.run("adm1", str(tour.lab.programs_folder / "rollcall"), "members")
    tour.dig("adm1", "_todomvc._tcp.service.rollcall", "SRV")
    tour.dig("pg2", "todomvc.service.rollcall", "A")
    tour.dig("adm1", "primary.postgres.service.rollcall", "A")


def _write_here_read_there(tour):
    tour.say("A to-do written through web1 is read through web2")
    tour.curl("web1", "-d", '{"title": "written through web1"}', "http://127.0.0.1/api/todos")
    time.sleep(0.5)
    tour.curl("web2", "http://127.0.0.1/api/todos")


def _stop_a_webapp(tour):
    tour.say("Stop web1's webapp under 200 requests a second: nobody notices")
    load = tour.load("web2", 6)
    time.sleep(2)
    tour.lab.stop(tour.node("web1"), "todomvc")
    time.sleep(0.5)
    tour.dig("adm1", "_todomvc._tcp.service.rollcall", "SRV")
    tour.collect(load)
    tour.lab.start(tour.node("web1"), "todomvc")


def _kill_a_node(tour):
    tour.say("Cut web1's power under load: its instance leaves every answer")
    load = tour.load("web2", 10)
    time.sleep(2)
    tour.lab.kill(tour.node("web1"))
    started = time.monotonic()
    until(lambda: tour.lab.alive_members(tour.node("adm1")) == 4, "adm1 sees four members")
    print(f"  adm1 knew after {time.monotonic() - started:.1f} s")
    tour.dig("adm1", "_todomvc._tcp.service.rollcall", "SRV")
    tour.collect(load)
    tour.lab.start_node(tour.node("web1"))
    until(lambda: tour.lab.alive_members(tour.node("adm1")) == 5, "web1 is back")


WRITER = Path(__file__).resolve().parents[2] / "tests" / "interop" / "pg_writer.py"


class Rows:
    """Rows that are written through web1's proxy all the while, each in its own transaction."""

    def __init__(self, tour):
        self.lab, self.out = tour.lab, tour.lab.home / f"rows-{time.monotonic_ns()}"
        node = tour.node("web1")
        dsn = f"host=127.0.0.1 port=5432 user=todomvc dbname=todomvc connect_timeout=40 password={self.lab.secrets.database}"
        self.lab.database.primary().sql("CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY, pad text);"
                                        "ALTER TABLE ledger OWNER TO todomvc", database="todomvc")
        self.process = subprocess.Popen([*self.lab.network.enter(node), sys.executable, "-B", str(WRITER), dsn, str(self.out), "2", "5", "60"])

    def written(self):
        """(seconds, server) of each acknowledged row."""
        if not self.out.exists():
            return []
        words = (line.split() for line in self.out.read_text().splitlines())
        return [(float(word[1]), int(word[2]), word[3]) for word in words if word[0] == "ack" and len(word) == 5]

    def go_on(self, since, server=None):
        until(lambda: sum(row[0] > since and server in (None, row[2]) for row in self.written()) > 50, "rows are written", every=0.1)

    def end(self):
        self.process.terminate()
        self.process.wait(70)

    def verdict(self, since):
        rows = self.written()
        times = sorted(row[0] for row in rows)
        gap = max(b - a for a, b in zip(times, times[1:]) if b > since)
        there = set(self.lab.database.primary().sql("SELECT id FROM ledger", database="todomvc").split())
        lost = sum(str(row[1]) not in there for row in rows)
        return f"nobody could write for {1000 * gap:.0f} ms; {len(rows)} rows were acknowledged, {lost} of them are lost"


def _fail_over(tour, title, act, after):
    database = tour.lab.database
    until(database.is_whole, "the standby follows")
    primary = database.primary().node
    tour.say(title.format(primary.name))
    rows = Rows(tour)
    try:
        rows.go_on(time.monotonic() - 10)
        began = time.monotonic()
        act(primary)
        until(lambda: (server := database.primary()) and server.node != primary, "another one is primary")
        rows.go_on(began, database.primary().node.address)
    finally:
        rows.end()
    after(primary)
    until(database.is_whole, f"{primary.name} follows")
    print(f"  {rows.verdict(began)}")
    tour.dig("web1", "primary.postgres.service.rollcall", "A")


def _move_the_primary(tour):
    lab = tour.lab
    _fail_over(tour, "Stop PostgreSQL on {}, the primary: the other one takes over",
               lambda node: lab.stop(node, "postgres"), lambda node: lab.start(node, "postgres"))
    _fail_over(tour, "Kill PostgreSQL's postmaster on {}", lambda node: os.kill(lab.server(node).pid(), signal.SIGKILL), lambda _: None)
    _fail_over(tour, "Cut the power of {}", lab.kill, lab.start_node)
    _fail_over(tour, "And a switchover, away from {}", lambda node: tour.run(node.name, str(lab.programs_folder / "rollcall"), "pg", "switchover"),
               lambda _: None)
    tour.run("adm1", str(lab.programs_folder / "rollcall"), "pg", "status")
    tour.run("adm1", str(lab.programs_folder / "rollcall"), "pg", "history")


PARTS = {None: (_look, _write_here_read_there, _stop_a_webapp, _kill_a_node, _move_the_primary), "failover": (_move_the_primary,)}


def run(lab, part=None):
    tour = Tour(lab)
    for step in PARTS[part]:
        step(tour)
