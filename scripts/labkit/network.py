"""The wires: a namespace for each host, a bridge in a namespace of its own, veth pairs between.

Nothing is added to the machine's own network, so nothing can leave the lab and two labs with the
same addresses can be up side by side.
"""
import os
import signal
import subprocess
from pathlib import Path

from . import configuration
from .programs import until

BRIDGE = "br0"


def _ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=60)


class Network:
    def __init__(self, lab, inventory):
        self.inventory = inventory
        self.prefix = f"rollcall-{lab}-"
        self.switch = f"{self.prefix}switch"

    def namespace(self, node):
        return self.prefix + node.name

    def _existing(self):
        listed = _ip("netns", "list", check=False).stdout.split("\n")
        return {line.split()[0] for line in listed if line.strip()}

    def up(self):
        """Makes what is missing; what is there stays as it is."""
        existing = self._existing()
        if self.switch not in existing:
            _ip("netns", "add", self.switch)
            _ip("-n", self.switch, "link", "add", BRIDGE, "type", "bridge")
            _ip("-n", self.switch, "link", "set", BRIDGE, "up")
        for node in self.inventory.nodes:
            if self.namespace(node) not in existing:
                self._add(node)

    def _add(self, node):
        name = self.namespace(node)
        _ip("netns", "add", name)
        _ip("-n", self.switch, "link", "add", node.name, "type", "veth",
            "peer", "name", "eth0", "netns", name)
        _ip("-n", self.switch, "link", "set", node.name, "master", BRIDGE, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        for address in node.addresses:
            words = (f"{address}/64", "dev", "eth0", "nodad") if ":" in address else (f"{address}/24", "dev", "eth0")
            _ip("-n", name, "address", "add", *words)
        _ip("-n", name, "link", "set", "eth0", "up")
        # The services do not run as root, and one of them listens on port 80.
        subprocess.run([*self.enter(node), "sysctl", "-q", "-w", "net.ipv4.ip_unprivileged_port_start=0"],
                       check=True, timeout=60)
        hosts = Path("/etc/netns") / name / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        hosts.write_text(configuration.hosts(self.inventory))

    def enter(self, node):
        """The command prefix that runs something on a host of the lab."""
        return ["ip", "netns", "exec", self.namespace(node)]

    def processes(self, node):
        """The ids of all processes on a host."""
        return self._inside(self.namespace(node))

    @staticmethod
    def _inside(namespace):
        return [int(pid) for pid in _ip("netns", "pids", namespace, check=False).stdout.split()]

    def cut(self, node):
        """Pulls the host's cable."""
        _ip("-n", self.switch, "link", "set", node.name, "down")

    def heal(self, node):
        _ip("-n", self.switch, "link", "set", node.name, "up")

    def down(self):
        """Ends what runs on the hosts, and the hosts: also those that the inventory does not know any more."""
        mine = sorted(name for name in self._existing() if name.startswith(self.prefix))
        for name in mine:
            kill_all(self._inside(name))
        for name in mine:
            until(lambda name=name: not self._inside(name), f"all of {name} has ended")
            _ip("netns", "delete", name)
            hosts = Path("/etc/netns") / name / "hosts"
            hosts.unlink(missing_ok=True)
            if hosts.parent.is_dir():
                hosts.parent.rmdir()


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it went by itself, or with its parent
