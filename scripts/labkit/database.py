"""The PostgreSQL pair: each server is made, started and repaired by the keeper in the agent beside it.

Who is primary is the keepers' business; here is only what the lab gives them (folders, rules of access, roles) and what it
asks of them (`rollcall pg`).
"""
import json
import os
import shutil
import subprocess
from pathlib import Path

from . import configuration
from .programs import alive, until

USER = "postgres"
SQL_SECONDS = 60  # after which a statement has hung


def binaries():
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[4]))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed: run scripts/install-deps lab")
    return found[-1].parent


class Server:
    """PostgreSQL on one node."""

    def __init__(self, lab, node):
        self.lab = lab
        self.node = node
        self.folder = lab.folder(node) / "postgres"
        self.data = self.folder / "main"

    def prepare(self):
        """The folder that the keeper works in: its rules of access, and the password of those who need one."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "pg_hba.conf").write_text(configuration.postgres_access(self.lab.inventory))
        (self.folder / "password").write_text(self.lab.secrets.database)
        for place in (self.folder, self.folder / "pg_hba.conf", self.folder / "password"):
            place.chmod(0o700 if place.is_dir() else 0o600)
            shutil.chown(place, USER, USER)

    def sql(self, text, user="postgres", database="postgres", password=None):
        """Asks this server directly, not through a proxy."""
        environment = {**os.environ, "PGPASSWORD": password or self.lab.secrets.database, "PGCONNECT_TIMEOUT": "3",
                       "PGOPTIONS": f"-c statement_timeout={SQL_SECONDS}s"}
        words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.node.address, "-U", user, database]
        return subprocess.run([*self.lab.network.enter(self.node), *words], input=text, env=environment, check=True,
                              capture_output=True, text=True, cwd="/", timeout=2 * SQL_SECONDS).stdout.strip()

    def sql_as_owner(self, text, database="postgres"):
        """The same as the superuser, who may log in from the server's own host alone."""
        words = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run([*self.lab.network.enter(self.node), *words, "-h", str(self.folder), database], input=text, check=True,
                              capture_output=True, text=True, cwd="/", timeout=2 * SQL_SECONDS).stdout.strip()

    def pid(self):
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        # The file survives a kill, and its number may by now be somebody else's.
        try:
            return pid if alive(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres" else None
        except OSError:
            return None

    def role(self):
        """primary, standby, or None when it does not answer."""
        if self.pid() is None:
            return None
        try:
            answer = self.sql("SELECT pg_is_in_recovery()", user="rollcall_probe")
        except subprocess.SubprocessError:
            return None
        return "standby" if answer == "t" else "primary"

    def member(self):
        """What its keeper says of it, and what it was ordered; None while there is none."""
        view = self.lab.cluster()
        return next((member for member in view["Members"] if member["Node"] == self.node.name), None) if view else None

    def start(self):
        """Takes back an operator's stop; all else the keeper does by itself."""
        member = until(self.member, f"{self.node.name}'s keeper is there")
        if member["State"] in ("stopped", "fenced"):
            self.lab.ask(self.node, "pg", "start" if member["State"] == "stopped" else "unfence", self.node.name)
        until(lambda: self.pid() is not None, f"PostgreSQL runs on {self.node.name}")

    def stop(self):
        """An operator's stop: the keeper hands the primary over first, and leaves it stopped."""
        self.lab.ask(self.node, "pg", "stop", self.node.name)
        until(lambda: self.pid() is None, f"PostgreSQL has stopped on {self.node.name}")


class Database:
    """The pair as a whole."""

    def __init__(self, lab):
        self.lab = lab

    def primary(self):
        """The server that may be written, or None."""
        view = self.lab.cluster()
        primary = view["Primary"] if view else None
        return self.lab.server(self.lab.inventory.node(primary["Node"])) if primary and primary["Writable"] else None

    def is_whole(self):
        """The standby follows, and may take over without a loss."""
        view = self.lab.cluster()
        return bool(view and view["Primary"] and view["Primary"]["Writable"] and not view["Intent"] and view["Sync"]
                    and view["Sync"]["Names"] and view["Sync"]["Quorum"] > 0)

    def make_roles(self):
        """Once: who may log in, and the webapp's database."""
        primary = until(self.primary, "a first primary")
        if primary.sql_as_owner("SELECT 1 FROM pg_database WHERE datname = 'todomvc'") == "1":
            return
        primary.sql_as_owner(configuration.postgres_roles(self.lab.secrets))

    def promote(self, node):
        """Moves the primary: with the old one's help while there is one, else without."""
        kind = "switchover" if self.primary() else "failover"
        return self.lab.ask(node, "pg", kind, "-to", node.name)


def read_cluster(network, node):
    """The cluster as the agent of a node shows it; None while it does not."""
    done = subprocess.run([*network.enter(node), "curl", "-s", "-f", "-m", "5", f"http://127.0.0.1:8500/v1/postgres/{configuration.CLUSTER}"],
                          capture_output=True, text=True, check=False, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else None
