"""The hosts that a version is brought to, and two ways to reach them: as namespaces of `scripts/lab`, or by ssh.

On each host the versions are folders, `releases/VERSION` below one place, and the link `current` names the one that runs.
"""
import io
import json
import shlex
import subprocess
import tarfile

API = "http://127.0.0.1:8500"
ADMIN = "http://127.0.0.1:8800"  # of rollcall-proxy
COMMAND_SECONDS = 120
KEPT = 3  # versions on a host, the running one among them

# The token is read on the host and goes to curl by standard input: argv is for everybody's eyes.
_ASK = """\
if [ -r {token} ]; then
    printf 'header = "X-Consul-Token: %s"\\n' "$(cat {token})" | curl -sS -m {seconds} -K - "$@"
else
    curl -sS -m {seconds} "$@"
fi"""


class HostError(Exception):
    """Something the operator should read, without a stack trace."""


class Host:
    """One node; how commands get there and how its webapp is restarted is the subclasses' business."""

    def __init__(self, name, place, token="/etc/rollcall/tokens/operator"):
        self.name = name
        self.place = place
        self.token = token

    def enter(self, words):
        raise NotImplementedError

    def restart(self):
        raise NotImplementedError

    def run(self, *words, data=None, check=True):
        """What a command on the host printed; HostError when it fails."""
        try:
            done = subprocess.run(self.enter([str(word) for word in words]), input=data, capture_output=True, check=False,
                                  timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{self.name}: no answer within {COMMAND_SECONDS} s to: {' '.join(map(str, words))}") from error
        if check and done.returncode != 0:
            words = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise HostError(f"{self.name}: {words or f'exit status {done.returncode}'}")
        return done.stdout.decode(errors="replace")

    def ask(self, url, *words, seconds=10):
        """(status, text) of a request that is made on the host, to its agent with the operator's token; (0, why) without an answer."""
        token = self.token if url.startswith(API) else "/nonexistent"
        script = _ASK.format(token=shlex.quote(token), seconds=seconds)
        text = self.run("sh", "-c", f"({script}) 2>&1", "ask", "-w", "\n%{http_code}", *words, url, check=False)
        body, _, status = text.rpartition("\n")
        return (int(status), body) if status.isdigit() and status != "000" else (0, text.replace("\n000", "").strip())

    def ask_json(self, url):
        status, text = self.ask(url)
        if status != 200:
            raise HostError(f"{self.name}: {url}: {status or 'no answer'} {text.strip()[:300]}")
        return json.loads(text)

    def put(self, path, body=None):
        """Asks the agent for a change; HostError with its words when it refuses."""
        status, text = self.ask(API + path, "-X", "PUT", *(["-d", json.dumps(body)] if body is not None else []))
        if status != 200:
            raise HostError(f"{self.name}: {text.strip()[:300] or 'no answer'}")
        return text

    # -- versions -------------------------------------------------------------------------------

    def current(self):
        """The version that runs, or None on a host that has none."""
        link = self.run("readlink", f"{self.place}/current", check=False).strip()
        return link.rsplit("/", 1)[-1] or None

    def has(self, version):
        return self.run("sh", "-c", f'[ ! -d "{self.place}/releases/{version}" ] || echo yes').strip() == "yes"

    def install(self, version, folder):
        """Copies a folder to releases/VERSION; half a copy never has that name."""
        space = io.BytesIO()
        with tarfile.open(fileobj=space, mode="w") as archive:
            archive.add(folder, arcname=".", filter=_plain)
        here = f"{self.place}/releases"
        script = (f'set -eu; umask 022; mkdir -p "{here}"; rm -rf "{here}/.{version}"; mkdir "{here}/.{version}"; '
                  f'tar -xf - -C "{here}/.{version}"; rm -rf "{here}/{version}"; mv -T "{here}/.{version}" "{here}/{version}"')
        self.run("sh", "-c", script, data=space.getvalue())

    def switch(self, version):
        """`current` names another version, from one moment to the next."""
        script = (f'set -eu; cd "{self.place}"; [ -d "releases/{version}" ] || {{ echo "no version {version} here" >&2; exit 1; }}; '
                  f'ln -sfn "releases/{version}" .current; mv -T .current current')
        self.run("sh", "-c", script)

    def forget(self):
        """Removes old versions, but the running one and the newest few."""
        script = (f'cd "{self.place}/releases" || exit 0; keep=$(basename "$(readlink ../current)"); '
                  f'ls -1t | grep -vxF "$keep" | tail -n +{KEPT} | while read -r old; do rm -rf "./$old"; done')
        self.run("sh", "-c", script)


def _plain(entry):
    """What a version is made of: no owners of the machine it comes from, nothing that Python made."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


class Namespace(Host):
    """A host of the lab on this machine."""

    def __init__(self, lab, node):
        super().__init__(node.name, str(lab.webapp_folder(node)))
        self.lab, self.node = lab, node

    def enter(self, words):
        return [*self.lab.network.enter(self.node), *words]

    def restart(self):
        self.lab.stop(self.node, "todomvc")
        self.lab.start(self.node, "todomvc")


class Secure(Host):
    """A machine reached by ssh, where the user may become root by sudo."""

    def __init__(self, name, place, unit, config=None):
        super().__init__(name, place)
        self.unit = unit
        self.options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *(["-F", config] if config else [])]

    def enter(self, words):
        return ["ssh", *self.options, self.name, "sudo -n " + shlex.join(words)]

    def restart(self):
        self.run("systemctl", "restart", self.unit)
