"""The primary moves by itself, and every write goes to the one that is."""
import os
import signal
import subprocess
import time

import pytest

from hosts import until


@pytest.fixture
def pair(hosts):
    """(primary, standby), both names, of a cluster that may lose one."""
    database = hosts.lab.database
    until(database.is_whole, "the standby follows")
    primary = database.primary().node.name
    return primary, next(node.name for node in hosts.lab.inventory.running("postgres") if node.name != primary)


def _is_primary(hosts, name):
    server = hosts.lab.database.primary()
    return server is not None and server.node.name == name


def _psql(hosts, port, **options):
    return [*hosts.lab.network.enter(hosts.node("web1")), "psql", "-XAtq", f"host=127.0.0.1 port={port} user=todomvc dbname=todomvc"], {
        "text": True, "env": {"PGPASSWORD": hosts.lab.secrets.database, "PATH": "/usr/bin:/bin"}, **options}


def _todo(hosts, title):
    """Whether the webapp can write one, through web1."""
    status, text = hosts.todo_add("web1", title)
    assert status == 201, (status, text)


def _titles(hosts, title):
    return hosts.lab.database.primary().sql(f"SELECT count(*) FROM todos_todo WHERE title = '{title}'", database="todomvc")


def test_an_operators_stop_moves_the_primary_and_stays(hosts, pair):
    primary, standby = pair
    hosts.lab.stop(hosts.node(primary), "postgres")
    _todo(hosts, "after the stop")
    until(lambda: _is_primary(hosts, standby), "the standby is primary")
    until(lambda: hosts.dig("adm1", "primary.postgres.service.rollcall", "A") == [hosts.node(standby).address], "DNS names it")
    time.sleep(3)
    assert hosts.lab.server(hosts.node(primary)).pid() is None, "what an operator stopped stays stopped"
    hosts.lab.start(hosts.node(primary), "postgres")
    until(lambda: hosts.lab.server(hosts.node(primary)).role() == "standby", "the old primary follows the new one")
    assert _titles(hosts, "after the stop") == "1"


def test_a_write_waits_while_the_primary_dies_and_lands_on_the_new_one(hosts, pair):
    primary, standby = pair
    os.kill(hosts.lab.server(hosts.node(primary)).pid(), signal.SIGKILL)
    _todo(hosts, "patience")
    until(lambda: _is_primary(hosts, standby), "the standby is primary")
    assert _titles(hosts, "patience") == "1"


def test_a_lost_node_is_replaced_and_comes_back_as_the_standby(hosts, pair):
    primary, standby = pair
    hosts.lab.kill(hosts.node(primary))
    _todo(hosts, "without power")
    until(lambda: _is_primary(hosts, standby), "the standby is primary")
    hosts.lab.start_node(hosts.node(primary))
    until(hosts.lab.database.is_whole, "the old one follows", seconds=120)
    assert hosts.lab.server(hosts.node(primary)).role() == "standby"
    assert _titles(hosts, "without power") == "1"


def test_a_session_never_outlives_its_primary(hosts, pair):
    primary, standby = pair
    words, options = _psql(hosts, 5432)
    session = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    session.stdin.write("SELECT 'in ' || inet_server_addr();\n")
    session.stdin.flush()
    assert hosts.node(primary).address in session.stdout.readline()
    print(hosts.run("adm1", hosts.lab.programs_folder / "rollcall", "pg", "switchover", "-to", standby))
    out, _ = session.communicate("INSERT INTO todos_todo (title, completed, created) VALUES ('ghost', false, now());\n", timeout=60)
    assert "server closed the connection" in out or "terminating connection" in out, out
    assert _titles(hosts, "ghost") == "0"


def test_an_agent_that_is_restarted_does_not_touch_its_server(hosts, pair):
    primary, _ = pair
    before = hosts.lab.server(hosts.node(primary)).pid()
    agent = hosts.lab.program(hosts.node(primary), "agent")
    os.kill(agent.pid(), signal.SIGKILL)
    until(lambda: agent.pid() is None, "the agent is dead")
    hosts.lab.start(hosts.node(primary), "agent")
    time.sleep(4)
    until(lambda: _is_primary(hosts, primary), "it is primary still")
    assert hosts.lab.server(hosts.node(primary)).pid() == before
    _todo(hosts, "all the same")


def test_the_standby_entry_reaches_a_server_that_only_reads(hosts, pair):
    _, standby = pair
    until(lambda: hosts.dig("web1", "standby.postgres.service.rollcall", "A") == [hosts.node(standby).address], "it is found")
    words, options = _psql(hosts, 5433)
    until(lambda: subprocess.run([*words, "-c", "SELECT pg_is_in_recovery()"], capture_output=True, check=False, timeout=30,
                                 **options).stdout.strip() == "t", "it only reads")


def test_people_see_who_is_primary_and_why(hosts, pair):
    primary, standby = pair
    rollcall = hosts.lab.programs_folder / "rollcall"
    status = hosts.run("web2", rollcall, "pg", "status")
    assert f"Primary  {primary}," in status and f"sync: 1 of ({standby}) must confirm every write" in status, status
    assert primary in hosts.run("web2", rollcall, "pg", "history").splitlines()[-1]
    refused = subprocess.run([*hosts.lab.network.enter(hosts.node("web2")), rollcall, "pg", "switchover", "-to", primary],
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and f"{primary} is the primary already" in refused.stderr
