#!/usr/bin/python3
"""A DNS server with more to do than it can: `make dns-overload` (root), printed, not judged.

usage: dns_overload.py [floods] [steady]   (STEADY=300 seconds, SAMPLE=2)

floods: good questions at half the rate that one core sustains, alone and beside as many bad ones, or connections that ask
nothing. steady: three agents, one of them asked at twice the rate it sustains for STEADY seconds, while it and the others
look after their members and checks. The agent that is asked has one core, the clients the other, which all else shares."""
import http.server
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dns_peers import instances, name_of  # noqa: E402
from dns_traffic import A, Asker, CORES, SERVER_CORE, Traffic, cpu_s, memory_mb, on, stream, traffic  # noqa: E402
from store_agents import Agent, until  # noqa: E402

SAMPLE, STEADY = float(os.environ.get("SAMPLE", 2)), float(os.environ.get("STEADY", 300))
EVERYWHERE = ",".join(map(str, CORES))
INTERVAL = 0.5  # seconds between two checks
GOOD = {"name": name_of("web10"), "type": "SRV", "edns": 4096}
# What no answer is kept ready for, so that clients can ask for more than a server can do.
HARD = {"name": name_of("web100"), "type": "ANY", "edns": 4096}
ELSEWHERE = {"from": "127.0.3.1", "addresses": 20}


class Checked:
    """A small web application that notes when it is looked at."""

    def __init__(self, address="127.0.4.1", port=8000):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(time.monotonic())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.url = f"http://{address}:{port}/"
        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def gaps(self, since):
        times = [at for at in list(self.seen) if at >= since]
        return [after - before for before, after in zip(times, times[1:])]

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def asked_agent(folder, **settings):
    """The agent that floods are for."""
    agent = Agent(folder / "n1", "n1", "127.0.0.1", enter=on(SERVER_CORE), ports={"dns": 8600}, profile="lan", **settings).start()
    until(lambda: agent.call("GET", "/v1/agent/self").status == 200)
    for name, number, address in instances():
        service = {"ID": f"{name}-{number}", "Name": name, "Address": address, "Port": 8080}
        assert agent.call("PUT", "/v1/agent/service/register", service).status == 200
    until(lambda: Asker(agent.address, 8600).answers(name_of("web100"), A) == 100)
    return agent


def sustained(agent, words):
    """What one core can answer in a second, by the processor time of each answer: what else runs on the machine is no matter."""
    before = cpu_s(agent.process.pid)
    answered = traffic(agent.address, 8600, 1, stream(**words))[0]["answered"]
    return answered / (cpu_s(agent.process.pid) - before)


def bad_streams(rate):
    return {
        "none": [],
        "unknown names": stream(name=name_of("no-#"), numbers=10000, edns=4096, rate=rate),
        "garbage": stream("garbage", rate=rate),
        "mutated questions": stream("mutated", rate=rate, **GOOD),
        "connects": stream("connect", rate=5000, sockets=500, **ELSEWHERE),
        "silent connections": stream("idle", rate=2000, sockets=2000, **ELSEWHERE),
        "slow connections": stream("slow", rate=2000, sockets=500, name=name_of("web1"), **ELSEWHERE),
    }


def answered_well(agent, kind="SRV"):
    """Good questions over UDP that it says it has answered: clients that share a core lose some of the answers themselves."""
    text = agent.call("GET", "/v1/agent/metrics?format=prometheus").text
    found = re.search(rf'^rollcall_dns_queries_total{{proto="udp",type="{kind}",rcode="NOERROR"}} (\d+)$', text, re.M)
    return int(found.group(1)) if found else 0


def flooded(agent, rate, seconds, bad):
    """Figures of the good stream over UDP, of one over TCP, and of the bad one."""
    streams = [stream(rate=rate, **GOOD), stream("tcp", rate=1000, sockets=5, **GOOD)] + ([bad] if bad else [])
    before, well = cpu_s(agent.process.pid), answered_well(agent)
    found = traffic(agent.address, 8600, seconds, *streams)
    return {"good": found[0], "tcp": found[1], "bad": found[2] if bad else None, "busy": (cpu_s(agent.process.pid) - before) / seconds,
            "well": (answered_well(agent) - well) / seconds}


def show_floods(folder):
    agent = asked_agent(folder)
    try:
        most = sustained(agent, GOOD)
        rate = int(most / 2)
        print(f"sustained {most / 1000:.0f} k/s on one core; good questions at {rate / 1000:.0f} k/s, as many bad ones, connections as told")
        alone = None
        for name, bad in bad_streams(rate).items():
            each = [flooded(agent, rate, SAMPLE, bad) for _ in range(3)]
            answered = statistics.median(one["well"] for one in each)
            alone = alone or answered
            print(f"  {name:19} {answered / 1000:6.1f} k/s answered, {100 * answered / alone:4.0f} % of alone (sent "
                  f"{statistics.median(one['good']['sent'] for one in each) / SAMPLE / 1000:.1f}, received "
                  f"{statistics.median(one['good']['rate'] for one in each) / 1000:.1f});  p99 "
                  f"{statistics.median(one['good']['p99_us'] for one in each) / 1000:6.2f} ms;  TCP "
                  f"{statistics.median(one['tcp']['rate'] for one in each):5.0f} of 1000/s;  bad "
                  f"{statistics.median(one['bad']['sent'] for one in each) / SAMPLE / 1000 if bad else 0:6.1f} k/s, open "
                  f"{max(one['bad']['open_max'] for one in each) if bad else 0};  core busy "
                  f"{statistics.median(one['busy'] for one in each):.2f};  {memory_mb(agent.process.pid)[1]:.1f} MB", flush=True)
    finally:
        agent.kill()


class Pool:
    """Three agents that know each other, and an application that each of them checks."""

    def __init__(self, folder, **settings):
        self.app, self.agents = Checked(), []
        self.agents.append(asked_agent(folder, **settings))
        for i in (2, 3):
            self.agents.append(Agent(folder / f"n{i}", f"n{i}", f"127.0.0.{i}", enter=on(EVERYWHERE), retry_join=["127.0.0.1"], profile="lan", **settings).start())
        for agent in self.agents:
            until(lambda agent=agent: [each["Status"] for each in agent.call("GET", "/v1/agent/members").json] == [1, 1, 1])
        check = {"HTTP": self.app.url, "Interval": f"{int(INTERVAL * 1000)}ms", "Timeout": "10s", "Status": "passing"}
        assert self.asked.call("PUT", "/v1/agent/service/register", {"ID": "app", "Name": "app", "Port": 8000, "Check": check}).status == 200
        until(lambda: self.app.seen)

    @property
    def asked(self):
        return self.agents[0]

    def failures(self):
        """Members that somebody took for failed."""
        return [line for agent in self.agents for line in agent.log().splitlines() if re.search(r" failed: ", line)]

    def suspicions(self):
        return sum(line.count(" suspect: ") for agent in self.agents for line in agent.log().splitlines())

    def overload(self, seconds, rate):
        """What came of it, with the memory of the agent at moments in between."""
        began, sizes = time.monotonic(), []
        load = Traffic(self.asked.address, 8600, seconds, stream(rate=rate, **HARD))
        try:
            while load.process.poll() is None and time.monotonic() < began + seconds:
                time.sleep(min(1, seconds / 10))
                sizes.append(memory_mb(self.asked.process.pid)[1])
        finally:
            found = load.stop()[0]
        return found, sizes, self.app.gaps(began)

    def end(self):
        for agent in reversed(self.agents):
            agent.kill()
        self.app.end()


def show_steady(folder):
    pool = Pool(folder)
    try:
        most = sustained(pool.asked, HARD)
        well, before = answered_well(pool.asked, HARD["type"]), cpu_s(pool.asked.process.pid)
        found, sizes, gaps = pool.overload(STEADY, int(2 * most))
        well, busy = answered_well(pool.asked, HARD["type"]) - well, cpu_s(pool.asked.process.pid) - before
        print(f"asked for {2 * most / 1000:.0f} k/s for {found['seconds']:.0f} s, sent {found['sent'] / found['seconds'] / 1000:.0f}, "
              f"sustained {most / 1000:.0f}: answered {well / found['seconds'] / 1000:.0f} k/s with {busy / found['seconds']:.2f} of a core, of "
              f"which busy clients read {found['rate'] / 1000:.0f}; resident MB at first {sizes[0]:.1f}, least "
              f"{min(sizes[1:]):.1f}, most {max(sizes[1:]):.1f}, at last {sizes[-1]:.1f}")
        print(f"  failures {len(pool.failures())}, suspicions {pool.suspicions()}; {len(gaps) + 1} checks, one each {INTERVAL} s: between two "
              f"{min(gaps):.2f} to {max(gaps):.2f} s, median {statistics.median(gaps):.2f}", flush=True)
    finally:
        pool.end()


PARTS = {"floods": show_floods, "steady": show_steady}


def main(parts):
    os.nice(-10)  # what else runs on the machine disturbs less
    for part in parts:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            PARTS[part](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
