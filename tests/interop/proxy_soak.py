"""Hours of everything that may change under load: does rollcall-proxy lose a request, memory or a descriptor?

usage: proxy_soak.py [MINUTES] [RATE] [restless]      (make proxy-soak MINUTES=60; make proxy-tsan: restless, with BUILD=tsan)

Load: HTTP/1.1 with bodies, over TLS as well, HTTP/2, websockets, TCP sessions. Churn: restarts after maintenance and deregistration,
kills, reloads, upgrades. What fails while an application was killed is
the kill's; anything else is ours. Every minute a line; at the end memory and descriptors of one process over most of the time.
"""
import asyncio
import random
import ssl
import subprocess
import sys
import tempfile
import time

import proxy_load
import proxy_load_h2
from proxy_house import House, own_network, until
from proxy_lab import free_port

APPS, KILL_SECONDS = 4, 3.0  # failures so long after a kill may be its own

TEXT = """
worker_threads 2
drain_timeout 4s
discovery agent { address 127.0.0.1:8500; wait 20s }
pool web { from agent service web; slow_start 1s }
listen http 127.0.0.1:{plain} { host * { route / { pool web; retry { attempts 3; on_status 503 } } } access_log file {log} json }
listen http 127.0.0.1:{secure} {
    tls { certificate {folder}/a.crt key {folder}/a.key; http2 on }
    host * { route / { pool web; retry { attempts 3; on_status 503 } } }
}
listen tcp 127.0.0.1:{tcp} { pool web }
%s
"""


class Soak:
    def __init__(self, house, minutes, rate, restless):
        self.restless = restless
        self.house, self.end, self.rate = house, asyncio.Event(), rate
        self.seconds, self.chance, self.samples = minutes * 60, random.Random(7), []
        self.tallies = {name: proxy_load.Tally() for name in ("http", "tls", "h2", "tcp")}
        self.ports = {name: free_port() for name in ("plain", "secure", "tcp", "extra")}
        self.ports.update(log=house.folder / "access.log", folder=house.folder)
        self.did, self.killed_at, self.ours, self.seen, self.began = {}, -100.0, [], 0, 0.0

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=app.test",
                        "-keyout", self.house.folder / "a.key", "-out", self.house.folder / "a.crt"], check=True, capture_output=True)

    async def start(self):
        self.certificate()
        await self.house.begin()
        for i in range(APPS):
            await self.house.add("web", f"w{i}", "--end", ("polite", "busy", "close", "polite")[i])
        self.proxy = await self.house.proxy(TEXT % "", **self.ports)
        await self.begin_load()

    async def begin_load(self):
        def trusting(protocol):
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            tls.set_alpn_protocols([protocol])
            return tls

        self.load = proxy_load.begin(self.tallies["http"], self.ports["plain"], self.rate, self.end)
        self.load += proxy_load.begin(self.tallies["tls"], self.ports["secure"], self.rate / 3, self.end, 10, 3, trusting("http/1.1"))
        self.load += proxy_load_h2.begin(self.tallies["h2"], self.ports["secure"], self.rate / 3, self.end, tls=trusting("h2"))
        self.load.append(asyncio.ensure_future(proxy_load.session(self.tallies["tcp"], self.ports["tcp"], 0.1, self.end)))

    # --- what happens to it ---

    async def restart(self, app, kind):
        if kind == "maintenance":
            await app.maintenance("true")
        elif kind == "deregister":
            await app.deregister()
        if kind != "rude":
            await until(self.left(app))
        await app.end()
        app.start()
        await until(app.answers)
        if kind == "maintenance":
            await app.maintenance("false")
        elif kind == "deregister":
            await app.register()

    def left(self, app):
        async def has_left():
            return (await self.proxy.state(app))[0] in ("draining", "gone")
        return has_left

    async def kill(self, app):
        self.killed_at = time.monotonic()
        app.kill()
        await asyncio.sleep(self.chance.random() * 2)
        app.start()
        await until(app.answers)
        self.killed_at = time.monotonic()

    async def reload(self):
        extra = "listen http 127.0.0.1:{extra} { pool web }" if self.chance.random() < 0.5 else ""
        self.proxy.write(TEXT % extra)
        await self.proxy.reload()

    def age(self):
        """0 at the beginning, 1 at the end."""
        return (time.monotonic() - self.began) / self.seconds

    async def churn(self):
        app = self.chance.choice(self.house.apps)
        kind = self.chance.choice(["maintenance", "deregister", "rude", "kill", "reload", "reload", "upgrade"])
        if kind == "upgrade":
            if not self.restless and 0.2 < self.age() < 0.9:
                return  # one process shows what it needs in the long run
            await self.proxy.upgrade()
        elif kind == "kill":
            await self.kill(app)
        elif kind == "reload":
            await self.reload()
        else:
            if kind == "rude":
                self.killed_at = time.monotonic()
            await self.restart(app, kind)
            if kind == "rude":
                self.killed_at = time.monotonic()
        self.did[kind] = self.did.get(kind, 0) + 1

    # --- what is looked at ---

    def failures(self):
        return sum(sum(tally.failed.values()) for tally in self.tallies.values())

    def look(self):
        """Failures since the last look: the kill's, or ours."""
        now = self.failures()
        if now > self.seen and time.monotonic() - self.killed_at > KILL_SECONDS:
            self.ours.append(now - self.seen)
            print("  OURS:", *(tally.failures[-3:] for tally in self.tallies.values()), flush=True)
        self.seen = now
        for tally in self.tallies.values():
            del tally.failures[:-6]
            tally.tried.clear()

    def report(self):
        rss, fds, _ = self.proxy.usage()
        self.samples.append((self.age(), rss, fds))
        print("%5.1f min: rss %d KiB, descriptors %d, requests %s, failed %d (ours %d), %s, %d processes" % (
            self.age() * self.seconds / 60, rss, fds, {name: tally.total() for name, tally in self.tallies.items()},
            self.failures(), sum(self.ours), self.did, len(self.proxy.alive())), flush=True)

    async def run(self):
        await self.start()
        self.began = reported = time.monotonic()
        while self.age() < 1:
            await asyncio.sleep(self.chance.random() * (0.5 if self.restless else 4))
            await self.churn()
            self.look()
            if time.monotonic() - reported > min(60, self.seconds / 10):
                reported = time.monotonic()
                self.report()
        self.end.set()
        await asyncio.gather(*self.load)
        self.look()
        self.report()
        for name, tally in self.tallies.items():
            print(name, tally)
        journals, twice, lost = [app.journal for app in self.house.apps], set(), set()
        for tally in self.tallies.values():
            found = proxy_load.duplicates(tally, journals)
            twice.update(found[0])
            lost.update(found[1])
        print("POSTs done twice: %d, acknowledged but not done: %d" % (len(twice), len(lost)))
        warm = [s for s in self.samples if 0.25 < s[0] < 0.9] or self.samples
        half = len(warm) // 2 or 1
        print("rss KiB: %s; descriptors: %s" % tuple(
            "first half %d..%d, second half %d..%d" % (min(a), max(a), min(b), max(b))
            for a, b in (([s[i] for s in warm[:half]], [s[i] for s in warm[half:] or warm]) for i in (1, 2))))
        print("failures that are ours: %d" % sum(self.ours))
        return not self.ours and not twice and not lost


async def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory(prefix="soak.") as folder:
        house = House(folder)
        try:
            sound = await Soak(house, minutes, rate, "restless" in sys.argv).run()
        finally:
            house.end()
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    own_network()
    asyncio.run(main())
