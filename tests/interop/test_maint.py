#!/usr/bin/python3
"""The last healthy instance of a service is not taken away by chance: `rollcall maint` and the API's maintenance. Needs root: the agents
have a network namespace of their own."""
import json
import os
import subprocess

import pytest

from patience import patient
from test_checks_own import ROLLCALL, House, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


class Pool(House):
    """Agents n1, n2, ... at 127.0.0.1, 127.0.0.2, ..., the first one a server if there is to be a store; each has an instance of `web`."""

    def __init__(self, folder, size, server):
        super().__init__(folder)
        self.size = size
        for number in range(1, size + 1):
            address = f"127.0.0.{number}"
            self.start(ROLLCALL, "agent", "-node", f"n{number}", "-bind", address, "-client", address, "-data-dir", folder / f"n{number}",
                       "-retry-join", "127.0.0.1", "-retry-interval", "1s", "-profile", "fast", *(["-server"] if server and number == 1 else []),
                       stdout=subprocess.DEVNULL, stderr=(folder / f"n{number}.log").open("w"))
        for number in range(1, size + 1):
            until(lambda n=number: self.ask(n, "GET", "/v1/agent/self")[0] == 200, "an agent does not start")
            assert self.ask(number, "PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80})[0] == 200
        for number in range(1, size + 1):
            self.sees(number, size)
        if server:
            until(lambda: self.ask(size, "PUT", "/v1/kv/ready", "yes") == (200, "true"), "the store does not open")

    def ask(self, number, method, path, body=None):
        done = subprocess.run([*self.inside, "curl", "-s", "-X", method, "-w", "\n%{http_code}", *(["-d", json.dumps(body)] if body else []),
                               f"http://127.0.0.{number}:8500{path}"], capture_output=True, text=True, env=self.env, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text.strip()

    def healthy(self, number):
        return sorted(each["Node"]["Node"] for each in json.loads(self.ask(number, "GET", "/v1/health/service/web?passing")[1] or "[]"))

    def sees(self, number, count):
        until(lambda: len(self.healthy(number)) == count, lambda: f"n{number} sees {self.healthy(number)}, not {count}")

    def maint(self, number, *words):
        return subprocess.Popen([*self.inside, ROLLCALL, "maint", f"-http-addr=127.0.0.{number}:8500", *words], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.env)

    def done(self, process):
        out, err = process.communicate(timeout=patient(40))
        return process.returncode, out, err

    def settle(self):
        for number in range(1, self.size + 1):
            for path in ("maintenance?", "service/maintenance/web?"):
                self.ask(number, "PUT", f"/v1/agent/{path}enable=false")
            self.ask(number, "PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80})
        for number in range(1, self.size + 1):
            self.sees(number, self.size)


@pytest.fixture(scope="module", params=["with a store", "without a store"])
def pool(request, tmp_path_factory):
    made = Pool(tmp_path_factory.mktemp("pool"), 2, request.param == "with a store")
    yield made
    made.end()


@pytest.fixture(autouse=True)
def settled(pool):
    pool.settle()


def test_the_last_healthy_instance_stays_unless_forced(pool):
    assert pool.done(pool.maint(1, "-enable", "-service=web"))[0] == 0
    pool.sees(2, 1)
    status, out, err = pool.done(pool.maint(2, "-enable", "-service=web"))
    assert (status, out) == (1, "")
    assert "409" in err and 'Without it 0 healthy of service "web" would be left, and min_healthy is 1' in err and "-force" in err
    assert pool.done(pool.maint(2, "-enable"))[0] == 1  # the node with it
    assert pool.healthy(1) == ["n2"]
    assert pool.done(pool.maint(2, "-enable", "-service=web", "-force")) == (0, 'Service maintenance is now enabled for "web"\n', "")
    pool.sees(1, 0)
    for _ in range(2):  # again: it is away already, and stays so
        assert pool.done(pool.maint(2, "-enable", "-service=web", "-reason=again"))[0] == 0
        assert pool.healthy(2) == []


def test_who_is_not_healthy_is_missed_by_nobody(pool):
    assert pool.ask(1, "PUT", "/v1/agent/maintenance?enable=true")[0] == 200
    check = {"Name": "ill", "ServiceID": "web", "TTL": "1h", "Status": "critical"}
    assert pool.ask(2, "PUT", "/v1/agent/check/register", check)[0] == 200
    pool.sees(2, 0)
    assert pool.done(pool.maint(2, "-enable", "-service=web"))[0] == 0
    assert pool.ask(2, "PUT", "/v1/agent/check/deregister/ill")[0] == 200


def test_two_who_go_at_the_same_moment_do_not_both_go(pool):
    both = [pool.maint(number, "-enable", "-service=web") for number in (1, 2)]
    ends = [pool.done(process) for process in both]
    gone = [status for status, _, _ in ends if status == 0]
    assert len(gone) <= 1, ends
    pool.sees(1, 2 - len(gone))
    pool.sees(2, 2 - len(gone))
    for status, _, err in ends:
        assert status == 0 or "would be left" in err or "at the same moment" in err, ends


def test_clients_of_consul_may_take_a_lone_instance_away_unless_it_says_otherwise(pool):
    assert pool.ask(1, "PUT", "/v1/agent/service/maintenance/web?enable=true")[0] == 200
    pool.sees(2, 1)
    assert pool.ask(2, "PUT", "/v1/agent/service/maintenance/web?enable=true")[0] == 200
    assert pool.ask(2, "PUT", "/v1/agent/service/maintenance/web?enable=false")[0] == 200
    assert pool.ask(2, "PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80, "MinHealthy": 1})[0] == 200
    pool.sees(2, 1)
    status, text = pool.ask(2, "PUT", "/v1/agent/service/maintenance/web?enable=true")
    assert status == 409 and "min_healthy is 1" in text
    assert pool.ask(2, "PUT", "/v1/agent/maintenance?enable=true")[0] == 409
    assert pool.ask(2, "PUT", "/v1/agent/maintenance?enable=true&force")[0] == 200
    assert pool.ask(2, "PUT", "/v1/agent/maintenance?enable=false")[0] == 200


def test_min_healthy_zero_takes_the_care_away(pool):
    for number in (1, 2):
        assert pool.ask(number, "PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80, "MinHealthy": 0})[0] == 200
        assert pool.done(pool.maint(number, "-enable", "-service=web"))[0] == 0


def test_a_number_that_makes_no_sense_is_refused(pool):
    status, text = pool.ask(1, "PUT", "/v1/agent/service/register", {"Name": "x", "MinHealthy": -1})
    assert status == 400 and "min_healthy must not be negative" in text
