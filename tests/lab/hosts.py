"""What a person on a host of the lab would type, and what they would see."""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

from labkit.programs import until  # noqa: E402,F401
from labkit import demo  # noqa: E402

WATCH = Path(__file__).parent / "watch_dns.py"


class Hosts:
    def __init__(self, lab):
        self.lab = lab
        self.names = [node.name for node in lab.inventory.nodes]

    def node(self, name):
        return self.lab.inventory.node(name)

    def run(self, name, *command, check=True, **options):
        done = subprocess.run([*self.lab.network.enter(self.node(name)), *map(str, command)],
                              capture_output=True, text=True, check=False, **{"timeout": 120, **options})
        if check and done.returncode != 0:
            raise AssertionError(f"{name}$ {' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def dig(self, name, question, kind):
        """The answers' data, one string each, sorted."""
        out = self.run(name, "dig", "@127.0.0.1", "-p", "8600", "+short", "+tries=3", "+time=10", question, kind)
        return sorted(line for line in out.splitlines() if line and not line.startswith(";"))

    def srv_targets(self, name, service):
        return sorted(line.split()[3].split(".")[0] for line in self.dig(name, f"_{service}._tcp.service.rollcall", "SRV"))

    def api(self, name, path, method="GET", body=None, port=8500):
        """(status, text) of the agent's HTTP API on that host."""
        command = ["curl", "-s", "-S", "-m", "30", "-X", method, "-w", "\n%{http_code}", f"http://127.0.0.1:{port}{path}"]
        if body is not None:
            command += ["-d", json.dumps(body)]
        text, status = self.run(name, *command).rsplit("\n", 1)
        return int(status), text

    def api_json(self, name, path):
        status, text = self.api(name, path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def todo_add(self, name, title, seconds=40):
        """Writes a to-do through the entry of that host; (status, body)."""
        out = self.run(name, "curl", "-s", "-m", seconds, "-w", "\n%{http_code}", "-d", json.dumps({"title": title}),
                       "http://127.0.0.1/api/todos", check=False)
        text, status = out.rsplit("\n", 1)
        return int(status), text

    def todo_titles(self, name):
        out = self.run(name, "curl", "-s", "-m", "60", "http://127.0.0.1/api/todos")
        return [todo["title"] for todo in json.loads(out)["todos"]]

    def load(self, name, seconds, rate=200, path="/api/todos"):
        """Starts a stream of requests through the entry of that host; see collect()."""
        command = [*self.lab.network.enter(self.node(name)), sys.executable, "-B", str(demo.LOAD),
                   str(seconds), str(rate), f"http://127.0.0.1{path}"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def collect(load):
        return json.loads(load.communicate(timeout=150)[0])

    def watch(self, question, seconds, names=None):
        """Polls a SRV name on hosts; watched() gives {host: [(monotonic seconds, [targets]), ...]}."""
        return {name: subprocess.Popen(
            [*self.lab.network.enter(self.node(name)), sys.executable, "-B", str(WATCH), question, str(seconds)],
            stdout=subprocess.PIPE, text=True) for name in names or self.names}

    @staticmethod
    def watched(watchers):
        return {name: [json.loads(line) for line in watcher.communicate(timeout=150)[0].splitlines()]
                for name, watcher in watchers.items()}

    def all_alive(self):
        return all(self.lab.alive_members(node) == len(self.names) for node in self.lab.inventory.nodes)

    def everywhere(self, service, targets):
        """True when every host's DNS names exactly these targets for the service."""
        return all(self.srv_targets(name, service) == sorted(targets) for name in self.names)
