"""Who is in the lab: read from the file that the Vagrantfile reads too."""
import json
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "vagrant" / "inventory.json"


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    server: bool
    runs: tuple  # names of services, in the order in which they start


@dataclass(frozen=True)
class Inventory:
    datacenter: str
    domain: str
    network: str
    nodes: tuple

    def node(self, name):
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise KeyError(f"no node '{name}' in the lab; there are {known}")

    def running(self, service):
        """The nodes that run a service."""
        return [node for node in self.nodes if service in node.runs]

    def without(self, service):
        """The same lab where no node runs a service."""
        return replace(self, nodes=tuple(
            replace(node, runs=tuple(word for word in node.runs if word != service)) for node in self.nodes))


def load(path=FILE):
    raw = json.loads(path.read_text())
    nodes = tuple(Node(n["name"], n["address"], n["server"], tuple(n["runs"])) for n in raw["nodes"])
    return Inventory(raw["datacenter"], raw["domain"], raw["network"], nodes)
