"""Five nodes find each other, and every one of them answers for all."""
import json
import socket
import struct
import urllib.request

from hosts import until

from watch_dns import question, targets


def test_every_agent_sees_five_alive_members(hosts):
    for name in hosts.names:
        table = hosts.run(name, hosts.lab.programs_folder / "rollcall", "members").splitlines()
        assert [line.split()[0] for line in table[1:]] == sorted(hosts.names)
        assert all(" alive " in line for line in table[1:])


def test_srv_names_both_webapps_on_every_node(hosts):
    for name in hosts.names:
        until(lambda name=name: [line.split()[2:] for line in hosts.dig(name, "_todomvc._tcp.service.rollcall", "SRV")] == [
            ["8000", "web1.node.dc1.rollcall."], ["8000", "web2.node.dc1.rollcall."]], f"{name} names both with their port")
        for question in ("todomvc.service.rollcall", "todomvc.service.consul"):
            until(lambda name=name, question=question: hosts.dig(name, question, "A") == sorted(hosts.node(web).address for web in ("web1", "web2")),
                  f"{name} tells both addresses of {question}")


def test_the_primary_and_the_standby_are_found_by_what_they_are(hosts):
    roles = {node.name: hosts.lab.server(node).role() for node in hosts.lab.inventory.running("postgres")}
    for name, role in roles.items():
        address = [hosts.node(name).address]
        until(lambda role=role, address=address: hosts.dig("web2", f"{role}.postgres.service.rollcall", "A") == address,
              f"{name} is found as {role}")


def test_a_todo_written_through_web1_is_read_through_web2(hosts):
    status, text = hosts.todo_add("web1", "from one to the other")
    assert status == 201, text
    until(lambda: "from one to the other" in hosts.todo_titles("web2"), "web2 shows it")


def test_the_lab_is_reached_from_this_machine(hosts):
    ways = hosts.lab.ways_in()
    with urllib.request.urlopen(f"http://127.0.0.1:{ways['page and API']}/v1/catalog/services", timeout=30) as answer:
        assert "todomvc" in json.load(answer)
    with urllib.request.urlopen(f"http://127.0.0.1:{ways['page and API']}/ui/", timeout=30) as answer:
        assert b"rollcall" in answer.read()
    with urllib.request.urlopen(f"http://127.0.0.1:{ways['webapp']}/", timeout=30) as answer:
        assert b"<h1>todos</h1>" in answer.read()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        packet = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + question("_todomvc._tcp.service.rollcall")
        sock.sendto(packet, ("127.0.0.1", ways["DNS"]))
        assert targets(sock.recv(4096)) == ["web1", "web2"]


def test_a_registration_reaches_every_agent_and_so_does_its_end(hosts):
    service = {"Name": "printer", "Port": 9100, "Check": {"TTL": "60s", "Status": "passing"}}
    assert hosts.api("pg2", "/v1/agent/service/register", "PUT", service)[0] == 200
    until(lambda: hosts.everywhere("printer", ["pg2"]), "the printer is in every answer")

    assert hosts.api("pg2", "/v1/agent/check/fail/service:printer?note=paper", "PUT")[0] == 200
    until(lambda: hosts.everywhere("printer", []), "the failing printer has left every answer")
    seen = hosts.api_json("adm1", "/v1/health/checks/printer")
    assert [(check["Status"], check["Output"]) for check in seen] == [("critical", "paper")]

    assert hosts.api("pg2", "/v1/agent/service/deregister/printer", "PUT")[0] == 200
    until(lambda: "printer" not in hosts.api_json("web1", "/v1/catalog/services"), "nobody lists it any more")


def test_a_blocking_query_wakes_on_a_change_elsewhere(hosts):
    import subprocess
    status = hosts.run("adm1", "curl", "-s", "-D", "-", "-o", "/dev/null", "http://127.0.0.1:8500/v1/health/service/kettle")
    index = next(line.split()[1] for line in status.splitlines() if line.lower().startswith("x-consul-index"))
    waiting = subprocess.Popen(
        [*hosts.lab.network.enter(hosts.node("adm1")), "curl", "-s",
         f"http://127.0.0.1:8500/v1/health/service/kettle?index={index}&wait=30s"], stdout=subprocess.PIPE, text=True)
    assert hosts.api("web2", "/v1/agent/service/register", "PUT", {"Name": "kettle"})[0] == 200
    answer = json.loads(waiting.communicate(timeout=60)[0])
    assert [entry["Node"]["Node"] for entry in answer] == ["web2"]
    hosts.api("web2", "/v1/agent/service/deregister/kettle", "PUT")


def test_registrations_survive_kill_9_of_the_agent(hosts):
    import os
    import signal
    assert hosts.api("pg1", "/v1/agent/service/register", "PUT", {"Name": "archive", "Port": 1234})[0] == 200
    agent = hosts.lab.program(hosts.node("pg1"), "agent")
    os.kill(agent.pid(), signal.SIGKILL)
    until(lambda: agent.pid() is None, "the agent has died")
    hosts.lab.start(hosts.node("pg1"), "agent")
    until(hosts.all_alive, "pg1 is back")
    until(lambda: hosts.everywhere("archive", ["pg1"]), "its registration is back")
    assert hosts.api("pg1", "/v1/agent/service/deregister/archive", "PUT")[0] == 200
