#!/usr/bin/python3
"""Checks of Redis against a real server; checks and restarts of systemd's units against a systemd that is played
(fake_systemd.py) on a real bus. Needs root: each agent has a network namespace of its own."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patience import patient

HERE = Path(__file__).resolve().parent
ROLLCALL = HERE.parents[1] / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
SECRET = "canary-9f3d7a"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def until(claim, why, seconds=20):
    end = time.monotonic() + patient(seconds)
    while True:
        found = claim()
        if found:
            return found
        assert time.monotonic() < end, why() if callable(why) else why
        time.sleep(0.05)


class House:
    """A network namespace with a loopback, and what runs in it."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("CONSUL_", "ROLLCALL_HTTP"))}
        self.env["DBUS_SYSTEM_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 3600"],
                                       stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout.readline() == "up\n"
        self.inside = ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net"]
        self.told = []

    def start(self, *words, **options):
        process = subprocess.Popen([*self.inside, *map(str, words)], env=self.env, **options)
        self.started.append(process)
        return process

    def agent(self, configuration, *flags):
        (self.folder / "agent.hcl").write_text(configuration)
        process = self.start(ROLLCALL, "agent", "-node", "n1", "-bind", "127.0.0.1", "-data-dir", self.folder / "data", "-config-file",
                             self.folder / "agent.hcl", *flags, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.told = []
        threading.Thread(target=lambda told=self.told: told.extend(process.stderr), daemon=True).start()
        until(lambda: self.api("GET", "/v1/agent/self")[0] == 200, lambda: "".join(self.told))
        return process

    def api(self, method, path, body=None):
        """Status and text."""
        done = subprocess.run([*self.inside, "curl", "-s", "-X", method, "-w", "\n%{http_code}", *(["-d", json.dumps(body)] if body else []),
                               f"http://127.0.0.1:8500{path}"], capture_output=True, text=True, env=self.env, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text

    def rollcall(self, *words):
        return subprocess.run([*self.inside, str(ROLLCALL), *words], capture_output=True, text=True, env=self.env, timeout=patient(30),
                              check=False)

    def check(self, name):
        return json.loads(self.api("GET", "/v1/agent/checks")[1] or "{}").get(name, {})

    def becomes(self, name, status, words):
        """Waits until the check stands so and says that."""
        def so():
            seen = self.check(name)
            return seen.get("Status") == status and words in seen.get("Output", "") and seen
        return until(so, lambda: f"{name}: wanted {status}, {words}; is {self.check(name)}\n{''.join(self.told[-20:])}")

    def log_has(self, words):
        until(lambda: words in "".join(self.told), lambda: f"no {words!r} in\n{''.join(self.told)}")

    def end(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.started):
            try:
                process.wait(patient(20))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.keeper.kill()
        self.keeper.wait()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.end()


# ---- Redis


@pytest.fixture
def redis(house):
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")

    def serve(port, *more):
        process = house.start("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                              house.folder, "--repl-diskless-sync-delay", 0, *more, stdout=subprocess.DEVNULL)
        until(lambda: subprocess.run([*house.inside, "redis-cli", "-p", str(port), "ping"], capture_output=True, text=True,
                                     check=False).stdout.startswith(("PONG", "NOAUTH")), "redis-server does not start")
        return process
    return serve


def test_a_redis_server_is_known_by_its_role_and_its_password_by_nobody(house, redis):
    (house.folder / "password").write_text(SECRET + "\n")
    master = redis(7001, "--requirepass", SECRET, "--masterauth", SECRET)
    redis(7002, "--requirepass", SECRET, "--masterauth", SECRET, "--replicaof", "127.0.0.1 7001")
    with_password = f'redis_password_file = "{house.folder}/password" interval = "200ms"'
    house.agent(f'''
        check {{ id = "master"  redis = "127.0.0.1:7001" redis_role = "master"  {with_password} }}
        check {{ id = "replica" redis = "localhost:7002" redis_role = "replica" {with_password} }}
        check {{ id = "mixed"   redis = "127.0.0.1:7002" redis_role = "master"  {with_password} }}
        check {{ id = "bare"    redis = "127.0.0.1:7001" interval = "200ms" }}
        check {{ id = "nobody"  redis = "127.0.0.1:7009" interval = "200ms" }}
        check {{ id = "lost"    redis = "127.0.0.1:7001" redis_password_file = "/nowhere/secret" interval = "200ms" }}
        check {{ id = "other"   redis = "127.0.0.1:8500" interval = "200ms" timeout = "300ms" }}
    ''')
    house.becomes("master", "passing", "Redis master, 1 replicas")
    house.becomes("replica", "passing", "Redis replica of 127.0.0.1:7001, connected")
    house.becomes("mixed", "critical", "wanted is a master")
    house.becomes("bare", "critical", "Give redis_password_file")
    house.becomes("nobody", "critical", "connection refused")
    house.becomes("lost", "critical", "/nowhere/secret is not there")
    house.becomes("other", "critical", "Redis")

    (house.folder / "password").write_text("wrong\n")  # read anew at each run
    house.becomes("master", "critical", "is refused (WRONGPASS)")
    (house.folder / "password").write_text(SECRET)
    house.becomes("master", "passing", "Redis master")
    master.send_signal(signal.SIGKILL)
    house.becomes("master", "critical", "Redis at 127.0.0.1:7001")
    house.becomes("replica", "warning", "link ")

    everything = house.api("GET", "/v1/agent/checks")[1] + house.api("GET", "/v1/agent/self")[1] + "".join(house.told)
    for file in (house.folder / "data").rglob("*"):
        everything += file.read_text(errors="replace") if file.is_file() else ""
    assert SECRET not in everything


def test_a_user_who_may_only_ask_for_info_is_enough(house, redis):
    (house.folder / "password").write_text(SECRET)
    redis(7001, "--user", "watcher", "on", f">{SECRET}", "+ping", "+info")
    house.agent(f'''check {{ id = "r" redis = "127.0.0.1:7001" redis_role = "master" redis_user = "watcher"
                             redis_password_file = "{house.folder}/password" interval = "200ms" }}''')
    house.becomes("r", "passing", "Redis master, 0 replicas")


def test_the_api_takes_no_password_file_and_no_restart(house):
    house.agent('check { id = "x" ttl = "1h" }')
    check = {"Name": "r", "Redis": "127.0.0.1:1", "Interval": "1s"}
    status, text = house.api("PUT", "/v1/agent/check/register", {**check, "RedisPasswordFile": "/etc/shadow"})
    assert status == 400 and "configuration files of the agent only" in text
    status, text = house.api("PUT", "/v1/agent/check/register", {**check, "Restart": {"Unit": "ssh"}})
    assert status == 400 and "may not restart units" in text
    status, text = house.api("PUT", "/v1/agent/service/register", {"Name": "s", "Check": {**check, "restart": {"unit": "ssh"}}})
    assert status == 400 and "may not restart units" in text
    assert house.api("PUT", "/v1/agent/check/register", check)[0] == 200


@pytest.mark.parametrize("line, says", [
    ('tcp = "a:1" interval = "1s" restart { unit = "reboot.target" }', "must be a service of systemd"),
    ('tcp = "a:1" interval = "1s" restart { after = 3 }', "restart needs a unit"),
    ('tcp = "a:1" interval = "1s" restart { unit = "a" after = 0 }', "restart.after must be at least 1"),
    ('tcp = "a:1" interval = "1s" restart { unit = "a" max_per_hour = 61 }', "must be 1 to 60"),
    ('ttl = "1s" restart { unit = "a" }', "not one of type ttl"),
    ('systemd = "../x" interval = "1s"', "no name of a unit"),
    ('systemd = "x" systemd_starting = "well" interval = "1s"', "systemd_starting is passing, warning or critical"),
    ('redis = "a:1" redis_role = "slave" interval = "1s"', "redis_role is master or replica"),
    ('redis = "a:1" redis_password_file = "secret" interval = "1s"', "must be a whole path"),
])
def test_a_configuration_that_makes_no_sense_is_refused_in_words(house, line, says):
    (house.folder / "bad.hcl").write_text(f'check {{ id = "x" {line} }}')
    done = house.rollcall("agent", "-node", "n1", "-bind", "127.0.0.1", "-data-dir", str(house.folder / "data"), "-config-file",
                          str(house.folder / "bad.hcl"))
    assert done.returncode == 1 and says in done.stderr, done.stderr


# ---- systemd


@pytest.fixture
def units(house):
    """A bus with a systemd; called, it sets what a unit is like."""
    folder = house.folder / "units"
    folder.mkdir()
    house.start("dbus-daemon", "--session", "--nofork", f"--address=unix:path={house.folder}/bus", stdout=subprocess.DEVNULL)
    until(lambda: (house.folder / "bus").exists(), "dbus-daemon does not start")
    systemd = house.start(sys.executable, "-B", HERE / "fake_systemd.py", folder, stdout=subprocess.PIPE, text=True)
    assert systemd.stdout.readline() == "up\n"

    def put(name, **state):
        (folder / f"{name}.new").write_text(json.dumps(state))
        (folder / f"{name}.new").rename(folder / f"{name}.service.json")

    def orders():
        file = folder / "orders"
        return file.read_text().splitlines() if file.exists() else []
    put.orders = orders
    put.systemd = systemd
    return put


def test_a_unit_is_as_healthy_as_systemd_says(house, units):
    units("web")
    house.agent('''
        check { id = "web"  systemd = "web" max_restarts = 2 interval = "200ms" }
        check { id = "slow" systemd = "slow.service" systemd_starting = "passing" interval = "200ms" }
        check { id = "none" systemd = "none" interval = "200ms" }
    ''')
    house.becomes("web", "passing", "web.service is active (running)")
    house.becomes("none", "critical", "no such unit")
    units("slow", active="activating", sub="start-pre")
    house.becomes("slow", "passing", "slow.service is activating (start-pre)")
    units("web", restarts=3)
    house.becomes("web", "warning", "restarted 3 times by systemd, more than max_restarts 2")
    units("web", active="failed", sub="failed", result="signal")
    house.becomes("web", "critical", "web.service is failed (signal)")
    assert house.api("PUT", "/v1/agent/check/register", {"Name": "api", "Systemd": "slow", "Interval": "200ms"})[0] == 200
    house.becomes("api", "warning", "activating")
    units.systemd.kill()
    house.becomes("web", "critical", "this machine is not run by it")


def test_without_a_bus_checks_say_so_and_the_agent_runs(house):
    house.agent('check { id = "web" systemd = "web" interval = "200ms" restart { unit = "web" after = 1 } }')
    house.becomes("web", "critical", "no system bus here")
    until(lambda: "no system bus here" in house.check("web")["Restart"]["Error"], "the restart says nothing")
    assert house.api("GET", "/v1/agent/self")[0] == 200


def webapp(house):
    """A server on 8001 as a shell command, whose unit does not restart it."""
    code = ("import http.server,os; open('pid','w').write(str(os.getpid())); "
            "http.server.ThreadingHTTPServer(('127.0.0.1',8001), http.server.SimpleHTTPRequestHandler).serve_forever()")
    return f'cd {house.folder} && exec {sys.executable} -c "{code}" 2>/dev/null'


def kill_webapp(house):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((house.folder / "pid").read_text()), signal.SIGKILL)
        (house.folder / "pid").unlink()


def figure(house, name):
    metrics = house.api("GET", "/v1/agent/metrics?format=prometheus")[1]
    return next((int(line.split()[1]) for line in metrics.splitlines() if line.startswith(name)), 0)


SERVICE = '''service { name = "todomvc" port = 8001
    check { http = "http://127.0.0.1:8001/" interval = "100ms" timeout = "2s" restart { unit = "todomvc" after = 3 max_per_hour = %d } } }'''


def test_a_killed_webapp_is_brought_back_until_the_budget_is_used_up(house, units):
    units("todomvc", active="failed", sub="failed", result="signal", start=webapp(house))
    try:
        agent = house.agent(SERVICE % 1)
        house.becomes("service:todomvc", "passing", "200")  # it was not there: started
        assert units.orders() == ["todomvc.service replace"]
        house.log_has('todomvc.service was restarted, because check "service:todomvc" fails')
        shown = house.check("service:todomvc")["Restart"]
        assert (shown["Unit"], shown["After"], shown["MaxPerHour"], shown["Count"]) == ("todomvc.service", 3, 1, 1)
        assert abs(shown["LastMs"] / 1000 - time.time()) < patient(60) and shown["State"] == "idle" and shown["Error"] == ""

        nodes = json.loads(house.api("GET", "/v1/internal/ui/nodes")[1])
        assert [c["Restart"] for c in nodes[0]["Checks"] if "Restart" in c] == [shown]

        kill_webapp(house)
        until(lambda: house.check("service:todomvc")["Restart"]["State"] == "exhausted", lambda: house.check("service:todomvc"))
        house.log_has("but todomvc.service was not restarted: that was done 1 times within an hour, which is max_per_hour")
        metrics = house.api("GET", "/v1/agent/metrics?format=prometheus")[1]
        assert 'rollcall_check_restarts_total{outcome="restarted"} 1' in metrics
        assert 'rollcall_check_restarts_total{outcome="exhausted"} 1' in metrics
        events = json.loads(house.api("GET", "/v1/internal/ui/events?kind=restart")[1])
        assert [(e["Service"], e["Check"], e["To"]) for e in events] == [("todomvc", "service:todomvc", "restarted"),
                                                                        ("todomvc", "service:todomvc", "exhausted")]
        assert events[0]["Text"] == "todomvc.service was restarted"

        agent.send_signal(signal.SIGTERM)  # the budget outlives the agent
        agent.wait(patient(20))
        house.agent(SERVICE % 1)
        until(lambda: house.check("service:todomvc").get("Restart", {}).get("State") == "exhausted", lambda: house.check("service:todomvc"))
        assert units.orders() == ["todomvc.service replace"]
    finally:
        kill_webapp(house)


def test_what_was_stopped_by_hand_or_is_in_maintenance_is_left_alone(house, units):
    units("todomvc", active="inactive", sub="dead", result="success")
    house.agent(SERVICE % 5)
    until(lambda: "stopped on purpose" in house.check("service:todomvc").get("Restart", {}).get("Error", ""),
          lambda: house.check("service:todomvc"))
    first = figure(house, 'rollcall_check_restarts_total{outcome="left_alone"}')
    until(lambda: figure(house, 'rollcall_check_restarts_total{outcome="left_alone"}') > first + 2, "it is not asked for again")
    assert units.orders() == [] and house.check("service:todomvc")["Restart"]["Count"] == 0
    assert "".join(house.told).count("stopped on purpose") == 1
    units("todomvc", active="failed", result="signal")  # and then it dies of its own
    until(units.orders, "it is not restarted")


def test_a_restart_that_systemd_refuses_says_what_to_do(house, units):
    units("todomvc", active="failed", result="signal", deny=True)
    house.agent(SERVICE % 5)
    until(lambda: "polkit rule" in house.check("service:todomvc").get("Restart", {}).get("Error", ""), lambda: house.check("service:todomvc"))
    house.log_has("but todomvc.service was not restarted: systemd refuses")


def test_a_job_that_fails_is_told(house, units):
    units("todomvc", active="failed", result="signal", job="failed")
    house.agent(SERVICE % 5)
    until(lambda: "could not start todomvc.service again (failed)" in house.check("service:todomvc").get("Restart", {}).get("Error", ""),
          lambda: house.check("service:todomvc"))


def test_in_maintenance_nothing_is_restarted(house, units):
    units("todomvc", active="failed", result="signal")
    house.agent(SERVICE % 5)
    assert house.api("PUT", "/v1/agent/maintenance?enable=true")[0] == 200
    until(lambda: house.check("service:todomvc")["Restart"]["State"] == "idle", lambda: house.check("service:todomvc"))
    before = len(units.orders())  # one may have been quicker than we
    first = figure(house, 'rollcall_check_runs_total{type="http"}')
    until(lambda: figure(house, 'rollcall_check_runs_total{type="http"}') > first + 10, "the check does not run")
    assert len(units.orders()) == before
