"""The lab as a whole: its folder, its secrets, its hosts and what runs on them."""
import base64
import json
import os
import secrets as random_secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from . import certificates, configuration, inventory
from .database import Database, Server, binaries, read_cluster
from .network import Network, kill_all
from .programs import Program, until

HOME = Path("/var/lib/rollcall-lab")
APP = inventory.ROOT / "vagrant" / "todomvc"
STORES = ("etcd", "sqlite")
COMMAND_SECONDS = 120  # after which a command on a host has hung
SERVICES = ("etcd", "agent", "postgres", "redis", "todomvc", "proxy")  # the order in which a node's services start
UNPRIVILEGED = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
# What can be reached from this machine: name, node, protocol, port on the node, first port tried here.
WAYS_IN = (
    ("page and API", "adm1", ("tcp",), 8500, 8500),
    ("DNS", "adm1", ("tcp", "udp"), 8600, 8600),
    ("webapp", "web1", ("tcp",), 80, 8080),
)


class LabError(Exception):
    """Something the user should read, without a stack trace."""


class Lab:
    def __init__(self, name, build="release", store=None):
        self.name = name
        self.build = inventory.ROOT / "build" / build
        self.home = HOME / name
        self.store = self._choose_store(store)
        self.inventory = inventory.load() if self.store == "etcd" else inventory.load().without("etcd")
        self.network = Network(name, self.inventory)
        self.programs_folder = self.home / "bin"
        self._secrets = None

    def _choose_store(self, wanted):
        """What keeps the store: as asked for, else as it is, else etcd."""
        file = self.home / "store"
        there = file.read_text() if file.exists() else None
        if wanted not in (None, *STORES):
            raise LabError(f"no store '{wanted}'; there are {', '.join(STORES)}")
        if wanted and there and wanted != there:
            raise LabError(f"the lab is up with {there}: `scripts/lab down` first")
        return wanted or there or STORES[0]

    # -- places ---------------------------------------------------------------------------------

    def folder(self, node):
        return self.home / node.name

    def webapp_folder(self, node):
        """Where versions of the webapp are: releases/VERSION, and the link `current` to the one that runs (scripts/deploy)."""
        return self.folder(node) / "todomvc"

    @property
    def secrets(self):
        """Made once, kept for root's eyes only."""
        if self._secrets is None:
            file = self.home / "secrets.json"
            if not file.exists():
                made = configuration.Secrets(
                    base64.b64encode(os.urandom(32)).decode(),
                    random_secrets.token_urlsafe(24), random_secrets.token_urlsafe(48), random_secrets.token_urlsafe(24))
                file.touch(mode=0o600)
                file.write_text(json.dumps(vars(made)))
            self._secrets = configuration.Secrets(**json.loads(file.read_text()))
        return self._secrets

    def _install(self):
        """Copies the programs to where the services' users may read them."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "store").write_text(self.store)
        self.programs_folder.mkdir(exist_ok=True)
        for name in ("rollcall", "rollcall-proxy"):
            built = self.build / name
            if not built.exists():
                raise LabError(f"{built} is not there: run `make` first")
            # A new file, then a rename: a running program's file cannot be written.
            fresh = self.programs_folder / f"{name}.new"
            shutil.copy2(built, fresh)
            fresh.replace(self.programs_folder / name)

    def _install_webapp(self, node):
        """The version that the sources hold is the first; what was deployed since stays."""
        folder = self.webapp_folder(node)
        shutil.copytree(APP, folder / "releases" / "first", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        if not (folder / "current").exists():
            (folder / "current").symlink_to("releases/first")

    def _configure(self, node):
        folder = self.folder(node)
        for place in (folder, folder / "config", folder / "log", folder / "data"):
            place.mkdir(exist_ok=True)
        for place in (folder / "log", folder / "data"):
            place.chmod(0o777 if place.name == "log" else 0o700)
        user, group = self._owner(node)
        shutil.chown(folder / "data", user, group)
        if "postgres" in node.runs:
            self.server(node).prepare()
        places = self._places(node)
        if "etcd" in node.runs or "proxy" in node.runs:
            self._certify(node)
        if "todomvc" in node.runs:
            self._install_webapp(node)
        configuration.write(self.inventory, node, self.secrets, places, folder / "config")
        for secret in ("agent.hcl", "proxy.conf", "redis.conf", "redis.password"):
            if (folder / "config" / secret).exists():
                shutil.chown(folder / "config" / secret, "root", "nogroup")

    def _places(self, node):
        folder = self.folder(node)
        programs = str(binaries()) if "postgres" in node.runs else ""
        return configuration.Places(str(folder / "data"), str(folder / "log"), str(folder / "tls"), str(folder / "etcd"),
                                    str(folder / "postgres"), programs, redis_password=str(folder / "config" / "redis.password"))

    @staticmethod
    def _owner(node):
        """Whom the agent runs as: the one that keeps a server of PostgreSQL as the server itself."""
        return ("postgres", "postgres") if "postgres" in node.runs else ("nobody", "nogroup")

    def _certify(self, node):
        """Certificates, and a folder for the data of etcd."""
        folder = self.folder(node)
        certificates.make_authority(self.home / "authority")
        certificates.give(self.home / "authority", self.inventory, node, folder / "tls")
        shutil.chown(folder / "tls" / "node.key", "root", "nogroup")
        (folder / "etcd").mkdir(exist_ok=True)
        (folder / "etcd").chmod(0o700)
        shutil.chown(folder / "etcd", "nobody", "nogroup")

    # -- services -------------------------------------------------------------------------------

    def program(self, node, service):
        folder = self.folder(node)
        return Program(f"{service} on {node.name}", folder / f"{service}.pid", folder / "log" / f"{service}.log")

    def server(self, node):
        return Server(self, node)

    def _command(self, node, service):
        folder = self.folder(node)
        enter = [*self.network.enter(node), *UNPRIVILEGED]
        if service == "agent":
            user, group = self._owner(node)
            enter = [*self.network.enter(node), "setpriv", "--reuid", user, "--regid", group, "--groups", "nogroup"]
            return [*enter, str(self.programs_folder / "rollcall"), "agent", f"-config-dir={folder / 'config'}"]
        if service == "etcd":
            return [*enter, "/usr/bin/etcd"]
        if service == "redis":
            return [*enter, "/usr/bin/redis-server", str(folder / "config" / "redis.conf"), "--save", "", "--dir", "/tmp"]
        if service == "proxy":
            return [*enter, str(self.programs_folder / "rollcall-proxy"), "-config", str(folder / "config" / "proxy.conf")]
        if service == "todomvc":
            return [*enter, "/usr/bin/gunicorn", "--chdir", str(self.webapp_folder(node) / "current"), "--workers", "2",
                    "--threads", "4", "--keep-alive", "30", "--graceful-timeout", "5",
                    "--bind", configuration.webapp_bind(node), "todomvc.wsgi"]
        raise LabError(f"no service '{service}'; there are {', '.join(SERVICES)}")

    def _expect_service(self, node, service):
        if service not in node.runs:
            raise LabError(f"{node.name} does not run '{service}'; it runs {', '.join(node.runs)}")

    def start(self, node, service):
        self._expect_service(node, service)
        if service == "postgres":
            self.server(node).start()
            return
        environment = {}
        if service == "etcd":
            environment = configuration.etcd(self.inventory, node, self._places(node))
        if service == "todomvc":
            environment = {**configuration.webapp_environment(node, self.secrets), "PYTHONDONTWRITEBYTECODE": "1"}
        self.program(node, service).start(self._command(node, service), environment)

    def stop(self, node, service):
        self._expect_service(node, service)
        if service == "postgres":
            self.server(node).stop()
        else:
            self.program(node, service).stop()

    def is_up(self, node, service):
        if service == "postgres":
            return self.server(node).pid() is not None
        return self.program(node, service).pid() is not None

    def cluster(self):
        """The PostgreSQL cluster as any agent that answers shows it, or None."""
        views = (read_cluster(self.network, node) for node in self.inventory.nodes if self.is_up(node, "agent"))
        return next((view for view in views if view), None)

    @property
    def database(self):
        return Database(self)

    # -- hosts ----------------------------------------------------------------------------------

    def kill(self, node):
        """As if the power had gone: the cable first, so that nothing says good-bye."""
        self.network.cut(node)
        kill_all(self._processes(node))
        until(lambda: not self._processes(node), f"all of {node.name} has ended")

    def _processes(self, node):
        """All processes on a host, but the one that carries this machine's connections there."""
        way_in = self._way_in(node.name).pid()
        return [pid for pid in self.network.processes(node) if pid != way_in]

    def start_node(self, node):
        self.network.heal(node)
        for service in SERVICES:
            if service in node.runs:
                self.start(node, service)

    def ask(self, node, *words, check=True):
        """Runs the rollcall command line on a node and returns what it printed."""
        command = [*self.network.enter(node), str(self.programs_folder / "rollcall"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
        if check and done.returncode != 0:
            raise LabError(f"rollcall {' '.join(words)} on {node.name}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def alive_members(self, node):
        """How many members this node's agent sees alive; 0 while it does not answer."""
        lines = self.ask(node, "members", check=False).splitlines()[1:]
        return sum(" alive " in f" {' '.join(line.split())} " for line in lines)

    # -- the whole ------------------------------------------------------------------------------

    def up(self):
        self._install()
        self.network.up()
        for node in self.inventory.nodes:
            self._configure(node)
        for service in SERVICES:
            for node in self.inventory.running(service):
                if service in ("agent", "etcd", "redis", "proxy"):
                    self.start(node, service)
        self._wait_for_members()
        self._wait_for_store()
        self.database.make_roles()
        for node in self.inventory.running("postgres"):
            self.start(node, "postgres")
        self._migrate()
        for node in self.inventory.running("todomvc"):
            self.start(node, "todomvc")
        self._wait_for_webapp()
        self._forward()

    def _wait_for_members(self):
        nodes = self.inventory.nodes
        try:
            until(lambda: all(self.alive_members(node) == len(nodes) for node in nodes),
                  "every agent sees every other")
        except TimeoutError as error:
            words = "\n".join(f"{node.name}: {self.program(node, 'agent').last_words(3)}" for node in nodes)
            raise LabError(f"{error}; the agents' last words:\n{words}") from error

    def store_answers(self, node):
        """Whether this node's agent answers from the store, or gets an answer from one that has it."""
        done = subprocess.run(
            [*self.network.enter(node), "curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}",
             "http://127.0.0.1:8500/v1/kv/?keys"], capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
        return done.stdout in ("200", "404")

    def _wait_for_store(self):
        until(lambda: all(self.store_answers(node) for node in self.inventory.nodes), "the store answers on every node")

    def _migrate(self):
        """Makes the webapp's tables, through the proxy: the first write of the lab."""
        node = self.inventory.running("todomvc")[0]
        environment = {**os.environ, **configuration.webapp_environment(node, self.secrets),
                       "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*self.network.enter(node), *UNPRIVILEGED, "/usr/bin/python3", "-W", "ignore",
             str(self.webapp_folder(node) / "current" / "manage.py"), "migrate", "-v", "0"],
            env=environment, capture_output=True, text=True, cwd="/", check=False, timeout=COMMAND_SECONDS)
        if done.returncode != 0:
            raise LabError(f"the webapp's tables could not be made:\n{done.stderr[-1500:]}")

    def _wait_for_webapp(self):
        def answers(node):
            done = subprocess.run(
                [*self.network.enter(node), "/usr/bin/python3", "-c",
                 "import urllib.request as u; u.urlopen('http://127.0.0.1/api/todos', timeout=5).read()"],
                capture_output=True, check=False, timeout=COMMAND_SECONDS)
            return done.returncode == 0
        for node in self.inventory.running("proxy"):
            until(lambda: answers(node), f"the webapp answers through {node.name}")

    def _way_in(self, name):
        """The program that carries connections from this machine to a host."""
        return Program(f"ways into {name}", self.home / f"forward-{name}.pid", self.home / f"forward-{name}.log")

    def _forward(self):
        """Opens the ways in from this machine; a taken port gives way to the next free one."""
        used = {}
        for what, name, protocols, port, first in WAYS_IN:
            used[what] = (name, protocols, port, first)
        file = self.home / "ways.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        for name in sorted({way[1] for way in WAYS_IN}):
            program = self._way_in(name)
            if program.pid() is not None:
                continue
            words = []
            for what, (node, protocols, port, first) in used.items():
                if node != name:
                    continue
                known[what] = _free_port(first, protocols)
                for protocol in protocols:
                    words += [protocol, str(known[what]), "127.0.0.1", str(port)]
            namespace = self.network.namespace(self.inventory.node(name))
            program.start([sys.executable, "-B", str(Path(__file__).parent / "forward.py"), namespace, *words])
        file.write_text(json.dumps(known))

    def ways_in(self):
        """Name and local port of each way in; empty while the lab is down."""
        file = self.home / "ways.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def down(self):
        """Ends everything and removes every trace, the data included."""
        for name in {way[1] for way in WAYS_IN}:
            self._way_in(name).stop()
        self.network.down()
        shutil.rmtree(self.home, ignore_errors=True)
        if HOME.is_dir() and not any(HOME.iterdir()):
            HOME.rmdir()


def _free_port(first, protocols):
    for port in range(first, first + 100):
        try:
            for protocol in protocols:
                kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if protocol == "tcp" else 0)
                    probe.bind(("127.0.0.1", port))
            return port
        except OSError:
            continue
    raise LabError(f"no free port from {first} to {first + 99} on 127.0.0.1")
