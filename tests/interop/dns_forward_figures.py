"""What forwarding costs beside dnsmasq and unbound: all ask one NSD with many names, in rounds by turns. Printed, not judged.

For people: `make dns-forward-figures`, or with `--rounds N --seconds N`. Wants nsd, dnsmasq, unbound and dnsperf."""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROLLCALL = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
NAMES = 200000  # enough that nobody asks for one twice in a round
KEPT = 1000  # names that everybody keeps
UPSTREAM, PORTS = 5300, {"rollcall": 5311, "dnsmasq": 5312, "unbound": 5313}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
CORES = sorted(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


def start(folder, name, words, core):
    with open(folder / f"{name}.log", "wb") as log:
        return subprocess.Popen(["taskset", "-c", str(core), *words], stdout=log, stderr=log, env={**os.environ, "PATH": PATH})


def nsd(folder):
    lines = ["figures. 3600 IN SOA ns.figures. host.figures. 1 3600 600 86400 60", "figures. 3600 IN NS ns.figures.", "ns.figures. 3600 IN A 127.0.0.1"]
    lines += [f"n{i}.figures. 3600 IN A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(NAMES)]
    (folder / "zone").write_text("\n".join(lines) + "\n")
    (folder / "nsd.conf").write_text(f"""
server:
  server-count: 1
  ip-address: 127.0.0.1@{UPSTREAM}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/zones"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "figures."
  zonefile: "{folder}/zone"
""")
    return ["nsd", "-d", "-c", str(folder / "nsd.conf")]


def rollcall(folder, port):
    (folder / "rollcall.hcl").write_text(f'recursors = ["127.0.0.1:{UPSTREAM}"]\nports {{ http = 5321 serf_lan = 5322 server = 5323 }}\n')
    return [str(ROLLCALL), "agent", "-dev", "-node=a", f"-dns-port={port}", f"-config-file={folder}/rollcall.hcl", f"-data-dir={folder}/data"]


def dnsmasq(folder, port):
    (folder / "dnsmasq.conf").write_text(f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\ngroup=root\n"
                                         f"server=127.0.0.1#{UPSTREAM}\ncache-size=10000\ndns-forward-max=1000\npid-file=\n")
    return ["dnsmasq", "-C", str(folder / "dnsmasq.conf"), "-k"]


def unbound(folder, port):
    (folder / "unbound.conf").write_text(f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: 127.0.0.1@{port}
  do-not-query-localhost: no
  module-config: "iterator"
  msg-cache-size: 8m
  rrset-cache-size: 8m
  num-queries-per-thread: 1024
  outgoing-range: 2048
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{UPSTREAM}
remote-control:
  control-enable: no
""")
    return ["unbound", "-d", "-c", str(folder / "unbound.conf")]


MAKERS = {"rollcall": rollcall, "dnsmasq": dnsmasq, "unbound": unbound}


def cpu_s(pid):
    """User and system time of a process with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def dnsperf(port, file, words):
    ran = subprocess.run(["taskset", "-c", str(CORES[-1]), "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), *words],
                         capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "PATH": PATH})
    found = {word: float(re.search(rf"{word}:\s+([0-9.]+)", ran.stdout).group(1)) for word in ("Queries completed", "Queries lost",
                                                                                              "Queries per second")}
    return found["Queries completed"], found["Queries lost"], found["Queries per second"], "SERVFAIL" in ran.stdout


def ready(port):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        ran = subprocess.run(["dig", "+short", "+tries=1", "+time=1", "-p", str(port), "@127.0.0.1", "n1.figures"], capture_output=True, text=True,
                             check=False)
        if ran.stdout.startswith("10."):
            return
        time.sleep(0.1)
    raise SystemExit(f"port {port} does not answer")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--json", type=Path)
    options = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="forward-"))
    running = {}
    found = {(name, case): [] for name in MAKERS for case in ("kept", "asked")}
    try:
        running["nsd"] = start(folder, "nsd", nsd(folder), CORES[-1])
        ready(UPSTREAM)
        for name, maker in MAKERS.items():
            running[name] = start(folder, name, maker(folder, PORTS[name]), CORES[0])
            ready(PORTS[name])
        kept = folder / "kept"
        kept.write_text("".join(f"n{i}.figures A\n" for i in range(KEPT)))
        for port in PORTS.values():
            dnsperf(port, kept, ["-n", "2", "-q", "20"])
        begin = KEPT
        for _ in range(options.rounds):
            # The others sleep meanwhile: each has the processor for itself.
            for name, port in PORTS.items():
                for case in ("kept", "asked"):
                    file, words = kept, ["-l", str(options.seconds), "-q", "100"]
                    if case == "asked":
                        count = min(12000 * options.seconds, (NAMES - KEPT) // options.rounds)
                        file, words = folder / "asked", ["-n", "1", "-q", "60"]
                        file.write_text("".join(f"n{i}.figures A\n" for i in range(begin, begin + count)))
                    before = cpu_s(running[name].pid)
                    done, lost, rate, failed = dnsperf(port, file, words)
                    found[name, case].append({"rate": rate, "us": (cpu_s(running[name].pid) - before) / done * 1e6, "lost": lost, "failed": failed})
            begin += min(12000 * options.seconds, (NAMES - KEPT) // options.rounds)
        show(found)
        if options.json:
            options.json.write_text(json.dumps({f"{name} {case}": rows for (name, case), rows in found.items()}, indent=1))
    finally:
        for process in reversed(running.values()):
            process.terminate()
        for process in running.values():
            process.wait(20)


def show(found):
    print("%-10s %-6s %10s %12s %6s" % ("server", "", "q/s", "us CPU/q", "lost"))
    for case in ("kept", "asked"):
        middle = {}
        for name in MAKERS:
            rows = found[name, case]
            middle[name] = (statistics.median(row["rate"] for row in rows), statistics.median(row["us"] for row in rows))
            print("%-10s %-6s %10.0f %12.2f %6.0f%s" % (name, case, *middle[name], sum(row["lost"] for row in rows),
                                                     " SERVFAIL" if any(row["failed"] for row in rows) else ""))
        others = [value for name, value in middle.items() if name != "rollcall"]
        print("%-10s %-6s %9.2fx rate, %5.2fx CPU of the better" % ("", case, middle["rollcall"][0] / max(rate for rate, _ in others),
                                                                 middle["rollcall"][1] / min(us for _, us in others)))


if __name__ == "__main__":
    main()
