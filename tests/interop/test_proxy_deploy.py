"""Rolling restarts of web applications under load: no request fails, nothing that is not idempotent is done twice.

As a program (make proxy-deploy ROUNDS=10 RATE=500) it restarts all of them so many times in each form, and tells what
each form cost. Forms: maintenance, deregister (then it is waited until the proxy sends nothing new), and the rude ones,
where an application just ends: busy answers 503 with Retry-After: 0 for a while, close cuts idle connections at once.
"""
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import proxy_demo
import proxy_load
from patience import patient
from proxy_house import House, own_network, until
from proxy_lab import free_port

APPS = 3
POLITE, RUDE = ("maintenance", "deregister"), ("busy", "close")
ENDS = {"maintenance": signal.SIGTERM, "deregister": signal.SIGTERM, "busy": signal.SIGUSR1, "close": signal.SIGUSR2}
TEXT = """
worker_threads 2
drain_timeout 10s
discovery agent { address 127.0.0.1:8500; wait 20s }
pool web { from agent service web }
listen http 127.0.0.1:{port} {
    host * { route / { pool web; retry { attempts 3; draining_posts on } } }
}
"""


class Deploy:
    def __init__(self, house, rate):
        self.house, self.rate, self.port = house, rate, free_port()

    async def begin(self):
        await self.house.begin()
        for i in range(APPS):
            await self.house.add("web", f"w{i}")
        self.proxy = await self.house.proxy(TEXT, port=self.port)
        await until(self.all_up)

    async def all_up(self):
        return [each["state"] for each in (await self.proxy.upstreams()).values()] == ["up"] * APPS

    async def restart(self, app, form):
        if form == "maintenance":
            await app.maintenance("true")
        if form == "deregister":
            await app.deregister()
        if form in POLITE:
            await until(lambda: self.left(app))
            await self.idle(app)
        await app.end(ENDS[form])
        app.start()
        await until(app.answers)
        if form == "maintenance":
            await app.maintenance("false")
        if form == "deregister":
            await app.register()
        await until(self.all_up)

    async def left(self, app):
        return (await self.proxy.state(app))[0] in ("draining", "gone")

    async def idle(self, app):
        """What runs may take a moment; websockets stay until the application says that it goes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.5
        while (await self.proxy.state(app))[1] > 0 and loop.time() < end:
            await asyncio.sleep(0.03)

    async def form(self, form, rounds, apps=APPS):
        """The tally of `rounds` rolling restarts in a form."""
        tally, end = proxy_load.Tally(), asyncio.Event()
        tasks = proxy_load.begin(tally, self.port, self.rate, end)
        await until(lambda: tally.total() > self.rate / 2)
        for _ in range(rounds):
            for app in self.house.apps[:apps]:
                await self.restart(app, form)
        await asyncio.sleep(0.5)
        end.set()
        await asyncio.gather(*tasks)
        twice, lost = proxy_load.duplicates(tally, [app.journal for app in self.house.apps])
        print("%s: %d restarts: %s; done twice %d, acknowledged and not done %d" % (
            form, rounds * apps, tally, len(twice), len(lost)), flush=True)
        return tally, twice, lost


async def trial(folder, rounds, rate, forms, apps=APPS):
    """{form: (tally, twice, lost)}."""
    house, found = House(folder), {}
    deploy = Deploy(house, rate)
    try:
        await deploy.begin()
        for form in forms:
            found[form] = await deploy.form(form, rounds, apps)
    finally:
        house.end()
    return found


def judge(found):
    """Lines about what should not be."""
    wrong = []
    for form, (tally, twice, lost) in found.items():
        if twice or lost:
            wrong.append("%s: done twice %s, lost %s" % (form, twice, lost))
        allowed = {"post"} if form in RUDE else set()  # too long to be sent again; or whether it was done is not known
        if set(tally.failed) - allowed:
            wrong.append("%s: %s" % (form, tally))
    return wrong


def test_restarts_of_all_web_applications_lose_nothing(tmp_path):
    found = asyncio.run(asyncio.wait_for(trial(tmp_path, 1, 150, POLITE), patient(60)))
    assert judge(found) == []


def test_an_application_that_just_ends_costs_no_request_that_may_be_repeated(tmp_path):
    found = asyncio.run(asyncio.wait_for(trial(tmp_path, 1, 100, RUDE, 1), patient(60)))
    assert judge(found) == []


def test_two_tiers_that_fail_and_crash_are_whole_at_the_client(tmp_path):
    demo, tally = asyncio.run(asyncio.wait_for(proxy_demo.trial(tmp_path, 8, 40), patient(60)))
    assert demo.kills > 0 and not tally.failed, str(tally)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 500
    with tempfile.TemporaryDirectory(prefix="deploy.") as folder:
        wrong = judge(asyncio.run(trial(Path(folder), rounds, rate, POLITE + RUDE)))
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    own_network()
    main()
