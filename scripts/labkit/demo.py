"""The tour: the things the README tells you to try, done and shown one after the other."""
import json
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


def _move_the_primary(tour):
    servers = {node.name: tour.lab.server(node) for node in tour.lab.inventory.running("postgres")}
    primary = next(name for name, server in servers.items() if server.role() == "primary")
    standby = next(name for name in servers if name != primary)
    tour.say(f"Stop PostgreSQL on {primary}; a write waits; promote {standby}; the write succeeds")
    tour.lab.stop(tour.node(primary), "postgres")
    write = subprocess.Popen(
        [*tour.lab.network.enter(tour.node("web1")), "curl", "-s", "-m", "40", "-d",
         '{"title": "written while the primary moved"}', "http://127.0.0.1/api/todos"],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    print(f"  the write {'is waiting' if write.poll() is None else 'did not wait'}")
    tour.lab.server(tour.node(standby)).promote()
    promoted = time.monotonic()
    print(f"  answer: {write.communicate()[0].strip()} ({time.monotonic() - promoted:.2f} s after the promotion)")
    tour.dig("web1", "primary.postgres.service.rollcall", "A")
    tour.lab.start(tour.node(primary), "postgres")
    print(f"  {primary} is back as {tour.lab.server(tour.node(primary)).role()}")


def run(lab):
    tour = Tour(lab)
    for step in (_look, _write_here_read_there, _stop_a_webapp, _kill_a_node, _move_the_primary):
        step(tour)
