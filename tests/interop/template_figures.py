#!/usr/bin/python3
"""What `rollcall template` takes for a file that shows every instance of many services: printed, not judged.

usage: template_figures.py [SERVICES]; ten instances each, in a network of its own (make template-figures).
"""
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROLLCALL = Path(__file__).resolve().parents[2] / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
INSTANCES, CHANGES, IDLE_SECONDS = 10, 20, 10
TEXT = ('{{range services}}upstream {{.Name}} {\n{{range service .Name}}  server {{hostPort .Address .Port | nginxQuote}};\n'
        '{{end}}}\n{{end}}')


class Agent:
    def __init__(self, folder):
        self.process = subprocess.Popen([ROLLCALL, "agent", "-node=one", "-bind=127.0.0.1", f"-data-dir={folder}/data", "-dns-port=-1"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.way = http.client.HTTPConnection("127.0.0.1", 8500, timeout=60)
        for _ in range(600):
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.way.request("GET", "/v1/agent/self")
                self.way.getresponse().read()
                return
            self.way.close()
            time.sleep(0.1)
        sys.exit("the agent does not answer")

    def register(self, service, instance, port):
        body = {"ID": f"s{service}-{instance}", "Name": f"service-{service}", "Address": f"10.0.{service % 250}.{instance}",
                "Port": port, "Tags": ["v1", "blue"], "Meta": {"weight": "3"}}
        self.way.request("PUT", "/v1/agent/service/register", json.dumps(body))
        answer = self.way.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process):
    return int(Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def until_other(path, before):
    """How long it took."""
    start = time.monotonic()
    while not path.exists() or path.stat().st_mtime_ns == before:
        assert time.monotonic() - start < 120, path
        time.sleep(0.002)
    return time.monotonic() - start


def measure(folder, services):
    agent = Agent(folder)
    for service in range(services):
        for instance in range(INSTANCES):
            agent.register(service, instance, 8000 + instance)
    (folder / "in").write_text(TEXT)
    out = folder / "out"
    template = subprocess.Popen([ROLLCALL, "template", "-template", f"{folder}/in:{out}", "-log-level=err"])
    first = until_other(out, None)
    print(f"{services} services of {INSTANCES}: the file of {out.stat().st_size} bytes is there after {first:.2f} s and "
          f"{cpu_seconds(template):.2f} s of CPU, {memory_mb(template):.0f} MB")
    before = cpu_seconds(template)
    time.sleep(IDLE_SECONDS)
    print(f"idle: {100 * (cpu_seconds(template) - before) / IDLE_SECONDS:.2f} % of a CPU")
    before, took = cpu_seconds(template), []
    for change in range(CHANGES):
        known = out.stat().st_mtime_ns
        agent.register(7 % services, 1, 9000 + change)
        took.append(until_other(out, known))
    print(f"a change is in the file after {statistics.median(took):.3f} s (longest {max(took):.3f}, of which 0.1 is waiting for quiet), "
          f"{1000 * (cpu_seconds(template) - before) / CHANGES:.1f} ms of CPU, {memory_mb(template):.0f} MB")
    for process in (template, agent.process):
        process.terminate()
        process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        measure(Path(made), int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
