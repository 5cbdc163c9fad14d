#!/usr/bin/python3
"""Figures of blocking queries and of reads, printed, not judged: `make http-figures` (root; wants wrk).

One server agent on loopback in a network of its own, its store on tmpfs, a service with ten instances. Resident memory is
the agent's, what it grew by divided by the number of queries; times are the client's (hold_queries.c), from the start of the
write that wakes all of them."""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from patience import patient  # noqa: E402
from store_agents import BINARY, Agent, until  # noqa: E402

HOLD = BINARY.parent / "tests/interop/hold_queries"
COUNT, ROUNDS = int(os.environ.get("QUERIES", 5000)), int(os.environ.get("ROUNDS", 3))
ADDRESS = "127.0.0.1"
HEALTH = "/v1/health/service/web"


def resident_kb(agent):
    text = Path(f"/proc/{agent.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))


def cpu_s(agent):
    fields = Path(f"/proc/{agent.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def gauge(agent, name):
    text = agent.call("GET", "/v1/agent/metrics?format=prometheus").text
    return next(int(float(line.split()[1])) for line in text.split("\n") if line.startswith(name + " "))


def start(folder):
    agent = Agent(folder, "n1", ADDRESS, server=True, bootstrap_expect=1).start().ready()
    for i in range(10):
        service = {"ID": f"web-{i}", "Name": "web", "Address": f"10.1.1.{i + 1}", "Port": 8080, "Tags": ["v1", "blue"],
                   "Meta": {"rev": "1"}, "Check": {"TTL": "1h", "Status": "passing"}}
        assert agent.call("PUT", "/v1/agent/service/register", service).status == 200
    assert agent.call("PUT", "/v1/kv/watched", "0").status == 200
    until(lambda: len(agent.call("GET", HEALTH + "?passing").json) == 10)
    return agent


def held(agent, what, used):
    target, put, body = {"kv": ("/v1/kv/watched", "/v1/kv/watched", "new"),
                         "health": (HEALTH, "/v1/agent/check/warn/service:web-1", "")}[what]
    index = agent.call("GET", target).index
    before = resident_kb(agent)
    words = [HOLD, ADDRESS, "8500", str(COUNT), f"{target}?index={index}&wait=60s", put, body] + (["used"] if used else [])
    holder = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        until(lambda: gauge(agent, "rollcall_http_blocking_queries") == COUNT)
        time.sleep(1.5)
        during, cpu = resident_kb(agent), cpu_s(agent)
        found = json.loads(holder.communicate("\n", timeout=patient(60))[0])
        assert found["answered"] == COUNT + 1 and found["bad"] == 0, found
    finally:
        if holder.poll() is None:
            holder.kill()
        holder.wait()
    until(lambda: gauge(agent, "rollcall_http_connections") < 10)
    return {"kb": (during - before) / COUNT, "cpu": cpu_s(agent) - cpu, **found}


def show_held(folder):
    print(f"{COUNT} queries      KB each   put ms  first ms  middle ms  last ms   CPU ms")
    for what in ("kv", "health"):
        for used in (False, True):
            for number in range(ROUNDS):
                agent = start(folder / f"{what}{used}{number}")
                try:
                    found = held(agent, what, used)
                finally:
                    agent.end()
                print(f"{what:6} {'used' if used else 'fresh':5} {number}   {found['kb']:7.2f} {found['put_us'] / 1000:8.2f}  "
                      f"{found['first_us'] / 1000:8.2f} {found['middle_us'] / 1000:10.2f} {found['last_us'] / 1000:8.2f} {found['cpu'] * 1000:8.0f}",
                      flush=True)


def show_reads(folder):
    if shutil.which("wrk") is None:
        return
    agent = start(folder / "reads")
    for clients in (16, 64):
        each = []
        for _ in range(ROUNDS):
            cpu = cpu_s(agent)
            printed = subprocess.run(["wrk", "-t1", f"-c{clients}", "-d3s", f"http://{ADDRESS}:8500{HEALTH}?passing"],
                                     capture_output=True, text=True, check=True).stdout
            each.append((cpu_s(agent) - cpu) * 1e6 / int(re.search(r"(\d+) requests in", printed).group(1)))
        print(f"reads of {HEALTH}?passing, {clients} clients: {statistics.median(each):.1f} us of CPU each "
              f"({', '.join(f'{us:.1f}' for us in each)})", flush=True)
    agent.end()


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        show_held(Path(folder))
        show_reads(Path(folder))


if __name__ == "__main__":
    main()
