"""How fast the lab reacts and how little it takes. Prints a table; judges nothing.

usage: sudo /usr/bin/python3 -B tests/lab/figures.py      (ROLLCALL_BUILD chooses the build)
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from hosts import Hosts, until  # noqa: E402
from labkit.lab import Lab  # noqa: E402

ROUNDS = 15


def _memory_and_idle(hosts, seconds=15):
    """Resident MB and idle CPU, in percent of a core, of every agent."""
    def cpu(pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pids = {name: hosts.lab.program(hosts.node(name), "agent").pid() for name in hosts.names}
    before = {name: cpu(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    rows = {}
    for name, pid in pids.items():
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        rows[name] = (resident / 1024, 100 * (cpu(pid) - before[name]) / seconds)
    return rows


def _start_to_first_answer(binary):
    """Seconds from exec to the first DNS answer of an agent alone, in a namespace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        agent = subprocess.Popen(
            ["unshare", "-n", "sh", "-c",
             f"ip link set lo up; exec '{binary}' agent -node=alone -bind=127.0.0.1 -data-dir='{folder}'"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: Path(f"/proc/{agent.pid}/comm").read_text().strip() == "rollcall", "exec", every=0.0005)
            started = time.monotonic()
            probe = ("import socket,struct,time\n"
                     "q=struct.pack('>HHHHHH',9,256,1,0,0,0)+b'\\5alone\\4node\\10rollcall\\0'+struct.pack('>HH',1,1)\n"
                     "while True:\n"
                     " s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('127.0.0.1',8600)); s.settimeout(.02)\n"
                     " try:\n  s.send(q)\n  if s.recv(512)[7]: break\n"
                     " except OSError: time.sleep(.001)\n")
            subprocess.run(["nsenter", "-t", str(agent.pid), "-n", sys.executable, "-S", "-c", probe], check=True, timeout=10)
            return time.monotonic() - started
        finally:
            agent.kill()
            agent.wait()


def _last_change(watched, wanted, since):
    """Seconds until each host's answer became `wanted` for good after `since`."""
    times = {}
    for name, changes in watched.items():
        after = [(at, targets) for at, targets in changes if at > since]
        reached = [at for at, targets in after if targets == wanted]
        times[name] = reached[-1] - since if reached and after[-1][1] == wanted else None
    return times


def _under_load(hosts, act, wanted, seconds):
    load = hosts.load("web2", seconds)
    watchers = hosts.watch("_todomvc._tcp.service.rollcall", seconds)
    time.sleep(2)
    started = time.monotonic()
    act()
    outcome = hosts.collect(load)
    return _last_change(hosts.watched(watchers), wanted, started), outcome


def _say_traffic(what, result, but=()):
    times, outcome = result
    seen = {name: f"{1000 * at:.0f}" if at is not None else "never" for name, at in times.items() if name not in but}
    print(f"{what}: out of DNS after ms {seen}; {outcome['requests']} requests, {outcome['failed']} failed, "
          f"median {outcome['median_ms']} ms, slowest {outcome['slowest_ms']} ms {outcome['failures'] or ''}", flush=True)


def _changes(hosts):
    """Milliseconds from an API call on pg2 to every agent's DNS, for each kind of change."""
    samples = {"register": [], "fail": [], "pass": [], "deregister": []}
    body = {"Name": "probe", "Port": 1, "Check": {"TTL": "600s", "Status": "passing"}}
    steps = (("register", "/v1/agent/service/register", body, ["pg2"]),
             ("fail", "/v1/agent/check/fail/service:probe", None, []),
             ("pass", "/v1/agent/check/pass/service:probe", None, ["pg2"]),
             ("deregister", "/v1/agent/service/deregister/probe", None, []))
    watchers = hosts.watch("_probe._tcp.service.rollcall", ROUNDS * len(steps) * 0.65 + 4)
    time.sleep(1.5)
    calls = []
    for _ in range(ROUNDS):
        for what, path, content, wanted in steps:
            calls.append((what, time.monotonic(), wanted))
            assert hosts.api("pg2", path, "PUT", content)[0] == 200
            time.sleep(0.5)
    seen = hosts.watched(watchers)
    for what, started, wanted in calls:
        reached = []
        for changes in seen.values():
            at = next((at for at, targets in changes if at >= started and targets == wanted), None)
            reached.append(at - started if at is not None and at - started < 0.5 else 9.999)
        samples[what].append(1000 * max(reached))
    return samples


def _promotion(hosts):
    """Seconds that a write of the webapp waits while an operator's stop moves the primary."""
    database = hosts.lab.database
    until(database.is_whole, "the standby follows", seconds=60)
    primary = database.primary().node
    stop = subprocess.Popen([*hosts.lab.network.enter(primary), str(hosts.lab.programs_folder / "rollcall"), "pg", "stop", primary.name],
                            stdout=subprocess.DEVNULL)
    started = time.monotonic()
    slowest, status = 0.0, "none"
    while stop.poll() is None or time.monotonic() < started + 3:
        asked = time.monotonic()
        status = hosts.run("web1", "curl", "-s", "-m", "40", "-o", "/dev/null", "-w", "%{http_code}", "-d", '{"title": "figures"}',
                           "http://127.0.0.1/api/todos")
        slowest = max(slowest, time.monotonic() - asked)
    hosts.lab.start(primary, "postgres")
    return status, slowest


def main():
    lab = Lab("figures", os.environ.get("ROLLCALL_BUILD", "release"))
    lab.down()
    lab.up()
    hosts = Hosts(lab)
    try:
        until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "both webapps are in every answer", seconds=30)
        time.sleep(5)
        for name, (resident, idle) in _memory_and_idle(hosts).items():
            print(f"agent on {name}: {resident:.1f} MB resident, {idle:.2f} % of a core idle", flush=True)
        starts = sorted(_start_to_first_answer(lab.programs_folder / "rollcall") for _ in range(7))
        print(f"start to first DNS answer: median {1000 * starts[3]:.0f} ms (python's own start-up included)", flush=True)
        for what, times in _changes(hosts).items():
            print(f"{what}: in every agent's answers after median {statistics.median(times):.0f} ms, "
                  f"worst {max(times):.0f} ms ({len(times)} times, curl's start included)", flush=True)
        web1 = hosts.node("web1")
        _say_traffic("stop a webapp", _under_load(hosts, lambda: lab.stop(web1, "todomvc"), ["web2"], 8))
        _say_traffic("start it again", _under_load(hosts, lambda: lab.start(web1, "todomvc"), ["web1", "web2"], 8))
        _say_traffic("kill a node", _under_load(hosts, lambda: lab.kill(web1), ["web2"], 10), but=("web1",))
        _say_traffic("start it again", _under_load(hosts, lambda: lab.start_node(web1), ["web1", "web2"], 12), but=("web1",))
        until(hosts.all_alive, "web1 is back", seconds=30)
        for _ in range(3):
            status, slowest = _promotion(hosts)
            print(f"stop of the primary: the slowest write through the webapp took {slowest:.2f} s and got {status}", flush=True)
            time.sleep(3)
    finally:
        lab.down()


if __name__ == "__main__":
    main()
