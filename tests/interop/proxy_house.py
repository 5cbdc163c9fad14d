"""An agent, web applications that it looks after (proxy_webapp.py) and a rollcall-proxy before them, in a network of one's own."""
import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from patience import patient
from proxy_lab import free_port, program
from store_agents import Agent

WEBAPP = Path(__file__).with_name("proxy_webapp.py")


def own_network():
    """Starts this program again where nobody else is, for those that pytest has not given a network."""
    if os.environ.get("OWN_NETWORK") != "1":
        words = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-B", *sys.argv]
        os.execvpe("unshare", words, {**os.environ, "OWN_NETWORK": "1"})


async def until(question, seconds=30, every=0.03, what="timed out"):
    """Asks again until the answer is true; what is not there yet is no error."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patient(seconds)
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError, asyncio.TimeoutError):
            found = question()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
        assert loop.time() < end, what
        await asyncio.sleep(every)


async def http(port, target, method="GET", body=None, address="127.0.0.1"):
    """(status, text), without keeping the loop waiting."""
    def ask():
        request = urllib.request.Request(f"http://{address}:{port}{target}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.get_running_loop().run_in_executor(None, ask)


class App:
    def __init__(self, house, service, name, *words, journal=True):
        self.house, self.service, self.name, self.port, self.words = house, service, name, free_port(), list(words)
        self.journal = house.folder / f"{name}.journal"
        if journal:
            self.words += ["--journal", str(self.journal)]
        self.process, self.address = None, "127.0.0.1:%d" % self.port

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-B", str(WEBAPP), str(self.port), self.name, *self.words],
                                        stderr=self.house.errors)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.runs():
            self.process.kill()
            self.process.wait()

    async def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        await until(lambda: self.process.poll() is not None, what=f"{self.name} does not end")

    async def answers(self):
        return (await http(self.port, "/_health"))[0] == 200

    async def register(self):
        check = {"CheckID": f"check-{self.name}", "HTTP": f"http://127.0.0.1:{self.port}/_health", "Interval": "200ms",
                 "Timeout": "5s", "Status": "passing"}
        body = {"ID": self.name, "Name": self.service, "Address": "127.0.0.1", "Port": self.port, "Checks": [check]}
        status, text = await http(8500, "/v1/agent/service/register", "PUT", body)
        assert status == 200, text

    async def deregister(self):
        await http(8500, f"/v1/agent/service/deregister/{self.name}", "PUT")

    async def maintenance(self, wanted):
        await http(8500, f"/v1/agent/service/maintenance/{self.name}?enable={wanted}", "PUT")


class House:
    def __init__(self, folder):
        self.folder, self.apps, self.proxies = Path(folder), [], []
        self.errors = open(self.folder / "apps.err", "wb")
        self.agent = Agent(self.folder / "agent", "n1", "127.0.0.1")

    async def begin(self):
        self.agent.start()
        await until(lambda: self.agent.call("GET", "/v1/agent/self").status == 200)

    async def add(self, service, name, *words, journal=True):
        app = App(self, service, name, *words, journal=journal)
        self.apps.append(app)
        app.start()
        await until(app.answers)
        await app.register()
        return app

    async def proxy(self, text, **ports):
        made = Proxy(self, text, **ports)
        self.proxies.append(made)
        await until(made.ready)
        return made

    def end(self):
        problems = [each for each in (proxy.end() for proxy in self.proxies) if each]
        for app in self.apps:
            app.kill()
        self.agent.end()
        self.errors.close()
        assert not problems, problems


class Proxy:
    """{admin} and other ports in braces of `text` are filled in."""

    def __init__(self, house, text, **ports):
        self.house, self.ports = house, {"admin": free_port(), **ports}
        self.admin = self.ports["admin"]
        self.config, self.log_path = house.folder / "proxy.conf", house.folder / "proxy.log"
        self.write(text)
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([program(), "-config", str(self.config)], stderr=self.log)
        self.pids = [self.process.pid]  # of all that have served, the newest last

    def write(self, text):
        text = re.sub(r"\{(\w+)\}", lambda found: str(self.ports[found.group(1)]), text)
        self.config.write_text("admin 127.0.0.1:%d\n%s" % (self.admin, text))

    def said(self):
        return self.log_path.read_text()

    async def ready(self):
        assert self.process.poll() is None, self.said()
        return (await http(self.admin, "/ready"))[0] == 200

    async def upstreams(self, pool=0):
        """{address: what /upstreams says}."""
        pools = json.loads((await http(self.admin, "/upstreams"))[1])["pools"]
        return {each["address"]: each for each in pools[pool]["instances"]}

    async def state(self, app, pool=0):
        """What the proxy thinks of an application: (state, in flight)."""
        found = (await self.upstreams(pool)).get(app.address, {"state": "gone", "in_flight": 0})
        return found["state"], found["in_flight"]

    async def reload(self):
        before = self.said().count("reload")
        os.kill(self.pids[-1], signal.SIGHUP)
        await until(lambda: self.said().count("reload") > before)

    async def upgrade(self):
        """Another process serves; its number is the last of `pids`."""
        before = self.said().count("this one drains")
        os.kill(self.pids[-1], signal.SIGUSR2)
        await until(lambda: self.said().count("this one drains") > before, what=self.said()[-2000:])
        self.pids.append(int(re.findall(r"process (\d+) serves", self.said())[-1]))

    def alive(self):
        """Those of `pids` that have not ended (nobody may have collected them yet)."""
        found = []
        for pid in self.pids:
            with contextlib.suppress(OSError):
                if Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(pid)
        return found

    def usage(self, pid=None):
        """(RSS in KiB, descriptors, threads) of the process that serves."""
        place = Path("/proc/%d" % (pid or self.pids[-1]))
        words = (place / "status").read_text().split()
        return (int(words[words.index("VmRSS:") + 1]), len(os.listdir(place / "fd")), int(words[words.index("Threads:") + 1]))

    def end(self):
        """What was wrong with its end, or None."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for _ in range(3):
            last = time.monotonic() + patient(5)
            while self.process.poll() is None or self.alive():
                if time.monotonic() > last:
                    for pid in self.alive():  # once more: at once
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGTERM)
                    break
                time.sleep(0.02)
        self.log.close()
        said = self.said()
        for word in ("Sanitizer", "runtime error", "Assertion"):
            if word in said:
                return said[-20000:]
        return None if self.process.returncode == 0 else "exit %s: %s" % (self.process.returncode, said[-3000:])
