"""What befalls rollcall-proxy's instances, its agent, its disk and its descriptors under load costs no request that may be repeated."""
import asyncio
import os
import resource
import signal
import socket
import subprocess
from pathlib import Path

import proxy_load
import pytest
from patience import patient
from proxy_house import House, until
from proxy_lab import free_port

TEXT = """
worker_threads 2
discovery agent { address 127.0.0.1:8500; wait 20s }
pool web { from agent service web; response_timeout %s }
listen http 127.0.0.1:{port} { host * { route / { pool web; retry { attempts 3 } } } %s }
"""


class Trial:
    def __init__(self, folder):
        self.house, self.port = House(folder), free_port()
        self.tally, self.end, self.tasks = proxy_load.Tally(), asyncio.Event(), []

    async def begin(self, response_timeout="60s", listener="", apps=3, words=()):
        await self.house.begin()
        for i in range(apps):
            await self.house.add("web", f"w{i}", *words)
        self.proxy = await self.house.proxy(TEXT % (response_timeout, listener), port=self.port)

        async def all_up():
            return [each["state"] for each in (await self.proxy.upstreams()).values()] == ["up"] * apps

        await until(all_up)

    async def load(self, rate=150):
        self.tasks = proxy_load.begin(self.tally, self.port, rate, self.end, 30, 0)
        await self.pass_by(rate / 2)

    async def pass_by(self, count):
        """Waits until so many more were answered."""
        before = self.tally.total()
        await until(lambda: self.tally.total() >= before + count, 40, what=str(self.tally))

    async def finish(self):
        self.end.set()
        await asyncio.gather(*self.tasks)
        twice, lost = proxy_load.duplicates(self.tally, [app.journal for app in self.house.apps])
        assert not twice and not lost, (twice, lost)
        return self.tally


@pytest.fixture
def trial(tmp_path):
    made = Trial(tmp_path)
    yield made
    made.house.end()


def spent(pid):
    """Seconds of CPU so far."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def run(task):
    asyncio.run(asyncio.wait_for(task, patient(50)))


def test_a_killed_instance_costs_posts_in_flight_there_at_most(trial):
    async def go():
        await trial.begin()
        await trial.load()
        for app in trial.house.apps[:2]:
            app.kill()
            await trial.pass_by(150)
            app.start()
            await until(app.answers)
            await trial.pass_by(75)
        tally = await trial.finish()
        assert set(tally.failed) <= {"post"} and tally.failed["post"] <= 4, str(tally)

    run(go())


def test_a_stopped_instance_costs_what_runs_there_at_most(trial):
    async def go():
        await trial.begin("2s")
        await trial.load()
        app = trial.house.apps[0]
        app.process.send_signal(signal.SIGSTOP)

        async def left():
            return (await trial.proxy.state(app))[0] not in ("up", "warming")

        await until(left)
        held = sum(trial.tally.failed.values())
        await trial.pass_by(150)
        app.process.send_signal(signal.SIGCONT)
        await trial.pass_by(75)
        tally = await trial.finish()
        assert all("504" in each for each in tally.failures), str(tally)
        assert sum(tally.failed.values()) <= held + 30, str(tally)  # one of each user at most

    run(go())


def test_an_agent_that_is_dead_or_silent_costs_nothing(trial):
    async def go():
        await trial.begin()
        await trial.load()
        trial.house.agent.signal(signal.SIGSTOP)
        await trial.pass_by(150)
        trial.house.agent.kill()
        await trial.pass_by(300)
        trial.house.agent.start()
        await until(lambda: trial.house.agent.call("GET", "/v1/agent/self").status == 200)
        await trial.pass_by(150)
        tally = await trial.finish()
        assert not tally.failed, str(tally)

    run(go())


def test_no_request_meets_the_end_of_a_kept_connection(trial):
    """Instances close what is idle for 1.3 s, just as clients ask again."""
    async def go():
        await trial.begin(apps=2, words=("--idle", "1.3"))

        async def visit(pause):
            user = proxy_load.User(trial.tally, trial.port)
            for _ in range(4):
                await proxy_load.request(user, "post")
                await asyncio.sleep(pause)
            user.close()

        await asyncio.gather(*(visit(1.2 + 0.005 * i) for i in range(40)))
        tally = await trial.finish()
        assert not tally.failed, str(tally)

    run(go())


def test_a_full_disk_costs_lines_of_the_log_and_no_request(trial):
    async def go():
        disk = trial.house.folder / "disk"
        disk.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk])
        if made.returncode != 0:
            pytest.skip("no tmpfs can be mounted")
        try:
            await trial.begin(listener=f"access_log file {disk}/access.log json")
            await trial.load()
            await until(lambda: (disk / "access.log").stat().st_size > 40000)
            await trial.pass_by(300)
            tally = await trial.finish()
            assert not tally.failed, str(tally)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)

    run(go())


def test_without_descriptors_clients_are_turned_away_and_come_back(trial):
    async def go():
        await trial.begin()
        pid = trial.proxy.process.pid
        await trial.load(60)
        used = len(os.listdir(f"/proc/{pid}/fd"))
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 4, usual[1]))
        crowd = []
        for _ in range(60):
            crowd.append(asyncio.ensure_future(proxy_load.request(proxy_load.User(proxy_load.Tally(), trial.port), "get")))
        await asyncio.sleep(1)
        before = spent(pid)
        await asyncio.sleep(1)
        assert spent(pid) - before < 0.5, "it spins"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        await asyncio.gather(*crowd)
        failed = sum(trial.tally.failed.values())
        await trial.pass_by(60)
        await trial.finish()
        assert sum(trial.tally.failed.values()) == failed, str(trial.tally)

    run(go())


def test_ports_that_are_used_up_are_not_the_instances_fault(trial):
    async def go():
        if [name for _, name in socket.if_nameindex()] != ["lo"]:
            pytest.skip("wants a network of its own")
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            usual = file.read()
        await trial.begin(apps=1)
        try:
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
                file.write("60000 60019")
            users = [proxy_load.User(trial.tally, trial.port) for _ in range(40)]
            await asyncio.gather(*(proxy_load.request(user, "get") for user in users))
        finally:
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
                file.write(usual)
        found = (await trial.proxy.upstreams())[trial.house.apps[0].address]
        assert found["state"] == "up" and found["outcomes"]["connect_failed"] == 0, found
        for user in users:
            user.close()
        await trial.load(60)
        await trial.finish()

    run(go())
