#!/usr/bin/python3
"""What the units' sandboxes must let through: PostgreSQL under the warden, units that the agent restarts, templates."""
import json
import re

import pytest

from repository import PACKAGES, built, install, publish

AGENT = """
data_dir  = "/var/lib/rollcall"
bind_addr = "127.0.0.1"
server    = true
bootstrap_expect = 1
enable_local_script_checks = true
"""
POSTGRES = """
postgres {
  cluster    = "main"
  address    = "127.0.0.1"
  data_dir   = "/var/lib/postgresql/rollcall/main"
  bin_dir    = "/usr/lib/postgresql/15/bin"
  hba_file   = "/var/lib/postgresql/rollcall/pg_hba.conf"
  socket_dir = "/var/lib/postgresql/rollcall"
  mode       = "async"
  initialize = true
  start_warden = false
}
"""
HEALED = """
service {
  name = "sleeper"
  port = 9
  check {
    args     = ["/bin/sh", "-c", "test -e /var/lib/sleeper/well || exit 2"]
    interval = "1s"
    restart { unit = "sleeper" after = 2 }
  }
  check { systemd = "sleeper" interval = "1s" }
}
"""
SLEEPER = "[Service]\nStateDirectory=sleeper\nExecStart=/bin/sh -c 'touch /var/lib/sleeper/well; exec sleep infinity'\n"
COMPILED = "set jit = on; set jit_above_cost = 0; explain analyze select sum(i * 2) from generate_series(1, 1000) i where i % 3 = 1"


TEMPLATE = """
template {
  source      = "/etc/rollcall/template/web.tmpl"
  destination = "/etc/web.conf"
  check       = ["grep", "-q", "^server", "/etc/rollcall/template/web.tmpl"]
  reload      = ["systemctl", "restart", "bystander"]
}
"""
TEXT = 'server {{range service "web"}}{{.Address}}:{{.Port}} {{end}}\n'


@pytest.fixture(scope="module")
def node(machine):
    """With an agent that keeps a store."""
    install(machine, *PACKAGES)
    (machine.root / "etc/rollcall/rollcall.hcl").write_text(AGENT)
    machine.run("systemctl", "restart", "rollcall")
    return machine


def sql(machine, text):
    return machine.run("psql", "-h", "127.0.0.1", "-U", "postgres", "-At", "-c", text).stdout.strip()


def test_agent_restarts_the_unit_it_may_and_no_other(node):
    for name in ("sleeper", "bystander"):
        (node.root / f"etc/systemd/system/{name}.service").write_text(SLEEPER.replace("sleeper", name))
    rules = node.root / "usr/share/doc/rollcall/examples/50-rollcall.rules"
    (node.root / "etc/polkit-1/rules.d/50-rollcall.rules").write_text(rules.read_text().replace("todomvc.service", "sleeper.service"))
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "start", "sleeper", "bystander")
    node.run("systemctl", "restart", "polkit")
    (node.root / "etc/rollcall/sleeper.hcl").write_text(HEALED)
    node.run("systemctl", "reload", "rollcall")
    former = node.show("sleeper", "MainPID")

    def status():
        return {check["Type"]: check["Status"] for check in json.loads(node.get(8500, "/v1/agent/checks")).values()}
    node.until(lambda: status() == {"script": "passing", "systemd": "passing"}, status)
    (node.root / "var/lib/sleeper/well").unlink()
    node.until(lambda: node.show("sleeper", "MainPID") not in (former, "0"), lambda: node.journal("rollcall"))
    node.until(lambda: status() == {"script": "passing", "systemd": "passing"})
    refused = node.run("setpriv", "--reuid=rollcall", "--regid=rollcall", "--clear-groups", "systemctl", "--no-ask-password", "restart", "bystander",
                       check=False)
    assert refused.returncode != 0


def test_templates_write_files_of_root_and_restart_units(node):
    (node.root / "etc/rollcall/template/web.hcl").write_text(TEMPLATE)
    (node.root / "etc/rollcall/template/web.tmpl").write_text(TEXT)
    former = node.show("bystander", "MainPID")
    node.run("systemctl", "start", "rollcall-template@web")
    node.run("rollcall", "services", "register", "-name", "web", "-address", "192.0.2.7", "-port", "80")
    node.until(lambda: (node.root / "etc/web.conf").read_text() == "server 192.0.2.7:80 \n", lambda: node.journal("rollcall-template@web"))
    node.until(lambda: node.show("bystander", "MainPID") not in (former, "0"), lambda: node.journal("rollcall-template@web"))
    judged = node.run("systemd-analyze", "security", "--no-pager", "rollcall-template@web", check=False).stdout
    assert float(re.search(r"Overall exposure level for .*: ([0-9.]+)", judged).group(1)) <= 2.5, judged


def test_postgresql_runs_under_the_warden_and_compiles_queries(node):
    folder = node.root / "var/lib/postgresql/rollcall"
    node.run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", "/var/lib/postgresql/rollcall")
    (folder / "pg_hba.conf").write_text("local all rollcall trust\nlocal all all peer\nhost all all 127.0.0.1/32 trust\n")
    node.run("chown", "postgres:postgres", "/var/lib/postgresql/rollcall/pg_hba.conf")
    (node.root / "etc/rollcall/postgres.hcl").write_text(POSTGRES)
    node.run("install", "-D", "-m", "0644", "/usr/share/doc/rollcall/examples/rollcall-postgres.conf",
             "/etc/systemd/system/rollcall.service.d/postgres.conf")
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "restart", "rollcall")
    node.until(lambda: node.run("psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "create table if not exists t (i int)", check=False).returncode == 0,
               lambda: node.journal("rollcall") + node.journal("rollcall-warden@main"))
    assert "JIT:" in sql(node, COMPILED)
    # Who is at the socket is still known, which it would not be in a user namespace.
    assert node.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "psql", "-h", "/var/lib/postgresql/rollcall", "-At", "-c",
                    "select current_user").stdout == "postgres\n"
    for unit in ("rollcall", "rollcall-warden@main"):
        judged = node.run("systemd-analyze", "security", "--no-pager", unit, check=False).stdout
        assert float(re.search(r"Overall exposure level for .*: ([0-9.]+)", judged).group(1)) <= 2.5, judged


def test_an_upgrade_of_the_agent_leaves_postgresql_alone(node, shared):
    started = sql(node, "select pg_postmaster_start_time()")
    agent, warden = node.show("rollcall", "MainPID"), node.show("rollcall-warden@main", "MainPID")
    publish(shared, *built().values())
    install(node, *PACKAGES)
    assert node.show("rollcall", "MainPID") != agent
    assert node.show("rollcall-warden@main", "MainPID") == warden
    node.until(lambda: node.run("psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "insert into t values (1)", check=False).returncode == 0)
    node.until(lambda: "main" in node.run("rollcall", "pg", "status").stdout)
    assert sql(node, "select pg_postmaster_start_time()") == started


def test_purged_packages_end_postgresql_and_keep_its_data(node):
    node.run("apt-get", "purge", "-q", "-y", *PACKAGES)
    assert node.run("pgrep", "-x", "postgres", check=False).stdout == ""
    assert (node.root / "var/lib/postgresql/rollcall/main/PG_VERSION").exists()
    assert not (node.root / "var/lib/rollcall").exists()
