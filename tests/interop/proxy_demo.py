"""Two tiers that nobody would dare to run, made whole by rollcall: the demonstration of the proxy.

usage: proxy_demo.py [SECONDS] [RATE]      (make proxy-demo DEMO_SECONDS=300)

A frontend manages ten requests a second and crashes when its backend is away; a backend fails two of a hundred requests.
Clients ask the frontends through a rollcall-proxy, the frontends ask the backends through it as well, instances of both are
killed at random and come back. At the client: RATE requests a second, and no failure.
"""
import asyncio
import random
import sys
import tempfile
import time

import proxy_load
from proxy_house import House, own_network, until
from proxy_lab import free_port

FRONTENDS, BACKENDS = 9, 3
SLOW = 0.1  # seconds that a frontend takes for each request, one after the other
FAIL = 2  # percent of a backend's answers
TEXT = """
worker_threads 2
discovery agent {{ address 127.0.0.1:8500; wait 20s }}
pool frontend {{ from agent service frontend; balance least_request; max_requests 2; queue 500; queue_timeout 20s }}
pool backend {{ from agent service backend; balance least_request; queue_timeout 5s }}
listen http 127.0.0.1:{front} {{ host * {{ route / {{ pool frontend; retry {{ attempts 3; on_status 500 502 503 }} }} }} }}
listen http 127.0.0.1:{back} {{ host * {{ route / {{ pool backend; retry {{ attempts 5; on_status 500 502 503 }} }} }} }}
"""


class Demo:
    def __init__(self, house, rate):
        self.house, self.rate, self.chance = house, rate, random.Random(11)
        self.front, self.back = free_port(), free_port()
        self.kills, self.crashes, self.end = 0, 0, asyncio.Event()

    async def begin(self):
        await self.house.begin()
        apps = [self.house.add("backend", f"b{i}", "--fail", str(FAIL), journal=False) for i in range(BACKENDS)]
        apps += [self.house.add("frontend", f"f{i}", "--slow", str(SLOW), "--backend", str(self.back), journal=False)
                 for i in range(FRONTENDS)]
        await asyncio.gather(*apps)
        self.proxy = await self.house.proxy(TEXT.format(front=self.front, back=self.back))
        await until(self.all_up)

    async def all_up(self):
        found = [len(await self.proxy.upstreams(pool)) for pool in (0, 1)]
        return found == [FRONTENDS, BACKENDS]

    async def keep_up(self):
        """As systemd would: who has ended is started again after a while."""
        while not self.end.is_set():
            await asyncio.sleep(0.2)
            for app in self.house.apps:
                if not app.runs() and not getattr(app, "waits", False):
                    self.crashes += app.process.returncode == 1
                    app.waits = True
                    asyncio.get_running_loop().call_later(0.5 + self.chance.random(), self.start, app)

    def start(self, app):
        app.waits = False
        if not self.end.is_set():
            app.start()

    async def kill_some(self):
        while not self.end.is_set():
            await asyncio.sleep(1 + 3 * self.chance.random())
            alive = {each: [app for app in self.house.apps if app.service == each and app.runs()] for each in ("frontend", "backend")}
            service = self.chance.choice(("frontend", "frontend", "backend"))
            if len(alive[service]) > (1 if service == "backend" else FRONTENDS - 3):
                self.chance.choice(alive[service]).kill()
                self.kills += 1

    async def run(self, seconds):
        """The tally of the clients."""
        tally = proxy_load.Tally()
        users = [proxy_load.visitor(proxy_load.User(tally, self.front), 40 / self.rate, ("get", "get", "new"), self.end)
                 for _ in range(40)]
        tasks = [asyncio.ensure_future(each) for each in (*users, self.keep_up(), self.kill_some())]
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            await asyncio.sleep(min(30, seconds))
            print("%4d s: %d kills, %d crashes, %s" % (time.monotonic() - began, self.kills, self.crashes, tally), flush=True)
        self.rate = tally.rate()
        self.end.set()
        await asyncio.gather(*tasks)
        return tally


async def trial(folder, seconds, rate):
    """(the demonstration, the clients' tally)."""
    house = House(folder)
    demo = Demo(house, rate)
    try:
        await demo.begin()
        return demo, await demo.run(seconds)
    finally:
        house.end()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory(prefix="demo.") as folder:
        demo, tally = asyncio.run(trial(folder, seconds, rate))
    print("%.1f requests/s, %d failed, %d kills, %d crashes" % (demo.rate, sum(tally.failed.values()), demo.kills, demo.crashes))
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    own_network()
    main()
