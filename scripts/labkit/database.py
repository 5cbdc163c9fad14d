"""The PostgreSQL pair: a primary and a streaming standby, with Debian's programs.

Promotion is by hand (`scripts/lab promote NODE`). A server that was primary and comes back while
another one is primary is cloned anew from that one, so that there are never two.
"""
import os
import shutil
import subprocess
from pathlib import Path

from . import configuration
from .programs import until

USER = "postgres"


def binaries():
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[4]))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed: run scripts/install-deps lab")
    return found[-1].parent


class Server:
    """PostgreSQL on one node; `enter` is the command prefix into its namespace."""

    def __init__(self, lab, node):
        self.lab = lab
        self.node = node
        self.data = lab.folder(node) / "postgres"
        self.log = lab.folder(node) / "log" / "postgres.log"

    def _run(self, *command, **options):
        prefix = [*self.lab.network.enter(self.node), "setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
        return subprocess.run([*prefix, *map(str, command)], check=True, capture_output=True, text=True,
                              cwd="/", **options)

    def _control(self, *words, **options):
        # The log of the server must not be our pipe: pg_ctl would hold it open for ever.
        return self._run(binaries() / "pg_ctl", "-D", self.data, *words, **options)

    def sql(self, text, user="postgres", database="postgres", password=None):
        """Asks this server directly, not through a proxy."""
        environment = {**os.environ, "PGPASSWORD": password or self.lab.secrets.database, "PGCONNECT_TIMEOUT": "3"}
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.node.address, "-U", user, database,
                         input=text, env=environment).stdout.strip()

    def pid(self):
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        # The file survives a kill, and its number may by now be somebody else's.
        try:
            return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "postgres" else None
        except OSError:
            return None

    def role(self):
        """primary, standby, or None when it does not answer."""
        if self.pid() is None:
            return None
        try:
            answer = self.sql("SELECT pg_is_in_recovery()", user="rollcall_probe")
        except subprocess.CalledProcessError:
            return None
        return "standby" if answer == "t" else "primary"

    def _make_folder(self):
        self.data.mkdir(mode=0o700)
        shutil.chown(self.data, USER, USER)

    def _initialize(self):
        self._make_folder()
        secret = self.lab.secrets.database
        password_file = self.lab.folder(self.node) / "password"
        password_file.write_text(secret)
        password_file.chmod(0o600)
        shutil.chown(password_file, USER, USER)
        self._run(binaries() / "initdb", "-D", self.data, "-A", "scram-sha-256", "--pwfile", password_file,
                  "-E", "UTF8", "--locale", "C.UTF-8", "--data-checksums")
        password_file.unlink()
        self._configure()
        self._start()
        self.sql(f"""
            CREATE ROLE rollcall_probe LOGIN;
            CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{secret}';
            CREATE ROLE todomvc LOGIN PASSWORD '{secret}';
            CREATE DATABASE todomvc OWNER todomvc;
        """)

    def _configure(self):
        own = self.data / "conf.d"
        own.mkdir(exist_ok=True)
        (own / "lab.conf").write_text(configuration.postgres(self.node))
        main = self.data / "postgresql.conf"
        if "include_dir = 'conf.d'" not in main.read_text():
            with open(main, "a", encoding="utf-8") as file:
                file.write("include_dir = 'conf.d'\n")
        (self.data / "pg_hba.conf").write_text(configuration.postgres_access(self.lab.inventory))
        for path in (own, own / "lab.conf"):
            shutil.chown(path, USER, USER)

    def clone(self, primary):
        """Becomes a standby of `primary`, from nothing."""
        self.stop()
        if self.data.exists():
            shutil.rmtree(self.data)
        self._make_folder()
        environment = {**os.environ, "PGPASSWORD": self.lab.secrets.database}
        self._run(binaries() / "pg_basebackup", "-D", self.data, "-h", primary.node.address, "-U", "replicator",
                  "-X", "stream", "-c", "fast", "-R", env=environment)
        self._configure()

    def _start(self):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        shutil.chown(self.log, USER, USER)
        self._control("start", "-w", "-t", "30", "-l", self.log)

    def start(self, others):
        """Starts as what it should be: the first ever primary, or a standby of whoever is primary."""
        if self.pid() is not None:
            return
        primary = next((server for server in others if server.role() == "primary"), None)
        if not self.data.exists():
            if primary is None:
                self._initialize()
                return
            self.clone(primary)
        elif primary is not None and not (self.data / "standby.signal").exists():
            print(f"{self.node.name}: was primary once, {primary.node.name} is now; cloning from it")
            self.clone(primary)
        self._start()

    def stop(self):
        if self.pid() is not None:
            self._control("stop", "-m", "fast", "-w", "-t", "30")

    def promote(self):
        self._control("promote", "-w", "-t", "30")
        until(lambda: self.role() == "primary", f"{self.node.name} is primary")
