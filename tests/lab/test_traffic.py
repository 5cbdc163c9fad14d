"""Webapps and nodes stop and come back under load, and no visitor sees it."""
from hosts import until

import time


def _served_well(outcome):
    assert outcome["requests"] > 0
    assert outcome["failed"] == 0, outcome


def test_a_stopped_webapp_costs_no_request_and_leaves_every_answer(hosts):
    load = hosts.load("web2", 8)
    time.sleep(1)
    hosts.lab.stop(hosts.node("web1"), "todomvc")
    until(lambda: hosts.everywhere("todomvc", ["web2"]), "web1 has left every answer")
    hosts.lab.start(hosts.node("web1"), "todomvc")
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "web1 is back in every answer")
    _served_well(hosts.collect(load))


def test_a_killed_web_node_costs_no_request_and_leaves_every_answer(hosts):
    load = hosts.load("web2", 15)
    time.sleep(1)
    hosts.lab.kill(hosts.node("web1"))
    others = [name for name in hosts.names if name != "web1"]
    until(lambda: all(hosts.srv_targets(name, "todomvc") == ["web2"] for name in others), "web1 has left the others' answers")
    until(lambda: all(hosts.lab.alive_members(hosts.node(name)) == 4 for name in others), "the others see four alive")
    hosts.lab.start_node(hosts.node("web1"))
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "web1 is back in every answer")
    _served_well(hosts.collect(load))


def test_a_restarted_proxy_drains_and_comes_back(hosts):
    hosts.lab.stop(hosts.node("web1"), "proxy")
    hosts.lab.start(hosts.node("web1"), "proxy")
    until(lambda: hosts.run("web1", "curl", "-s", "-f", "-m", "2", "http://127.0.0.1/health", check=False) != "", "it answers")


def test_when_nothing_lives_the_answer_says_so(hosts):
    for name in ("web1", "web2"):
        hosts.lab.stop(hosts.node(name), "todomvc")
    until(lambda: hosts.everywhere("todomvc", []), "no webapp is in any answer")
    answer = hosts.run("web1", "curl", "-s", "-m", "10", "-w", "\n%{http_code}", "http://127.0.0.1/")
    text, status = answer.rsplit("\n", 1)
    assert status == "503"
    assert "todomvc" in text
