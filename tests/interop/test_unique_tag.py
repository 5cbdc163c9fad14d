"""Tags that only one instance may show: a Patroni that registers them on two nodes, and keepers' terms."""
import subprocess
import threading

import pytest

from store_agents import Agents, until

KEY = "service/lab/leader"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("unique"))
    rule = {"service": "patroni", "by_kv": KEY}
    server = agents.server(unique_tag=rule, ports={"dns": 8600}, dns_config={"service_ttl": {"*": "9s"}}).start()
    server.ready()
    client = agents.client("c1", unique_tag=[rule]).start()
    client.ready()
    yield server, client
    agents.end()


def register(agent, name, node, tags, **meta):
    reply = agent.call("PUT", "/v1/agent/service/register",
                       {"Name": name, "ID": f"lab/{node}", "Tags": tags, "Port": 5432, "Meta": meta})
    assert reply.status == 200, reply.text


def holders(agent, name, tag):
    """Who shows the tag in each kind of answer, which must all say the same."""
    shown = [{row["Service"]["ID"] for row in agent.call("GET", f"/v1/health/service/{name}?tag={tag}").json},
             {row["Service"]["ID"] for row in agent.call("GET", f"/v1/health/service/{name}").json if tag in row["Service"]["Tags"]},
             {row["ServiceID"] for row in agent.call("GET", f"/v1/catalog/service/{name}").json if tag in row["ServiceTags"]}]
    return sorted(shown[0]) if shown[0] == shown[1] == shown[2] else shown


@pytest.fixture(scope="module")
def patroni(pair):
    server, client = pair
    register(server, "patroni", "n1", ["master", "primary", "v1"])
    register(client, "patroni", "n2", ["master", "primary", "v1"])
    for agent in pair:
        until(lambda agent=agent: holders(agent, "patroni", "v1") == ["lab/n1", "lab/n2"])
    return pair


def test_while_nobody_holds_the_key_nobody_shows_the_tags(patroni):
    for agent in patroni:
        assert holders(agent, "patroni", "master") == []
    patroni[0].call("PUT", f"/v1/kv/{KEY}", "n1")  # a value without a lock is a word of nobody
    for agent in patroni:
        assert holders(agent, "patroni", "primary") == []
    patroni[0].call("DELETE", f"/v1/kv/{KEY}")


def test_the_tags_follow_the_key_on_agents_with_and_without_a_store(patroni):
    server, client = patroni
    ended, wrong = threading.Event(), []

    def look():
        while not ended.is_set():
            for agent in patroni:
                found = holders(agent, "patroni", "master")
                if len(found) > 1 and not isinstance(found[0], set):
                    wrong.append(found)

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    for node in ("n1", "n2", "n1"):
        session = server.session(Behavior="delete")
        assert server.call("PUT", f"/v1/kv/{KEY}?acquire={session}", node).text == "true"
        for agent in patroni:
            until(lambda agent=agent, node=node: holders(agent, "patroni", "primary") == [f"lab/{node}"])
        assert server.call("PUT", f"/v1/session/destroy/{session}").text == "true"
        for agent in patroni:
            until(lambda agent=agent: holders(agent, "patroni", "primary") == [])
    ended.set()
    looker.join()
    assert not wrong


def dig(agent, name):
    out = subprocess.run(["kdig", f"@{agent.address}", "-p", "8600", name, "SRV", "+noall", "+answer"],
                         capture_output=True, text=True, check=True).stdout
    return [line.split() for line in out.splitlines() if line.strip()]


def test_of_two_claims_the_higher_term_is_shown_and_dns_does_not_let_it_be_kept(pair):
    server, client = pair
    register(server, "postgres", "n1", ["primary", "ro"], pg_cluster="main", pg_term="7")
    until(lambda: holders(client, "postgres", "primary") == ["lab/n1"])
    rows = dig(server, "primary.postgres.service.rollcall")
    assert len(rows) == 1 and rows[0][1] == "0", rows
    assert dig(server, "ro.postgres.service.rollcall")[0][1] == "9"
    register(client, "postgres", "n2", ["primary", "ro"], pg_cluster="main", pg_term="8")
    for agent in pair:
        until(lambda agent=agent: holders(agent, "postgres", "primary") == ["lab/n2"])
    assert len(dig(server, "primary.postgres.service.rollcall")) == 1
    # It is not well: nobody, not the one before.
    client.call("PUT", "/v1/agent/service/maintenance/lab%2Fn2?enable=true")
    until(lambda: dig(server, "primary.postgres.service.rollcall") == [])
    assert len(dig(server, "ro.postgres.service.rollcall")) == 1
