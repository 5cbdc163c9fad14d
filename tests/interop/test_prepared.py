"""Prepared queries with real agents: at a server, and through an agent that has no store."""
import os
import shutil
import subprocess
import threading
import time

import pytest

from patience import patient
from store_agents import Agents, until

pytestmark = pytest.mark.skipif(shutil.which("dig") is None, reason="dig is missing (Debian: bind9-dnsutils)")

WEB = {"Service": "web"}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    agents = Agents(tmp_path_factory.mktemp("prepared"))
    agents.server("s1", ports={"dns": 8600}, session_ttl_min="1s").start().ready()
    agents.client("a1", ports={"dns": 8600}).start().ready()
    for agent in agents.all:
        last = agent.address.rsplit(".", 1)[1]
        for name, tags, status in (("web", ["v1", "eu"], "passing"), ("db", ["primary"], "passing"), ("shaky", [], "warning")):
            agent.call("PUT", "/v1/agent/service/register",
                       {"Name": name, "Tags": tags, "Address": f"10.0.0.{last}", "Port": 80, "Meta": {"zone": "z" + last},
                        "Check": {"TTL": "1h", "Status": status}})
    until(lambda: all(len(agent.call("GET", "/v1/health/service/shaky").json) == 2 for agent in agents.all))
    yield agents
    agents.end()


@pytest.fixture(params=["at the server", "through an agent"])
def agent(request, pool):
    asked = pool.all[0 if request.param == "at the server" else 1]
    for query in asked.call("GET", "/v1/query").json:
        assert asked.call("DELETE", "/v1/query/" + query["ID"]).status == 200
    return asked


def create(agent, **definition):
    reply = agent.call("POST", "/v1/query", definition)
    assert reply.status == 200, reply.text
    return reply.json["ID"]


def dig(agent, name, kind="A"):
    run = subprocess.run(["dig", "+tries=1", "+time=5", "+noall", "+comments", "+answer", f"@{agent.address}", "-p", "8600", name, kind],
                         capture_output=True, text=True, timeout=patient(30))
    status = run.stdout.split("status: ", 1)[1].split(",", 1)[0] if "status: " in run.stdout else run.stdout
    rows = [line.split(None, 4) for line in run.stdout.splitlines() if line and not line.startswith(";")]
    return status, [(int(row[1]), row[4]) for row in rows]


def addresses(agent, name):
    return sorted(row[1] for row in dig(agent, name)[1])


def names(reply):
    assert reply.status == 200, reply.text
    return [node["Node"]["Node"] for node in reply.json["Nodes"]]


def test_a_query_comes_is_changed_and_goes(agent):
    query = create(agent, Name="q", Service=WEB)
    assert agent.call("POST", "/v1/query", {"ID": query, "Name": "x", "Service": WEB}).status == 500
    assert [q["Name"] for q in agent.call("GET", "/v1/query").json] == ["q"]
    reply = agent.call("PUT", "/v1/query/" + query, {"Name": "r", "Service": {"Service": "db", "Near": "_agent"}})
    assert reply.status == 200 and reply.body == b""
    shown = agent.call("GET", "/v1/query/" + query).json[0]
    assert (shown["Name"], shown["Service"]["Service"], shown["ModifyIndex"] > shown["CreateIndex"]) == ("r", "db", True)
    create(agent, Name="q", Service=WEB)  # the old name is free
    assert agent.call("GET", "/v1/query/q/execute").json["Service"] == "web"
    assert agent.call("DELETE", "/v1/query/" + query).status == 200
    assert agent.call("DELETE", "/v1/query/" + query).status == 200
    gone = agent.call("GET", "/v1/query/" + query)
    assert (gone.status, gone.text) == (404, "Query not found")
    assert agent.call("GET", "/v1/query/r/execute").status == 404
    refused = agent.call("PUT", "/v1/query/" + query, {"Name": "r", "Service": WEB})
    assert (refused.status, refused.text) == (500, f"Cannot modify non-existent prepared query: '{query}'")


def test_two_queries_never_share_a_name(agent, pool):
    for number in range(8):
        replies = []
        threads = [threading.Thread(target=lambda a=a: replies.append(a.call("POST", "/v1/query", {"Name": f"n{number}", "Service": WEB})), daemon=True)
                   for a in pool.all * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(r.status for r in replies) == [200] + [500] * 5
        assert {r.text for r in replies if r.status == 500} == {f"name 'n{number}' aliases an existing query name"}
    other = create(agent, Name="other", Service=WEB)
    taken = agent.call("PUT", "/v1/query/" + other, {"Name": "n1", "Service": WEB})
    assert (taken.status, taken.text) == (500, "name 'n1' aliases an existing query name")
    assert agent.call("GET", "/v1/query/other/execute").status == 200


def test_a_name_that_two_delete_and_one_makes_anew_is_not_lost(agent, pool):
    for _ in range(8):
        query = create(agent, Name="again", Service=WEB)
        threads = [threading.Thread(target=lambda a=a: a.call("DELETE", "/v1/query/" + query), daemon=True) for a in pool.all * 2]
        for thread in threads:
            thread.start()
        made = until(lambda: (r := agent.call("POST", "/v1/query", {"Name": "again", "Service": WEB})).status == 200 and r.json["ID"])
        for thread in threads:
            thread.join()
        twice = agent.call("POST", "/v1/query", {"Name": "again", "Service": WEB})
        assert twice.status == 500, "the name was given away twice"
        assert agent.call("DELETE", "/v1/query/" + made).status == 200


def test_a_query_that_is_sent_twice_is_made_once(agent):
    number = os.urandom(16).hex()
    twice = [agent.call("POST", "/v1/query", {"Name": "once", "Service": WEB}, {"X-Rollcall-Request": number}) for _ in range(2)]
    assert [r.status for r in twice] == [200, 200] and twice[0].json == twice[1].json
    assert [q["ID"] for q in agent.call("GET", "/v1/query").json] == [twice[0].json["ID"]]


def test_a_query_is_carried_out_by_id_and_by_name(agent):
    query = create(agent, Name="all", Service=WEB, DNS={"TTL": "9s"})
    for key in (query, "all"):
        reply = agent.call("GET", f"/v1/query/{key}/execute")
        assert sorted(names(reply)) == ["a1", "s1"]
        assert (reply.json["Service"], reply.json["DNS"]["TTL"], reply.json["Failovers"]) == ("web", "9s", 0)
    assert len(names(agent.call("GET", "/v1/query/all/execute?limit=1"))) == 1
    assert agent.call("GET", "/v1/query/all/execute?limit=x").status == 500
    assert agent.call("GET", "/v1/query/none/execute").status == 404
    create(agent, Name="fit", Service={"Service": "shaky", "OnlyPassing": True})
    create(agent, Name="zone", Service={"Service": "web", "ServiceMeta": {"zone": "z2"}})
    assert names(agent.call("GET", "/v1/query/fit/execute")) == []
    assert names(agent.call("GET", "/v1/query/zone/execute")) == ["a1"]


def test_who_asks_is_nearest_to_himself(agent):
    create(agent, Name="near", Service={"Service": "web", "Near": "_agent"})
    until(lambda: names(agent.call("GET", "/v1/query/near/execute"))[0] == agent.name)  # once coordinates are known
    for _ in range(5):
        assert names(agent.call("GET", "/v1/query/near/execute"))[0] == agent.name
    for name in ("s1", "a1"):
        until(lambda name=name: names(agent.call("GET", f"/v1/query/near/execute?near={name}"))[0] == name)


def test_over_dns_the_nearest_comes_first_each_time(agent):
    create(agent, Name="near.by.dns", Service={"Service": "web", "Near": "_agent"})
    mine = "10.0.0." + agent.address.rsplit(".", 1)[1]
    until(lambda: [row[1] for row in dig(agent, "near.by.dns.query.rollcall")[1]][:1] == [mine])
    for _ in range(5):
        status, rows = dig(agent, "near.by.dns.query.rollcall")
        assert status == "NOERROR" and len(rows) == 2 and rows[0][1] == mine, rows
    assert dig(agent, "by.dns.query.rollcall") == ("NOERROR", [])


def test_a_template_answers_for_names_that_fit_it(agent):
    create(agent, Name="geo-", Template={"Type": "name_prefix_match", "Regexp": "^geo-(\\w+)-(\\w+)$"},
           Service={"Service": "${match(2)}", "Tags": ["${match(1)}"]})
    assert sorted(names(agent.call("GET", "/v1/query/geo-eu-web/execute"))) == ["a1", "s1"]
    assert names(agent.call("GET", "/v1/query/geo-us-web/execute")) == []
    shown = agent.call("GET", "/v1/query/geo-eu-web/explain").json["Query"]
    assert (shown["Name"], shown["Service"]["Service"], shown["Service"]["Tags"]) == ("geo-eu-web", "web", ["eu"])
    until(lambda: addresses(agent, "GEO-eu-web.query.rollcall") == ["10.0.0.1", "10.0.0.2"])


def test_a_query_goes_with_its_session(agent):
    for end in ("destroyed", "run out"):
        session = agent.session(TTL="1s" if end == "run out" else "60s")
        bound = create(agent, Name="bound", Session=session, Service=WEB)
        unnamed = create(agent, Session=session, Service=WEB)
        free = create(agent, Name="free", Service=WEB)
        if end == "destroyed":
            assert agent.call("PUT", "/v1/session/destroy/" + session).json is True
        until(lambda: agent.call("GET", "/v1/query/" + bound).status == 404)
        until(lambda: agent.call("GET", "/v1/query/" + unnamed).status == 404)
        assert agent.call("GET", "/v1/query/" + free).status == 200
        for name in ("bound", "free"):
            agent.call("DELETE", "/v1/query/" + free)
            assert agent.call("DELETE", "/v1/query/" + create(agent, Name=name, Service=WEB)).status == 200
        refused = agent.call("POST", "/v1/query", {"Name": "late", "Session": session, "Service": WEB})
        assert (refused.status, refused.text) == (500, f'failed session lookup: invalid session "{session}"')


def test_dns_answers_queries(agent):
    query = create(agent, Name="Main.Web", Service=WEB, DNS={"TTL": "9s"})
    until(lambda: addresses(agent, query + ".query.rollcall") == ["10.0.0.1", "10.0.0.2"])  # no copy of an older one
    assert addresses(agent, "main.web.query.rollcall") == ["10.0.0.1", "10.0.0.2"]
    assert {ttl for ttl, _ in dig(agent, "MAIN.web.query.dc1.rollcall")[1]} == {9}
    targets = {data for _, data in dig(agent, "main.web.query.rollcall", "SRV")[1]}
    assert targets == {f"1 1 80 0a00000{n}.addr.dc1.rollcall." for n in (1, 2)}
    assert dig(agent, "main.web.query.rollcall", "AAAA") == ("NOERROR", [])
    until(lambda: dig(agent, "none.query.rollcall") == ("NXDOMAIN", []))
    assert dig(agent, "main.web.query.dc9.rollcall") == ("NXDOMAIN", [])


def test_dns_follows_every_change_of_a_query(agent):
    query = create(agent, Name="moves", Service={"Service": "web", "ServiceMeta": {"zone": "z1"}})
    until(lambda: addresses(agent, "moves.query.rollcall") == ["10.0.0.1"])
    agent.call("PUT", "/v1/query/" + query, {"Name": "moves", "Service": {"Service": "web", "Near": "_agent"}})
    until(lambda: len(addresses(agent, "moves.query.rollcall")) == 2)
    own = "10.0.0." + agent.address.rsplit(".", 1)[1]
    assert all(dig(agent, "moves.query.rollcall")[1][0][1] == own for _ in range(5))
    agent.call("DELETE", "/v1/query/" + query)
    until(lambda: dig(agent, "moves.query.rollcall")[0] == "NXDOMAIN")


def test_dns_asks_for_the_health_that_the_query_wants(agent):
    create(agent, Name="strict", Service={"Service": "shaky", "OnlyPassing": True})
    create(agent, Name="lax", Service={"Service": "shaky"})
    until(lambda: len(addresses(agent, "lax.query.rollcall")) == 2)
    assert dig(agent, "strict.query.rollcall") == ("NXDOMAIN", [])


def test_an_agent_answers_from_its_copy_while_servers_are_away(pool):
    server, agent = pool.all
    create(server, Name="kept", Service=WEB)
    until(lambda: len(addresses(agent, "kept.query.rollcall")) == 2)
    server.kill()
    until(lambda: addresses(agent, "kept.query.rollcall") == ["10.0.0.2"], 60)  # never a node that is gone
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        assert addresses(agent, "kept.query.rollcall") == ["10.0.0.2"]
        assert dig(agent, "unheard-of.query.rollcall")[0] in ("SERVFAIL", "NXDOMAIN")
        time.sleep(0.2)
    server.start().ready()
    create(server, Name="new", Service=WEB)
    until(lambda: "10.0.0.2" in addresses(agent, "new.query.rollcall"), 90)
