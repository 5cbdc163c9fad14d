#!/usr/bin/python3
"""Figures of the DNS server, side by side with its peers, printed, not judged: `make dns-figures` (root).

usage: dns_figures.py [PART]...   (answers, tcp, changes, times, large; ROUNDS=3 SAMPLE=1 seconds WORKERS=1)

Every server is on one core (with WORKERS=2 on both) and dns_load on the other. Samples are taken in turn, so that what the
machine does besides meets all of them, and a ratio is the median of ratios within a round. CPU is the server's, of all its
threads and children; the floor is dns_echo, which sends back what comes."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import dns_peers  # noqa: E402
from dns_peers import Peer, name_of  # noqa: E402
from dns_traffic import CLIENT_CORE, CORES, SERVER_CORE, SRV, Asker, Calls, cpu_s, memory_mb, on, stream, traffic, wait_quiet  # noqa: E402
from store_agents import Agent, until  # noqa: E402

ROUNDS, SAMPLE = int(os.environ.get("ROUNDS", 3)), float(os.environ.get("SAMPLE", 1))
WORKERS = int(os.environ.get("WORKERS", 1))
PLACE = ",".join(map(str, CORES)) if WORKERS > 1 else str(SERVER_CORE)
CASES = {"A1": stream(name=name_of("web1"), edns=4096), "SRV10": stream(name=name_of("web10"), type="SRV", edns=4096),
         "A100": stream(name=name_of("web100"), edns=4096), "absent": stream(name=name_of("no-#"), numbers=10000, edns=4096)}
TCP = stream("tcp", name=name_of("web10"), sockets=20, window=100)
OTHERS = 200  # services that are changed besides those that are asked for
CHANGES = 1000  # a second
LARGE_AGENTS, LARGE_SERVICES, LARGE_INSTANCES = 8, 10000, 10


class Ours(Agent):
    """An agent that answers DNS, with the same services as its peers."""

    def __init__(self, folder, name="n1", address="127.0.0.1", place=PLACE, **settings):
        super().__init__(folder, name, address, enter=on(place), ports={"dns": 8600}, **settings)
        self.name, self.port = "rollcall", 8600

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        super().start()
        until(lambda: self.call("GET", "/v1/agent/self").status == 200)
        return self

    def register(self, services):
        calls = Calls(self.address)
        calls.run([calls.put("/v1/agent/service/register", json.dumps(service).encode()) for service in services])


def service(name, number, address, **more):
    return {"ID": f"{name}-{number}", "Name": name, "Address": address, "Port": 8080, **more}


def ours(folder):
    checked = {"Check": {"TTL": "1h", "Status": "passing"}}
    settings = {"dns_config": {"workers": WORKERS}} if WORKERS > 1 else {}
    made = Ours(folder, **settings).start()
    made.register([service(*each, **(checked if each[0] != "web1" else {})) for each in dns_peers.instances()])
    made.register([service(f"other{i}", 0, f"10.9.0.{i + 1}", **checked) for i in range(OTHERS)])
    until(lambda: Asker(made.address, made.port).answers(name_of("web100")) == 100)
    return made


def interleaved(things):
    for number in range(ROUNDS):
        for thing in things if number % 2 == 0 else reversed(things):
            yield number, thing


def sample(server, words, seconds=SAMPLE):
    """One stretch of traffic: with `us`, CPU a query."""
    wait_quiet()
    before = cpu_s(server.pid)
    found = traffic(server.address, server.port, seconds, words)[0]
    found["us"] = (cpu_s(server.pid) - before) * 1e6 / max(found["answered"], 1)
    return found


def samples(servers, words):
    """{name: [of each round]}"""
    found = {server.name: [] for server in servers}
    for _, server in interleaved(servers):
        found[server.name].append(sample(server, words))
    return found


def middle(found, key):
    return statistics.median(each[key] for each in found)


def ratio(found, name, base, key):
    """The median of ratios within rounds; None without a base."""
    if not found.get(base):
        return None
    return statistics.median(ours[key] / theirs[key] for ours, theirs in zip(found[name], found[base]))


def words_of(value, form):
    return "-" if value is None else form % value


def show(row, found, base, key):
    print(f"\n{row}: {'us CPU a query' if key == 'us' else 'answers a second'}; ratio to {base}")
    for name, each in found.items():
        print(f"  {name:9} {middle(each, 'us'):6.2f} us  {words_of(ratio(found, name, base, 'us'), '%5.2f')} x floor"
              if key == "us" else f"  {name:9}",
              f" {middle(each, 'rate') / 1000:7.1f} k/s  {words_of(ratio(found, name, base if key == 'rate' else 'nsd', 'rate'), '%5.2f')}"
              f" x {base if key == 'rate' else 'NSD'}   p50 {middle(each, 'p50_us'):6.0f} us  lost {sum(one['lost'] for one in each)}", flush=True)


def show_answers(folder, servers):
    for row, words in CASES.items():
        show(row, samples(servers, words), "echo", "us")


def show_tcp(folder, servers):
    show("TCP, 20 connections", samples([each for each in servers if each.name not in dns_peers.WITHOUT_TCP], TCP), "knot", "rate")


class Changes:
    """Health that goes between passing and `other` CHANGES times a second, of one set of checks, from the clients' core."""

    def __init__(self, agent, checks, other):
        self.agent, self.checks, self.other, self.over, self.made = agent, checks, other, False, 0
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        os.sched_setaffinity(0, {CLIENT_CORE})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        os.sched_setaffinity(0, CORES)

    def _run(self):
        calls, began, bad = Calls(self.agent.address), time.monotonic(), set()
        while not self.over and self.checks:
            due = int((time.monotonic() - began) * CHANGES) - self.made
            requests = []
            for number in range(self.made, self.made + due):
                check = self.checks[number % len(self.checks)]
                state = "passing" if check in bad else self.other
                bad ^= {check}
                requests.append(calls.put(f"/v1/agent/check/update/service:{check}", b'{"Status": "%s"}' % state.encode()))
            calls.run(requests)
            self.made += due
            time.sleep(0.005)
        calls.run([calls.put(f"/v1/agent/check/update/service:{check}", b'{"Status": "passing"}') for check in bad])


def show_changes(folder, servers):
    agent = next(each for each in servers if each.name == "rollcall")
    # Instances that warn stay in answers, so that these cost the same.
    kinds = {"none": ([], ""), "of others": ([f"other{i}-0" for i in range(OTHERS)], "critical"),
             "of those asked for": ([f"web10-{i}" for i in range(10)], "warning")}
    for row in ("SRV10", "A1"):
        found = {name: [] for name in kinds}
        for _, name in interleaved(list(kinds)):
            wait_quiet()
            with Changes(agent, *kinds[name]) as changes:
                began = time.monotonic()
                found[name].append(sample(agent, CASES[row]))
                found[name][-1]["made"] = changes.made / (time.monotonic() - began)
        print(f"\n{row} while health changes {CHANGES} times a second")
        for name, each in found.items():
            print(f"  {name:19} {middle(each, 'rate') / 1000:7.1f} k/s  {ratio(found, name, 'none', 'rate'):5.2f} x without  "
                  f"{middle(each, 'us'):5.2f} us  ({middle(each, 'made'):.0f} changes/s, lost {sum(one['lost'] for one in each)})", flush=True)


def show_times(folder, servers):
    print("\nA1 at 100,000 a second, not waiting for answers: us until the answer")
    for row in ("A1", "SRV10"):
        for name, found in timed(servers, CASES[row]).items():
            print(f"  {row:5} {name:9}" + "".join(f"  {key[:-3]} {middle(found, key):8.0f}" for key in ("p50_us", "p99_us", "p999_us", "max_us")) +
                  f"  {middle(found, 'rate') / 1000:5.1f} k/s, lost {sum(each['lost'] for each in found)}", flush=True)


def timed(servers, words):
    found = {server.name: [] for server in servers if server.name in ("echo", "nsd", "knot", "rollcall")}
    for _, server in interleaved([each for each in servers if each.name in found]):
        wait_quiet()
        found[server.name] += traffic(server.address, server.port, SAMPLE, [*words, "rate=100000"], spin=True)
    return found


def large_definitions(number):
    """What agent `number` of LARGE_AGENTS offers: its share of all instances."""
    pairs = [(s, i) for s in range(LARGE_SERVICES) for i in range(LARGE_INSTANCES) if (s * LARGE_INSTANCES + i) % LARGE_AGENTS == number]
    return [service(f"svc-{s}", i, f"10.{100 + i}.{s // 250}.{s % 250 + 1}") for s, i in pairs]


def show_large(folder, servers):
    """The agent that is looked at holds one instance of its own; the others come from other agents, as it joins them."""
    agents = []
    try:
        for i in range(LARGE_AGENTS):
            joins = {"retry_join": ["127.0.2.1"]} if agents else {}
            agents.append(Ours(folder / f"many{i}", f"many{i}", f"127.0.2.{i + 1}", services=large_definitions(i), **joins).start())
        seen = Ours(folder / "seen", "seen", "127.0.1.1").start()
        agents.append(seen)
        empty = memory_mb(seen.pid)[1]
        seen.register([service("svc-0", "own", "10.200.0.1", Check={"TTL": "1h", "Status": "passing"})])
        assert seen.call("PUT", "/v1/agent/join/127.0.2.1").status == 200
        asker = Asker(seen.address, seen.port)
        until(lambda: all(asker.answers(name_of(f"svc-{s}")) == LARGE_INSTANCES + (s == 0) for s in range(0, LARGE_SERVICES, 9)), 30, 0.5)
        show_size(seen, empty)
        show_first_answers(seen, asker)
    finally:
        for agent in reversed(agents):
            agent.kill()


def show_size(agent, empty):
    full = memory_mb(agent.pid)[1]
    wanted = stream(name="svc-#.service.rollcall", numbers=LARGE_SERVICES, edns=4096)
    found = {f"{row}, {times}": sample(agent, [*wanted, f"type={row}"]) for row in ("A", "SRV") for times in ("first", "again")}
    print(f"\n{LARGE_SERVICES} services of {LARGE_INSTANCES}: resident MB empty {empty:.1f}, with them {full:.1f}, after all were asked for "
          f"{memory_mb(agent.pid)[1]:.1f}; CPU a query of all in turn: " + ", ".join(f"{row} {each['us']:.2f} us" for row, each in found.items()), flush=True)


def show_first_answers(agent, asker):
    """From the end of a change (its HTTP answer) until the first answer of DNS that knows it."""
    calls, times, repeats, count = Calls(agent.address), [], 0, asker.answers(name_of("svc-0"), SRV)
    for number in range(200):
        state, wanted = (("critical", count - 1), ("passing", count))[number % 2]
        calls.run([calls.put("/v1/agent/check/update/service:svc-0-own", json.dumps({"Status": state}).encode())])
        began = time.monotonic()
        while asker.answers(name_of("svc-0"), SRV) != wanted:
            repeats += 1
        times.append((time.monotonic() - began) * 1000)
    times.sort()
    print(f"  first answer after a change was applied: median {statistics.median(times):.3f} ms, p99 {times[-3]:.3f}, "
          f"max {times[-1]:.3f} ({repeats} old answers of {len(times)} changes)", flush=True)


PARTS = {"answers": show_answers, "tcp": show_tcp, "changes": show_changes, "times": show_times, "large": show_large}


def main(parts):
    servers = []
    os.nice(-10)  # what else runs on the machine disturbs less
    with tempfile.TemporaryDirectory(dir="/dev/shm") as text:
        folder = Path(text)
        folder.chmod(0o755)
        try:
            if parts != ["large"]:
                kinds = [kind for kind in dns_peers.MAKERS if dns_peers.is_there(kind)]
                servers += [Peer(folder / kind, kind, 7100 + i, WORKERS, PLACE) for i, kind in enumerate(kinds)]
                servers.append(ours(folder / "rollcall"))
                print(f"workers: {WORKERS}; beside {', '.join(kinds)}; CPU a query and ratios are medians of {ROUNDS} rounds")
            for part in parts:
                PARTS[part](folder, servers)
        finally:
            for server in reversed(servers):
                server.end()
    forward = Path(__file__).with_name("dns_forward_figures.py")
    if parts == list(PARTS) and forward.exists():
        sys.stdout.flush()
        subprocess.run([sys.executable, "-B", str(forward)], check=False)


if __name__ == "__main__":
    main(sys.argv[1:] or list(PARTS))
