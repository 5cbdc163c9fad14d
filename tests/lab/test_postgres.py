"""The primary moves, and every write goes to the one that is."""
import subprocess
import threading
import time

from hosts import until


def _roles(hosts):
    servers = {node.name: hosts.lab.server(node) for node in hosts.lab.inventory.running("postgres")}
    until(lambda: sorted(str(server.role()) for server in servers.values()) == ["primary", "standby"], "one of each kind")
    primary = next(name for name, server in servers.items() if server.role() == "primary")
    standby = next(name for name in servers if name != primary)
    until(lambda: servers[primary].sql("SELECT count(*) FROM pg_stat_replication", database="postgres") == "1",
          "the standby follows")
    return servers, primary, standby


def test_a_write_waits_for_the_promotion_and_lands_on_the_new_primary(hosts):
    servers, primary, standby = _roles(hosts)
    hosts.lab.stop(hosts.node(primary), "postgres")
    until(lambda: hosts.dig("web1", "primary.postgres.service.rollcall", "A") == [], "there is no primary")

    answers = []
    writer = threading.Thread(target=lambda: answers.append(hosts.todo_add("web1", "patience")))
    writer.start()
    time.sleep(1)
    assert answers == [], "the write must wait while there is no primary"
    servers[standby].promote()
    writer.join(timeout=60)
    assert answers and answers[0][0] == 201, answers
    assert servers[standby].sql("SELECT count(*) FROM todos_todo WHERE title = 'patience'", database="todomvc") == "1"
    until(lambda: hosts.dig("adm1", "primary.postgres.service.rollcall", "A") == [hosts.node(standby).address],
          "DNS names the new primary")

    hosts.lab.start(hosts.node(primary), "postgres")
    until(lambda: servers[primary].role() == "standby", "the old primary follows the new one")


def test_a_session_never_outlives_its_primary(hosts):
    servers, primary, standby = _roles(hosts)
    session = subprocess.Popen(
        [*hosts.lab.network.enter(hosts.node("web1")), "psql", "-XAtq", "host=127.0.0.1 port=5432 user=todomvc dbname=todomvc"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PGPASSWORD": hosts.lab.secrets.database, "PATH": "/usr/bin:/bin"})
    session.stdin.write("SELECT 'in ' || inet_server_addr();\n")
    session.stdin.flush()
    assert hosts.node(primary).address in session.stdout.readline()

    hosts.lab.stop(hosts.node(primary), "postgres")
    servers[standby].promote()
    out, _ = session.communicate("INSERT INTO todos_todo (title, completed, created) VALUES ('ghost', false, now());\n", timeout=60)
    assert "server closed the connection" in out or "terminating connection" in out, out

    hosts.lab.start(hosts.node(primary), "postgres")
    until(lambda: servers[primary].role() == "standby", "the old primary follows the new one")
    assert servers[standby].sql("SELECT count(*) FROM todos_todo WHERE title = 'ghost'", database="todomvc") == "0"


def test_the_standby_entry_reaches_a_server_that_only_reads(hosts):
    _, _, standby = _roles(hosts)
    until(lambda: hosts.dig("web1", "standby.postgres.service.rollcall", "A") == [hosts.node(standby).address], "it is found")
    done = subprocess.run(
        [*hosts.lab.network.enter(hosts.node("web1")), "psql", "-XAtq", "host=127.0.0.1 port=5433 user=todomvc dbname=todomvc",
         "-c", "SELECT pg_is_in_recovery()"], capture_output=True, text=True, check=False, timeout=30,
        env={"PGPASSWORD": hosts.lab.secrets.database, "PATH": "/usr/bin:/bin"})
    assert done.stdout.strip() == "t", done.stderr
