"""A sixth machine on the same wire reaches what the firewall names, and nothing else; inside, nothing changes."""
import subprocess
import sys

import pytest

import knock
from hosts import until
from labkit import firewall, network


def _run(*words, check=True, **options):
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def walls(hosts):
    """The firewall of each node, for the length of a test."""
    for node in hosts.lab.inventory.nodes:
        _run(*hosts.lab.network.enter(node), "nft", "-f", "-", input=firewall.rules(node))
    yield
    for node in hosts.lab.inventory.nodes:
        _run(*hosts.lab.network.enter(node), "nft", "flush", "ruleset")


@pytest.fixture
def outside(hosts):
    """outside(command...): on a machine of nobody's, on the same wire, with addresses of the same networks; its output."""
    wires = hosts.lab.network
    name = f"{wires.prefix}outside"
    base = hosts.lab.inventory.networks[0].rsplit(".", 1)[0]
    base6 = hosts.lab.inventory.networks[1].split("/")[0]
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", wires.switch, "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "-n", wires.switch, "link", "set", "outside", "master", network.BRIDGE, "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", name, "address", "add", f"{base}.99/24", "dev", "eth0")
        _run("ip", "-n", name, "address", "add", f"{base6}99/64", "dev", "eth0", "nodad")
        _run("ip", "-n", name, "link", "set", "eth0", "up")
        yield lambda *words, **options: _run("ip", "netns", "exec", name, *map(str, words), **options).stdout
    finally:
        _run("ip", "netns", "delete", name)


def _found(outside, addresses):
    return knock.heard(outside(sys.executable, "-B", knock.__file__, ",".join(addresses), ",".join(map(str, knock.PORTS))))


def _expected(node):
    """What is not silent: ports that are let through, whether somebody listens (web nodes) or not (SSH, here)."""
    if "proxy" in node.runs:
        return {80: "open", 443: "open"}
    return {22: "refused"} if node.kind == "adm" else {}


def test_from_outside_only_the_listed_ports_answer(hosts, outside, walls):
    for family in ("address4", "address6"):
        nodes = {getattr(node, family): node for node in hosts.lab.inventory.nodes}
        assert _found(outside, list(nodes)) == {address: _expected(node) for address, node in nodes.items()}


def test_gossip_from_outside_is_not_heard(hosts, outside, walls):
    """Plain memberlist from an agent that has no key: nobody answers, nobody learns of it."""
    peer = hosts.node("adm1").address
    base = hosts.lab.inventory.networks[0].rsplit(".", 1)[0]
    said = outside("timeout", "4", hosts.lab.programs_folder / "rollcall", "agent", "-node=stranger", f"-bind={base}.99", f"-retry-join={peer}",
                   "-retry-interval=1s", "-dev", check=False)
    for name in ("adm1", "pg2"):
        assert "stranger" not in hosts.run(name, hosts.lab.programs_folder / "rollcall", "members"), said
    assert hosts.all_alive()
    refused = hosts.run("adm1", "nft", "list", "chain", "inet", "rollcall", "input")
    assert "counter packets 0 " not in refused and "counter packets" in refused, refused


def test_inside_everything_goes_on(hosts, walls):
    assert hosts.all_alive()
    status, _ = hosts.todo_add("web1", "behind the wall")
    assert status == 201
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "both are in every answer")
    # Once more, with connections under way: what stands stays, and the rules are the same.
    before = hosts.run("pg1", "nft", "list", "ruleset")
    _run(*hosts.lab.network.enter(hosts.node("pg1")), "nft", "-f", "-", input=firewall.rules(hosts.node("pg1")))
    assert [line.split(" counter")[0] for line in hosts.run("pg1", "nft", "list", "ruleset").splitlines() if "counter" not in line] == [
        line.split(" counter")[0] for line in before.splitlines() if "counter" not in line]
    status, _ = hosts.todo_add("web2", "and again")
    assert status == 201
    hosts.lab.kill(hosts.node("web2"))
    others = [name for name in hosts.names if name != "web2"]
    until(lambda: all(hosts.srv_targets(name, "todomvc") == ["web1"] for name in others), "web2 has left the others' answers")
    hosts.lab.start_node(hosts.node("web2"))
    until(hosts.all_alive, "it is back, behind its wall")
