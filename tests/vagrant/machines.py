"""The lab on containers, driven as a person drives it: `vagrant` in a copy of the sources, ssh, curl, dig."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

from labkit.programs import until  # noqa: E402,F401

PLACE = ROOT / "build" / "vagrant"
PICTURES = PLACE / "pictures"
TREE = PLACE / "tree"  # the copy, whose Vagrantfile a test may change
LONGEST = 900
FIRST = {kind["name"]: kind["first"] for kind in json.loads((ROOT / "vagrant" / "inventory.json").read_text())["kinds"]}


KEPT = bool(os.environ.get("VAGRANT_KEEP"))  # the machines of the run before are taken, with the sources of today, and stay


def _copy():
    """What `git clone` and `make` leave: sources and programs."""
    if KEPT and (TREE / ".vagrant").exists():
        leave = [f"--exclude={name}" for name in (".git", "/build", ".vagrant", "__pycache__", "node_modules")]
        subprocess.run(["rsync", "-a", "--delete", *leave, f"{ROOT}/", f"{TREE}/"], check=True)
        return
    if (TREE / "build" / "vagrant").is_symlink():
        (TREE / "build" / "vagrant").unlink()
    shutil.rmtree(TREE, ignore_errors=True)
    shutil.copytree(ROOT, TREE, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", ".vagrant", "__pycache__", "node_modules"))
    for part in ("release/rollcall", "release/rollcall-proxy", "deb"):
        source, target = ROOT / "build" / part, TREE / "build" / part
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    # The box is kept from one run to the next.
    (TREE / "build").mkdir(exist_ok=True)
    (TREE / "build" / "vagrant").symlink_to(PLACE)


class Machines:
    """All of them. `network` are the first three numbers of their addresses."""

    def __init__(self, network="10.87.0"):
        self.network = network
        self.environment = {**os.environ, "ROLLCALL_NET": network, "VAGRANT_HOME": str(PLACE / "home"), "VAGRANT_DEFAULT_PROVIDER": "lxc",
                            "VAGRANT_NO_COLOR": "1", "VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_CWD": str(TREE)}
        for name in ("WEB_NODES", "PG_NODES", "ROLLCALL_FAMILY", "VAGRANT_DOTFILE_PATH"):
            self.environment.pop(name, None)
        self.took = []  # (what, seconds)
        self.runs = 0
        if (TREE / ".vagrant").exists() and not KEPT:
            self.vagrant("destroy", "-f")  # what an interrupted run may have left
        _copy()

    # -- vagrant ----------------------------------------------------------------------------------

    def vagrant(self, *words, check=True, **environment):
        """Runs it; what it said is in build/vagrant/log too."""
        self.runs += 1
        log = PLACE / "log" / f"{self.runs:02}-{words[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with open(log, "w+") as out:
            done = subprocess.run(["vagrant", *words], env={**self.environment, **environment}, cwd=TREE, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.STDOUT, timeout=LONGEST, check=False)
            out.seek(0)
            said = out.read()
        self.took.append((f"vagrant {' '.join(words)}", time.monotonic() - started))
        assert not check or done.returncode == 0, f"vagrant {' '.join(words)}: {done.returncode}\n{said[-4000:]}"
        (PLACE / "ssh-config").unlink(missing_ok=True)
        return said

    def names(self):
        return [line.split()[0] for line in self.vagrant("status").splitlines() if "(lxc)" in line]

    def address(self, name):
        kind = name.rstrip("0123456789")
        return f"{self.network}.{FIRST[kind] + int(name.removeprefix(kind)) - 1}"

    # -- on a machine -----------------------------------------------------------------------------

    def run(self, name, command, check=True, seconds=120):
        """A shell command by ssh, as the user `vagrant`."""
        config = PLACE / "ssh-config"
        if not config.exists():
            config.write_text(subprocess.run(["vagrant", "ssh-config"], env=self.environment, cwd=TREE, check=False, timeout=LONGEST,
                                             capture_output=True, text=True).stdout)
        done = subprocess.run(["ssh", "-F", str(config), name, command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds, check=False)
        assert not check or done.returncode == 0, f"{name}$ {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def tunnel(self, name, port):
        """A port of ours that leads to that port of the machine's loopback, as `ssh -L` makes it."""
        self.run(name, "true")
        with socket.create_server(("127.0.0.1", 0)) as free:
            here = free.getsockname()[1]
        ssh = subprocess.Popen(["ssh", "-F", str(PLACE / "ssh-config"), "-N", "-L", f"127.0.0.1:{here}:127.0.0.1:{port}", name],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: self.curl(f"http://127.0.0.1:{here}/", seconds=5)[0] != 0, "the tunnel is open")
            yield here
        finally:
            ssh.terminate()
            ssh.wait()

    def operator(self):
        """The token that may do everything."""
        return self.run("adm1", "sudo cat /etc/rollcall/tokens/operator").strip()

    def api(self, name, path):
        """What the agent's API says there to an operator."""
        return json.loads(self.run(name, "sudo sh -c 'curl -sf -m 20 -H \"X-Consul-Token: $(cat /etc/rollcall/tokens/operator)\" "
                                         f"\"http://127.0.0.1:8500{path}\"'"))

    def alive(self, name="adm1"):
        """Names of the members that this node's agent sees alive."""
        lines = self.run(name, "sudo rollcall members", check=False).splitlines()[1:]
        return sorted(line.split()[0] for line in lines if " alive " in line)

    def primary(self, name="adm1"):
        """The node whose PostgreSQL may be written, or None."""
        view = self.api(name, "/v1/postgres/main")
        return view["Primary"]["Node"] if view["Primary"] and view["Primary"]["Writable"] else None

    # -- from outside -----------------------------------------------------------------------------

    @staticmethod
    def curl(url, *words, seconds=40):
        """(status, body); status 0 without an answer."""
        done = subprocess.run(["curl", "-s", "-k", "-g", "-m", str(seconds), "-w", "\n%{http_code}", *words, url],
                              capture_output=True, text=True, check=False, timeout=seconds + 10)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text

    def titles(self, name):
        status, text = self.curl(f"http://{self.address(name)}/api/todos")
        return [todo["title"] for todo in json.loads(text)["todos"]] if status == 200 else []

    def add(self, name, title):
        return self.curl(f"http://{self.address(name)}/api/todos", "-d", json.dumps({"title": title}))[0]

    def load(self, name, seconds, rate=50):
        """A stream of requests from outside through that web node; see collect()."""
        return subprocess.Popen([sys.executable, "-B", str(ROOT / "scripts" / "labkit" / "load.py"), str(seconds), str(rate),
                                 f"http://{self.address(name)}/api/todos"], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def collect(load):
        return json.loads(load.communicate(timeout=300)[0])

    def tell_times(self):
        print("\n" + "\n".join(f"{seconds:7.1f} s  {what}" for what, seconds in self.took))


def traces():
    """What a lab on containers leaves on this machine while it is up: names of all of it."""
    found = [f"container {name}" for name in subprocess.run(["lxc-ls", "-1"], capture_output=True, text=True, check=True).stdout.split()
             if name.startswith("rollcall-")]
    found += [f"interface {place.name}" for place in Path("/sys/class/net").iterdir() if place.name.startswith(("rollcall", "veth"))]
    found += [f"mount {line.split()[1]}" for line in Path("/proc/self/mounts").read_text().splitlines() if "/lxc/rollcall-" in line]
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (place / "cgroup").read_text()
        except OSError:
            continue
        if "[lxc monitor]" in words and "rollcall-" in words or "lxc.payload.rollcall-" in groups:
            found.append(f"process {place.name} {words[:80]}")
    return found
