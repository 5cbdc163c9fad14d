"""Who is in the lab: as many web and PostgreSQL nodes as the top of the Vagrantfile says, each as vagrant/inventory.json has its kind.

The environment may say otherwise: WEB_NODES and PG_NODES how many, ROLLCALL_NET the first three numbers of their addresses,
ROLLCALL_FAMILY=6 that they have IPv6 alone.
"""
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "vagrant" / "inventory.json"
COUNTS = ROOT / "Vagrantfile"
FAMILIES = ("4", "6")


@dataclass(frozen=True)
class Node:
    name: str
    kind: str
    address: str  # the one that the lab uses inside
    address4: str  # "": none
    address6: str
    server: bool
    runs: tuple  # names of services, in the order in which they start

    @property
    def addresses(self):
        return tuple(address for address in (self.address4, self.address6) if address)


@dataclass(frozen=True)
class Inventory:
    datacenter: str
    domain: str
    networks: tuple  # of its nodes, in both families
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


def count(kind):
    """How many nodes there are of a kind: adm has one."""
    if kind == "adm":
        return 1
    name = f"{kind.upper()}_NODES"
    found = re.search(rf"^{name} = (\d+)$", COUNTS.read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"{COUNTS} has no line '{name} = NUMBER'")
    text = os.environ.get(name) or found[1]
    if not text.isdigit() or not 1 <= int(text) <= 9:
        raise ValueError(f"{name} is '{text}'; from 1 to 9 of them fit into the lab's addresses")
    return int(text)


def load(path=FILE):
    raw = json.loads(path.read_text())
    network = os.environ.get("ROLLCALL_NET") or raw["network"]
    family = os.environ.get("ROLLCALL_FAMILY") or "4"
    if family not in FAMILIES:
        raise ValueError(f"ROLLCALL_FAMILY is '{family}'; there are {' and '.join(FAMILIES)}")
    nodes = []
    for kind in raw["kinds"]:
        for i in range(count(kind["name"])):
            last = kind["first"] + i
            four, six = f"{network}.{last}", f"{raw['network6']}{last}"
            # The first of each kind is a server and a member of etcd: three, whatever the counts are.
            runs = (*(("etcd",) if i == 0 else ()), *kind["runs"])
            nodes.append(Node(f"{kind['name']}{i + 1}", kind["name"], four if family == "4" else six,
                              four if family == "4" else "", six, i == 0, runs))
    return Inventory(raw["datacenter"], raw["domain"], (f"{network}.0/24", f"{raw['network6']}/64"), tuple(nodes))
