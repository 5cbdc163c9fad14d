"""Prometheus as vagrant/roles/admin sets it up: its alert rules do what they say, and it finds agents, proxies and services by itself."""
import asyncio
import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from proxy_house import House, http, until
from proxy_lab import free_port

RULES = Path(__file__).resolve().parents[2] / "vagrant" / "prometheus"
PROXY = """
worker_threads 2
discovery agent { address 127.0.0.1:8500; wait 20s }
pool web { from agent service web }
listen http 127.0.0.1:{port} { host * { route / { name shop; pool web } } }
"""


@pytest.mark.parametrize("tests", sorted(file.name for file in RULES.glob("*.test.yml")))
def test_alerts_come_when_they_should_and_not_before(tests):
    done = subprocess.run(["promtool", "test", "rules", tests], cwd=RULES, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """The real one, with the project's configuration; only places and intervals are the test's."""

    def __init__(self, folder, exporter):
        self.port = free_port()
        (folder / "token").write_text("any\n")
        text = (RULES / "prometheus.yml").read_text().replace("/etc/prometheus/rollcall/token", str(folder / "token"))
        for file in RULES.glob("*.rules.yml"):
            (folder / file.name).write_text(file.read_text().replace("interval: 15s", "interval: 1s"))
        text = text.replace("/etc/prometheus/rollcall/", f"{folder}/").replace("127.0.0.1:9100", f"127.0.0.1:{exporter}")
        text = text.replace("15s", "1s").replace("5s", "1s")
        config = folder / "prometheus.yml"
        config.write_text(text)
        checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        self.log = open(folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
                                         f"--web.console.templates={RULES / 'consoles'}", f"--web.console.libraries={folder}"], stderr=self.log, stdout=self.log)

    async def query(self, text):
        """{labels that matter: value}"""
        status, answer = await http(self.port, f"/api/v1/query?query={urllib.parse.quote(text)}")
        assert status == 200, answer
        return {tuple(sorted((key, value) for key, value in each["metric"].items() if key != "__name__")): float(each["value"][1])
                for each in json.loads(answer)["data"]["result"]}

    async def up(self):
        """{(job, node)} of targets that answer."""
        _, answer = await http(self.port, "/api/v1/targets?state=active")
        return {(target["labels"]["job"], target["labels"].get("node", "")) for target in json.loads(answer)["data"]["activeTargets"] if target["health"] == "up"}

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


async def _register(name, port, **more):
    status, text = await http(8500, "/v1/agent/service/register", "PUT", {"Name": name, "Port": port, **more})
    assert status == 200, text


async def _story(folder):
    house, port, prometheus = House(folder), free_port(), None
    try:
        await house.begin()
        await house.add("web", "w1")
        proxy = await house.proxy(PROXY, port=port)
        await _register("rollcall-proxy", proxy.admin)
        await _register("odd", proxy.admin, Tags=["metrics"], Meta={"metrics_path": "/metrics"})
        prometheus = Prometheus(folder, proxy.admin)
        found = {("rollcall", "n1"), ("rollcall-proxy", "n1"), ("odd", "n1"), ("adm", "adm1")}
        await until(lambda: _is(prometheus.up(), found), what="it does not find all there is")
        for _ in range(20):
            assert (await http(port, "/"))[0] == 200
        counted = 'sum by (route) (rollcall_proxy_http_requests_total{job="rollcall-proxy",code="2xx",route="shop"})'
        await until(lambda: _is(prometheus.query(counted), {(("route", "shop"),): 20.0}), what="it does not count the requests")
        assert (await prometheus.query('rollcall_members{status="alive"}'))[(("instance", "127.0.0.1:8500"), ("job", "rollcall"), ("node", "n1"), ("status", "alive"))] == 1

        # A rate needs figures before and after.
        async def page():
            await http(port, "/")
            status, text = await http(prometheus.port, "/consoles/slo.html")
            assert status == 200, text
            (folder / "slo.html").write_text(text)
            row = next((row for row in text.split("<tr>") if "<td>shop</td>" in row), "–")
            return "100%" in row and "held" in row and "–" not in row and "no traffic" not in row
        await until(page, what="the page does not show the route and all its figures")

        # What leaves is not asked any more.
        await http(8500, "/v1/agent/service/deregister/odd", "PUT")
        await until(lambda: _is(prometheus.up(), found - {("odd", "n1")}), what="it asks who has left")
    finally:
        if prometheus is not None:
            prometheus.end()
        house.end()


async def _is(question, wanted):
    return await question == wanted


def test_it_finds_agents_proxies_and_services_and_shows_the_objectives(tmp_path):
    asyncio.run(_story(tmp_path))
