"""A catalog made by a seed: told to agents over HTTP, and written as zones for an authoritative server.

The zones are made from the same facts as the registrations, by the rules of the manual (rollcall(1), DNS NAMES), not
from what our DNS answers.
"""
import ipaddress
import itertools
import json
import random
import string

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

DOMAIN, ALT, DATACENTER = "rollcall.", "consul.", "dc1"
NODE_TTL, MIN_TTL = 30, 2
SERVICE_TTLS = {"s1": 11, "s2*": 12, "s*": 13, "*": 7}
SETTINGS = {"node_ttl": f"{NODE_TTL}s", "service_ttl": {name: f"{ttl}s" for name, ttl in SERVICE_TTLS.items()},
            "soa": {"min_ttl": f"{MIN_TTL}s"}}
REFRESH, RETRY, EXPIRE = 3600, 600, 86400  # rollcall's defaults
LABEL_MAX, NAME_MAX, STRING_MAX = 63, 255, 255

TAGS = ["v1", "v2", "V3", "primary-ish", "a.b", "a.c.d", "UPPER", "under_score", "rack=7", "tag with space", "Käse", "*x", "x;y",
        'quo"te', "back\\slash", "long-" + "t" * 58, "x" * 64, "_tcp2", "trailing.", ".leading", "two..dots", ""]
HOSTS = ["db.example.test", "s1.service.rollcall", "S2.Service.dc1.Rollcall", "v1.s3.service.consul", "0a000001.addr.rollcall",
         "one.node.rollcall", "nothing.service.rollcall", "host.", "under_score.example.test"]
ODD_NAMES = ["_odd", "with space", "Groß", "plus+", "star*", "semi;colon", "at@sign", "1", "x" * 63, "y" * 64, "dotted.name", "(paren)",
             "dc1", "service", "ns", "addr", "under_score", "-dash-", 'q"uote']
NODE_NAMES = ["one", "Two.dotted", "three-3", "x", "six.a.b"]
KEYS = ["rack", "zone", "rfc1035-note", "Key_1", "external-id"]
VALUES = ["r1", "", "a=b", "with space", "back`quote", 'quo"te', "ümlaut", "semi;colon", "v" * 254, "w" * 300]


def labels_of(text):
    """The labels of a name as text without escapes; None if there can be none."""
    text = text[:-1] if text.endswith(".") else text
    parts = [part.encode() for part in text.split(".")]
    return parts if all(0 < len(part) <= LABEL_MAX for part in parts) else None


def name_of(labels):
    """None if it is too long."""
    try:
        return dns.name.Name([*labels, b""])
    except (dns.name.NameTooLong, dns.name.LabelTooLong, dns.name.EmptyLabel):
        return None


def ip_of(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def master_text(name):
    """As Knot's reader of master files takes it: whatever is no letter, digit or hyphen as digits."""
    plain = (string.ascii_letters + string.digits + "-_*").encode()
    return "".join("".join(chr(c) if c in plain else f"\\{c:03}" for c in label) + "." for label in name.labels[:-1]) or "."


def meta_string(key, value):
    """RFC 1464, as Consul writes it: cut to what one string holds."""
    text = value if key.startswith("rfc1035-") else key.replace("`", "``").replace("=", "`=") + "=" + value
    return text.encode()[:STRING_MAX]


class Node:
    def __init__(self, name, address, meta):
        self.name, self.address, self.meta = name, address, meta


class Instance:
    def __init__(self, random_, service, number, node, hosts_only):
        self.node, self.id = node, f"{service}-{number}"
        kinds = ["host"] if hosts_only else ["none", "v4", "v4", "v4", "v6", "v6", "host", "node", "same"]
        kind = random_.choice(kinds) if hosts_only or random_.random() < 0.3 else random_.choice(["none", "v4", "v4", "v6"])
        self.address = {"none": "", "v4": f"10.{random_.randrange(3)}.0.{random_.randrange(1, 40)}",
                        "v6": f"2001:db8::{random_.randrange(1, 40):x}", "host": random_.choice(HOSTS), "node": node.address,
                        "same": "10.9.9.9"}[kind]
        self.port = random_.choice([0, 80, 8080, 65535, random_.randrange(1, 65536)])
        self.tags = random_.sample(TAGS, random_.choice([0, 0, 1, 2, 3]))
        self.meta = {key: random_.choice(VALUES) for key in random_.sample(KEYS, random_.choice([0, 0, 0, 1, 2]))}
        self.weights = {"Passing": random_.choice([1, 1, 5, 65535]), "Warning": random_.choice([1, 1, 3])}
        self.status = random_.choice(["passing"] * 6 + ["warning", "critical"])

    @property
    def own_address(self):
        """The node's own is no address of its own."""
        return "" if self.address == self.node.address else self.address

    @property
    def is_usable(self):
        return self.status != "critical"

    @property
    def weight(self):
        return self.weights["Warning" if self.status == "warning" else "Passing"]

    def registration(self, service):
        return {"ID": self.id, "Name": service, "Address": self.address, "Port": self.port, "Tags": self.tags, "Meta": self.meta,
                "Weights": self.weights, "Check": {"TTL": "24h", "Status": self.status}}


class Catalog:
    """The facts. `nodes` are the agents, the first one is the only server."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.nodes = [Node(name, f"fd00::{i + 1:x}" if i % 2 else f"127.0.0.{i + 1}", self.meta()) for i, name in enumerate(NODE_NAMES)]
        self.services = {}
        for name in [f"s{i}" for i in range(1, 24)] + ["MixedCase", *self.random.sample(ODD_NAMES, 10)]:
            count = self.random.choice([1, 1, 2, 3, 5, 10, 10, 30]) if name != "s5" else 100
            hosts_only = self.random.random() < 0.1
            self.services[name] = [Instance(self.random, name, i, self.random.choice(self.nodes), hosts_only) for i in range(count)]
        self.queries = {f"q{i}": self.random.choice([name for name in self.services if "." not in name]) for i in range(1, 4)}
        self.queries["q.with.dots"] = "s1"

    def meta(self):
        return {key: self.random.choice(VALUES) for key in self.random.sample(KEYS, self.random.choice([0, 1, 3]))}

    def register(self, agents):
        """`agents`: for each node's name a function (method, path, body) to its HTTP API."""
        for name, instances in self.services.items():
            for instance in instances:
                agents[instance.node.name]("PUT", "/v1/agent/service/register", json.dumps(instance.registration(name)))
        for name, service in self.queries.items():
            agents[self.nodes[0].name]("POST", "/v1/query", json.dumps({"Name": name, "Service": {"Service": service}, "DNS": {"TTL": "17s"}}))

    def instance_count(self):
        return sum(len(instances) for instances in self.services.values())


class Zones:
    """What an authoritative server knows of it. `records`: name -> type -> {data: ttl}; `aliases`: name -> host names
    one of which it stands for, with no address of its own (beside the SRV records, which a zone file cannot say)."""

    def __init__(self, catalog, asked_addresses):
        self.catalog = catalog
        self.records, self.aliases = {}, {}
        self.suffixes = [(domain, middle) for domain in (DOMAIN, ALT) for middle in ((), (DATACENTER.encode(),), (DATACENTER.encode(), b"dc"))]
        for domain in (DOMAIN, ALT):
            self.add_apex(domain)
        for node in catalog.nodes:
            self.add_node(node)
        for name, instances in catalog.services.items():
            self.add_service(name, [instance for instance in instances if instance.is_usable])
        for name, service in catalog.queries.items():
            usable = [instance for instance in catalog.services[service] if instance.is_usable]
            self.add_instances(labels_of(name), b"query", usable, 17)
        for address in asked_addresses:
            self.add_address(address)
        for empty in (b"connect", b"ingress", b"virtual", b"addr", b"service", b"node", b"query"):
            for owner in self.owners([b"no-name-of-ours"], empty):
                self.add(owner, "TXT", '"only so that what is above exists"', 0)

    def owners(self, labels, kind):
        """Under both domains, with and without the datacenter. `kind`: b"" for names without one."""
        for domain, middle in self.suffixes:
            name = labels and name_of([*labels, *([kind] if kind else []), *middle, domain[:-1].encode()])
            if name:
                yield name

    def add(self, owner, kind, data, ttl):
        rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), data, origin=dns.name.root, relativize=False)
        self.records.setdefault(owner, {}).setdefault(kind, {})[rdata] = ttl

    def add_apex(self, domain):
        owner = dns.name.from_text(domain)
        serial = 1  # ours is the catalog's index
        self.add(owner, "SOA", f"ns.{DOMAIN} hostmaster.{DOMAIN} {serial} {REFRESH} {RETRY} {EXPIRE} {MIN_TTL}", MIN_TTL)
        self.add(owner, "NS", self.node_target(self.catalog.nodes[0]).to_text(), NODE_TTL)
        self.add(dns.name.from_text("ns." + domain), "A", self.catalog.nodes[0].address, NODE_TTL)

    @staticmethod
    def node_target(node):
        return name_of([*labels_of(node.name), b"node", DATACENTER.encode(), DOMAIN[:-1].encode()])

    @staticmethod
    def address_target(ip):
        return name_of([ip.packed.hex().encode(), b"addr", DATACENTER.encode(), DOMAIN[:-1].encode()])

    def add_ip(self, owner, ip, ttl):
        self.add(owner, "A" if ip.version == 4 else "AAAA", str(ip), ttl)

    def add_strings(self, owner, meta, ttl):
        for key, value in meta.items():
            data = dns.rdata.from_text("IN", "TXT", '""').replace(strings=(meta_string(key, value),))
            self.records.setdefault(owner, {}).setdefault("TXT", {})[data] = ttl

    def add_node(self, node):
        for owner in self.owners(labels_of(node.name), b"node"):
            self.add_ip(owner, ip_of(node.address), NODE_TTL)
            self.add_strings(owner, node.meta, NODE_TTL)
        self.records.setdefault(self.reverse(ip_of(node.address)), {})["PTR"] = {
            dns.rdata.from_text("IN", "PTR", self.node_target(node).to_text()): NODE_TTL}

    def add_address(self, ip):
        for owner in self.owners([ip.packed.hex().encode()], b"addr"):
            self.add_ip(owner, ip, NODE_TTL)

    @staticmethod
    def reverse(ip):
        return dns.name.from_text(ip.reverse_pointer)

    def add_service(self, service, usable):
        labels, ttl = labels_of(service), service_ttl(service)
        if labels is None or len(labels) != 1:
            return  # registered, but no name of DNS
        self.add_instances(labels, b"service", usable, ttl)
        tags = sorted({tag.lower() for instance in usable for tag in instance.tags})
        for tag in tags:
            tagged = [instance for instance in usable if tag in map(str.lower, instance.tags)]
            parts = labels_of(tag) if tag and not tag.endswith(".") else None
            if parts and not (len(parts) == 1 and tag.startswith("_") and service.startswith("_")):  # those are RFC 2782's
                self.add_instances([*parts, *labels], b"service", tagged, ttl)
            if parts and len(parts) == 1 and not (tag.startswith("_") and service.startswith("_")) and tag != "tcp" and len(parts[0]) < LABEL_MAX and len(labels[0]) < LABEL_MAX:
                self.add_underscored(labels[0], parts[0], tagged, ttl)
        if len(labels[0]) < LABEL_MAX:
            self.add_underscored(labels[0], b"tcp", usable, ttl)
        for instance in usable:
            ip = ip_of(instance.own_address)
            if ip and self.reverse(ip) not in self.records:
                self.records[self.reverse(ip)] = {"PTR": {}}
            if ip and not any(ip == ip_of(node.address) for node in self.catalog.nodes):
                target = name_of([*labels, b"service", DATACENTER.encode(), DOMAIN[:-1].encode()])
                if target:
                    self.records[self.reverse(ip)]["PTR"][dns.rdata.from_text("IN", "PTR", target.to_text())] = NODE_TTL

    def add_underscored(self, label, tag, usable, ttl):
        for kind in (b"service", b""):
            self.add_instances([b"_" + label, b"_" + tag], kind, usable, ttl)

    def add_instances(self, labels, kind, usable, ttl):
        for owner in self.owners(labels, kind):
            hosts = []
            for instance in usable:
                ip = ip_of(instance.address or instance.node.address)
                if ip:
                    self.add_ip(owner, ip, ttl)
                else:
                    hosts.append(instance.address)
                target = self.target(instance)
                if target:
                    self.add(owner, "SRV", f"1 {instance.weight} {instance.port} {target.to_text()}", ttl)
                self.add_strings(owner, instance.meta, ttl)
            if hosts and len(hosts) == len(usable):
                self.aliases[owner] = (hosts, ttl)

    def target(self, instance):
        if not instance.own_address:
            return self.node_target(instance.node)
        ip = ip_of(instance.own_address)
        if ip:
            return self.address_target(ip)
        labels = labels_of(instance.own_address)
        return labels and name_of(labels)

    def text(self, zone):
        """The master file of one zone."""
        origin = dns.name.from_text(zone)

        def data_text(data):
            return data.to_text().replace(data.target.to_text(), master_text(data.target)) if hasattr(data, "target") else data.to_text()

        lines = [f"{zone} {MIN_TTL} SOA ns.{DOMAIN} hostmaster.{DOMAIN} 1 {REFRESH} {RETRY} {EXPIRE} {MIN_TTL}",
                 f"{zone} {NODE_TTL} NS ns.{DOMAIN}"] if zone.endswith("arpa.") else []
        for owner, kinds in self.records.items():
            if owner.is_subdomain(origin):
                lines += [f"{master_text(owner)} {ttl} {kind} {data_text(data)}" for kind, set_ in kinds.items() for data, ttl in set_.items()]
        return "\n".join(lines) + "\n"


def service_ttl(service):
    """The exact name, or the longest prefix."""
    folded = service.lower()
    if folded in SERVICE_TTLS:
        return SERVICE_TTLS[folded]
    return SERVICE_TTLS[max((p for p in SERVICE_TTLS if p.endswith("*") and folded.startswith(p[:-1])), key=len)]


def random_label(random_):
    alphabet = random_.choice([string.ascii_lowercase, string.printable, "".join(map(chr, range(256)))])
    return "".join(random_.choices(alphabet, k=random_.choice([1, 2, 5, 20, LABEL_MAX]))).encode("latin-1")


def addresses(catalog, random_):
    """Those that names may spell: of the catalog, and others."""
    known = {ip_of(instance.own_address) for instances in catalog.services.values() for instance in instances}
    known |= {ip_of(host) for host in ("10.0.0.1",)}
    made = {ipaddress.IPv4Address(random_.getrandbits(32)) for _ in range(20)} | {ipaddress.IPv6Address(random_.getrandbits(128)) for _ in range(20)}
    return sorted(itertools.chain(known - {None}, made, [ipaddress.IPv6Address("::ffff:1.2.3.4"), ipaddress.IPv4Address(0)]), key=lambda ip: (ip.version, ip))
