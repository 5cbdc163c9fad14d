#!/usr/bin/python3
"""Asks rollcall and Knot the same random questions about the same catalog, and compares the answers.

    sudo tests/interop/test_dns_knot.py [--questions N] [--seed N] [BINARY]

The catalog is made by a seed, told to agents over HTTP, and written as zones for knotd (dns_catalog.py). Compared are the code,
the flags AA and TC, EDNS, and the sections as sets. What may differ is listed in EXPLAINED, each with its reason and with what
must hold instead; any other difference fails. In a network namespace of its own.
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

sys.path.insert(0, str(Path(__file__).resolve().parent))
import dns_catalog  # noqa: E402
from patience import patient  # noqa: E402
from test_http_fixtures import ROOT, until  # noqa: E402

OURS, THEIRS = ("127.0.0.1", 8600), ("127.0.0.1", 5300)
KNOT_SIZE = 4096  # the largest that knotd takes for UDP
ZONES = (dns_catalog.DOMAIN, dns_catalog.ALT, "in-addr.arpa.", "ip6.arpa.")
TYPES = ["A"] * 8 + ["AAAA"] * 5 + ["SRV"] * 8 + ["TXT"] * 3 + ["ANY"] * 2 + ["PTR"] * 2 + [
    "NS", "SOA", "CNAME", "MX", "HTTPS", "SVCB", "DS", "NAPTR", "CAA", "TYPE65280", "HINFO"]
SETTLED = 30  # seconds that agents may take to know each other and their services
ANY_TYPE, ADDRESSES = "ANY", ("A", "AAAA")
EDGE = 64  # bytes by which two honest encodings of one answer may differ in size


class Question:
    def __init__(self, random_, name):
        self.name = name
        self.labels = name.labels[:-1]
        self.kind = random_.choice(TYPES)
        self.type = dns.rdatatype.from_text(self.kind)
        self.class_ = random_.choice([1] * 40 + [3, 4, 254, 255, 77])
        self.id = random_.getrandbits(16)
        self.flags = random_.choice([0, 0x0100, 0x0110, 0x0120, 0x0100])  # RD, CD, AD
        self.edns = random_.choice([None, None, 0, 512, 700, 1232, 4096, 4096])
        self.do = random_.random() < 0.2
        self.tcp = random_.random() < 0.3
        wire = b"".join(bytes([len(label)]) + bytes(self.mixed(random_, label)) for label in self.labels) + b"\0"
        self.question = wire + struct.pack("!HH", self.type, self.class_)
        self.packet = struct.pack("!HHHHHH", self.id, self.flags, 1, 0, 0, 0 if self.edns is None else 1) + self.question
        if self.edns is not None:
            self.packet += b"\0" + struct.pack("!HHBBHH", 41, self.edns, 0, 0, 0x8000 if self.do else 0, 0)

    @staticmethod
    def mixed(random_, label):
        """Letters in random case, of some names."""
        if random_.random() < 0.7:
            return label
        return bytes(c ^ 0x20 if chr(c).isascii() and chr(c).isalpha() and random_.random() < 0.5 else c for c in label)

    def __str__(self):
        edns = "no EDNS" if self.edns is None else f"EDNS {self.edns}{' DO' if self.do else ''}"
        return f"{self.name} {self.kind} class {self.class_} {'TCP' if self.tcp else 'UDP'} flags {self.flags:#06x} {edns}"


def without_serial(rdata):
    """Ours is the catalog's index."""
    return rdata.replace(serial=1) if rdata.rdtype == dns.rdatatype.SOA else rdata


class Answer:
    def __init__(self, packet, question):
        self.size = len(packet)
        flags, = struct.unpack("!H", packet[2:4])
        self.echoes = packet[:2] == question.packet[:2] and packet[12:12 + len(question.question)] == question.question
        message = dns.message.from_wire(packet, ignore_trailing=False)
        self.code = dns.rcode.to_text(message.rcode())
        self.flags = {word for bit, word in ((0x0400, "AA"), (0x0200, "TC")) if flags & bit}
        self.copied = flags & 0x0110 & question.flags
        self.edns = (message.edns, message.ednsflags & 0x8000) if message.edns >= 0 else None
        self.answer, self.authority, self.additional = (
            {(set_.name, dns.rdatatype.to_text(set_.rdtype), without_serial(rdata)): set_.ttl for set_ in section for rdata in set_}
            for section in message.sections[1:])
        # dnspython joins equal records, so that what is there twice is seen by the counts of the header
        counted = struct.unpack("!HHH", packet[6:12])
        self.repeats = counted[0] - len(self.answer), counted[2] - len(self.additional) - (1 if self.edns else 0)

    def kinds(self):
        return {kind for _, kind, _ in self.answer}

    def lines(self, other):
        """What the other one does not say."""
        yield f"    {self.code} {sorted(self.flags)} edns {self.edns} {self.size} bytes, {self.repeats} repeated"
        for word in ("answer", "authority", "additional"):
            others = getattr(other, word)
            new = {key: ttl for key, ttl in getattr(self, word).items() if others.get(key) != ttl}
            yield f"    {word}: {len(getattr(self, word))}, of which the other lacks {len(new)}"
            for (owner, kind, data), ttl in sorted(new.items(), key=str)[:12]:
                yield f"      {owner} {ttl} {kind} {data}"


def differences(ours, theirs):
    """Which aspects differ."""
    found = {word for word in ("code", "edns", "answer", "authority") if getattr(ours, word) != getattr(theirs, word)}
    found |= {"AA"} if "AA" in ours.flags ^ theirs.flags else set()
    found |= {"TC"} if "TC" in ours.flags ^ theirs.flags else set()
    found |= {"additional"} if ours.additional.keys() != theirs.additional.keys() else set()
    return found


# What may differ. Each function is given the question, both answers and the ground, and says which aspects it accounts for.

def reverse(q, ours, theirs, ground):
    """Reverse names of addresses that we do not know belong to others: REFUSED; those that we know are in no zone, so there is no SOA."""
    if not str(q.name).lower().endswith(".arpa."):
        return set()
    if ours.code == "REFUSED" and len(q.labels) == 2:
        return differences(ours, theirs)  # where the zones begin that we gave Knot
    if ours.code == "REFUSED" and theirs.code in ("NXDOMAIN", "NOERROR") and not theirs.answer and "PTR" not in ground.kinds(q.name):
        return {"code", "AA", "authority"}
    if ours.code == theirs.code == "NOERROR" and not ours.authority and not theirs.answer:
        return {"authority"}
    return set()


def shared_address(q, ours, theirs, ground):
    """An address that several services have leads back to one of them."""
    many = ours.code == theirs.code and {"PTR"} == ours.kinds() == theirs.kinds() and len(ours.answer) == 1
    return {"answer"} if many and ours.answer.keys() < theirs.answer.keys() else set()


def start_of_zone(q, ours, theirs, ground):
    """The answer to SOA holds the name servers too, as Consul's does."""
    if q.kind not in ("SOA", ANY_TYPE) or q.name.to_text().lower() not in (dns_catalog.DOMAIN, dns_catalog.ALT):
        return set()
    servers = {(q.name, "NS", rdata) for rdata in ground.zones.records[q.name]["NS"]}
    return {"authority", "additional"} if ours.authority.keys() == servers and ground.are_facts(ours.additional) else set()


def any_over_tcp(q, ours, theirs, ground):
    """Over TCP all that a name has; Knot gives one set of records there too."""
    if q.kind != ANY_TYPE or not q.tcp or ours.code != theirs.code or not ours.answer:
        return set()
    everything = {(q.name, kind, rdata) for kind, set_ in ground.zones.records.get(q.name, {}).items() for rdata in set_}
    return {"answer", "additional"} if ours.answer.keys() == everything else set()


def any_over_udp(q, ours, theirs, ground):
    """RFC 8482: one set of records, which one is free."""
    if q.kind != ANY_TYPE or q.tcp or ours.code != theirs.code:
        return set()
    one_set = len(ours.kinds()) == 1 and ground.are_facts(ours.answer)
    return {"answer", "additional", "TC"} if one_set and ("TC" in ours.flags or ground.is_whole(ours.answer)) else set()


def aliases(q, ours, theirs, ground):
    """A service that is at host names only: an alias for who asks for addresses, beside its SRV records. A zone file cannot say that."""
    if q.name not in ground.zones.aliases or q.kind not in (*ADDRESSES, "CNAME", ANY_TYPE) or ours.code != "NOERROR":
        return set()
    hosts, ttl = ground.zones.aliases[q.name]
    targets = [(name, rdata.target) for name, kind, rdata in ours.answer if kind == "CNAME" and name == q.name]
    wanted = {dns_catalog.name_of(dns_catalog.labels_of(host) or []) for host in hosts}
    if not targets:
        ok = not ours.answer and any(not dns_catalog.labels_of(host) for host in hosts)
        return {"answer", "authority", "additional"} if ok else set()
    own = {key: t for key, t in ours.answer.items() if key[0] == q.name}
    behind = {key: t for key, t in ours.answer.items() if key[0] != q.name}
    good = len(targets) == 1 and targets[0][1] in wanted and ground.are_facts(behind) and all(t == ttl for key, t in own.items() if key[1] == "CNAME")
    complete = q.kind in ("CNAME", ANY_TYPE) or "TC" in ours.flags or ground.leads_to(targets[0][1], q.kind, ours.answer)
    return {"answer", "authority", "additional", "TC"} if good and complete else set()


def underscores(q, ours, theirs, ground):
    """Whether any service has a tag is not looked up: there may be something below such a name."""
    labels = [label.lower() for label in q.labels]
    labels = [label for label in labels if label not in (b"dc1", b"rollcall", b"consul")]
    above = labels[1:] in ([], [b"service"]) and labels[:1] and labels[0].startswith(b"_")
    return {"code"} if above and ours.code == "NOERROR" and theirs.code == "NXDOMAIN" and not ours.answer else set()


def digits(q, ours, theirs, ground):
    """Hexadecimal digits of a wrong count are a name without records, as in Consul."""
    first = q.labels[0].lower() if len(q.labels) > 1 and q.labels[1].lower() == b"addr" else b"?"
    is_hex = set(first) <= set(b"0123456789abcdef")
    return {"code"} if is_hex and ours.code == "NOERROR" and theirs.code == "NXDOMAIN" and not ours.answer else set()


def class_any(q, ours, theirs, ground):
    """Only IN is ours."""
    return differences(ours, theirs) if q.class_ == 255 and ours.code == "REFUSED" else set()


def cut(q, ours, theirs, ground):
    """An answer that does not fit holds whole records, as many as there is room for; Knot's holds whole sets."""
    if q.tcp or ours.code != theirs.code:
        return set()
    both = {"TC"} <= ours.flags & theirs.flags
    limit = min(max(q.edns or 512, 512), KNOT_SIZE)
    edge = "TC" in ours.flags ^ theirs.flags and max(ours.size, theirs.size) >= limit - EDGE
    return {"answer", "authority", "additional", "TC"} if (both or edge) and ground.are_facts(ours.answer) and ours.answer else set()


def more_additional(q, ours, theirs, ground):
    """Knot adds what is in the zone that was asked; we, what is in any of ours. What does not fit is left out, by either."""
    if ours.answer != theirs.answer and "TC" not in ours.flags:
        return set()
    missing = theirs.additional.keys() - ours.additional.keys()
    full = not q.tcp and ours.size > min(max(q.edns or 512, 512), KNOT_SIZE) - EDGE
    return {"additional"} if ground.are_facts(ours.additional) and (not missing or full) else set()


EXPLAINED = (reverse, shared_address, start_of_zone, any_over_tcp, any_over_udp, aliases, underscores, digits, class_any, cut, more_additional)


class Ground:
    """The facts to judge by."""

    def __init__(self, zones):
        self.zones = zones
        self.facts = None

    def all_facts(self):
        if self.facts is None:
            self.facts = {(owner, kind, data) for owner, kinds in self.zones.records.items() for kind, set_ in kinds.items() for data in set_}
        return self.facts

    def kinds(self, name):
        return self.zones.records.get(name, {}).keys()

    def is_alias(self, owner, kind, data):
        hosts, _ = self.zones.aliases.get(owner, ((), 0))
        return kind == "CNAME" and data.target in [dns_catalog.name_of(dns_catalog.labels_of(host) or []) for host in hosts]

    def are_facts(self, section):
        return all(key in self.all_facts() or self.is_alias(*key) for key in section)

    def is_whole(self, section):
        return all(len(self.zones.records.get(owner, {}).get(kind, ())) == len([k for k in section if k[:2] == (owner, kind)]) for owner, kind, _ in section)

    def leads_to(self, name, kind, answer):
        """All of what the name at the end of the aliases has is in the answer."""
        for _ in range(3):
            further = [data.target for owner, k, data in answer if owner == name and k == "CNAME"]
            name = further[0] if further else name
        return self.zones.records.get(name, {}).get(kind, {}).keys() <= {data for owner, k, data in answer if owner == name and k == kind}


def names(catalog, zones, random_):
    """Without end: names that exist, that are above or below such, that look like them, and of others."""
    known = [name for name in zones.records if b"no-name-of-ours" not in name.labels]
    by_kind = collections.defaultdict(list)
    for name in known:
        kind = [label for label in name.labels if label in (b"service", b"node", b"addr", b"query", b"arpa")]
        by_kind[kind[0] if kind else b""].append(name)
    services = [name.encode() for name in catalog.services if len(name) < 64 and "." not in name]
    while True:
        way = random_.randrange(14)
        name = random_.choice(by_kind[random_.choice([b"service"] * 6 + list(by_kind))])
        labels = list(name.labels[:-1])
        if way == 0 and len(labels) > 1:
            labels = labels[random_.randrange(1, len(labels)):]
        elif way == 1:
            labels.insert(random_.randrange(len(labels)), dns_catalog.random_label(random_))
        elif way == 2:
            labels[random_.randrange(len(labels))] = dns_catalog.random_label(random_)
        elif way == 3:
            random_.shuffle(labels)
        elif way == 4:
            labels = [dns_catalog.random_label(random_) for _ in range(random_.randrange(1, 5))] + random_.choice([[], [b"rollcall"]])
        elif way == 5:
            labels = [random_.choice(services), b"service", random_.choice([b"dc1", b"dc9", b"service"]), b"rollcall"]
        elif way == 6:
            labels[0] = b".".join(labels[:2])
        elif way == 7:
            digits = "".join(random_.choices("0123456789abcdefAg", k=random_.choice([1, 2, 7, 8, 9, 31, 32, 33])))
            labels = [digits.encode(), b"addr", *random_.choice([[], [b"dc1"], [b"dc1", b"dc"]]), random_.choice([b"rollcall", b"consul"])]
            if len(digits) in (8, 32) and "g" not in digits:
                continue  # an address that the zone does not have
        labels = [label for label in labels if len(label) <= dns_catalog.LABEL_MAX]
        if b"no-name-of-ours" not in labels and dns_catalog.name_of(labels):
            yield dns_catalog.name_of(labels)


class Peer:
    """One server, over UDP and over a connection that is kept."""

    def __init__(self, address):
        self.address, self.stream = address, None
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.connect(address)
        self.datagrams.settimeout(patient(5))

    def ask(self, question):
        return self.over_tcp(question.packet) if question.tcp else self.over_udp(question.packet)

    def over_udp(self, packet):
        self.datagrams.send(packet)
        while True:
            answer = self.datagrams.recv(65535)
            if answer[:2] == packet[:2]:
                return answer

    def over_tcp(self, packet):
        for last in (False, True):  # an idle connection may have been closed
            try:
                if self.stream is None:
                    self.stream = socket.create_connection(self.address, patient(5))
                self.stream.sendall(struct.pack("!H", len(packet)) + packet)
                return self.read(*struct.unpack("!H", self.read(2)))
            except (ConnectionError, EOFError):
                self.close_stream()
                if last:
                    raise

    def read(self, size):
        data = b""
        while len(data) < size:
            data += self.stream.recv(size - len(data)) or self.gone()
        return data

    @staticmethod
    def gone():
        raise EOFError

    def close_stream(self):
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def close(self):
        self.close_stream()
        self.datagrams.close()


def api_of(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patient(10))

    def ask(method, path, body=None):
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            connection.close()
            raise
        assert answer.status == 200, (path, body, answer.status, text)
        return json.loads(text or b"null")
    return ask


@contextlib.contextmanager
def running(words, folder, name):
    with open(Path(folder) / f"{name}.log", "wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patient(10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start_agents(stack, binary, folder, catalog, workers):
    agents = {}
    for i, node in enumerate(catalog.nodes):
        config = Path(folder) / f"{i}.json"
        config.write_text(json.dumps({
            "node_name": node.name, "advertise_addr": node.address, "bind_addr": "::", "server": i == 0, "node_meta": node.meta,
            "data_dir": f"{folder}/data{i}", "profile": "fast", "dns_config": {**dns_catalog.SETTINGS, "workers": workers},
            "ports": {"http": 8500 + i, "dns": 8600 + i, "serf_lan": 8301 + i * 10, "server": 8300 + i * 10}}))
        join = [] if i == 0 else ["-retry-join", "127.0.0.1:8301", "-retry-interval", "1s"]
        stack.enter_context(running([str(binary), "agent", "-config-file", str(config), *join], folder, f"agent{i}"))
        agents[node.name] = api_of(8500 + i)
        until(lambda ask=agents[node.name]: answers(ask), patient(SETTLED))
    return agents


def answers(ask):
    try:
        return ask("GET", "/v1/agent/self") is not None
    except (OSError, http.client.HTTPException):
        return False


def start_knot(stack, folder, zones):
    config = [f"server:\n  rundir: {folder}\n  listen: {THEIRS[0]}@{THEIRS[1]}\n  udp-max-payload: {KNOT_SIZE}\n"
              "  tcp-idle-timeout: 60\nlog:\n  - target: stderr\n    any: warning\n"
              f"database:\n  storage: {folder}\nzone:\n"]
    for zone in ZONES:
        path = Path(folder) / f"{zone}zone"
        path.write_text(zones.text(zone))
        config.append(f"  - domain: {zone}\n    file: {path}\n    journal-content: none\n    zonefile-sync: -1\n    semantic-checks: off\n")
    (Path(folder) / "knot.conf").write_text("".join(config))
    stack.enter_context(running(["knotd", "-c", f"{folder}/knot.conf"], folder, "knot"))


def is_loaded(peer):
    try:
        queries = [dns.message.make_query(zone, "SOA") for zone in ZONES]
        return all(dns.message.from_wire(peer.over_tcp(query.to_wire())).rcode() == 0 for query in queries)
    except (OSError, EOFError):
        return False


def settled(agents, catalog):
    """The agent that is asked knows every instance."""
    ask = agents[catalog.nodes[0].name]
    seen = sum(len(ask("GET", f"/v1/catalog/node-services/{node.name}")["Services"]) for node in catalog.nodes)
    return seen >= catalog.instance_count()


class Trial:
    def __init__(self, seed, ground):
        self.seed, self.ground = seed, ground
        self.same, self.tally, self.failures = 0, collections.Counter(), []

    def judge(self, question, ours, theirs):
        found = differences(ours, theirs)
        if not ours.echoes or ours.repeats != (0, 0) or ours.copied != 0x0110 & question.flags:
            self.failures.append((question, ours, theirs, {"echo or repeated records"}))
            return
        if not found:
            self.same += 1
            return
        for explain in EXPLAINED:
            accounted = explain(question, ours, theirs, self.ground) & found
            if accounted:
                self.tally[explain.__name__] += 1
                found -= accounted
        if found:
            self.failures.append((question, ours, theirs, found))

    def report(self):
        print(f"seed {self.seed}: {self.same} answers the same, "
              f"explained: {dict(sorted(self.tally.items()))}, {len(self.failures)} not explained")
        for question, ours, theirs, found in self.failures[:int(os.environ.get("SHOW", "8"))]:
            print(f"{question}\n  differs in {sorted(found)}\n  rollcall:", *ours.lines(theirs), "  Knot:", *theirs.lines(ours), sep="\n")


def trial(binary, folder, seed, count):
    random_ = random.Random(seed)
    catalog = dns_catalog.Catalog(seed)
    zones = dns_catalog.Zones(catalog, dns_catalog.addresses(catalog, random_))
    result = Trial(seed, Ground(zones))
    with contextlib.ExitStack() as stack:
        start_knot(stack, folder, zones)
        agents = start_agents(stack, binary, folder, catalog, 1 + seed % 2)
        catalog.register(agents)
        until(lambda: settled(agents, catalog), patient(SETTLED))
        peers = [stack.enter_context(contextlib.closing(Peer(address))) for address in (OURS, THEIRS)]
        until(lambda: is_loaded(peers[1]), patient(SETTLED))
        for _, name in zip(range(count), names(catalog, zones, random_)):
            question = Question(random_, name)
            ours, theirs = (Answer(peer.ask(question), question) for peer in peers)
            result.judge(question, ours, theirs)
    return result


def main(words):
    options = argparse.ArgumentParser()
    options.add_argument("--questions", type=int, default=10000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("binary", nargs="?", default=str(ROOT / "build/release/rollcall"))
    options = options.parse_args(words)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = trial(options.binary, folder, options.seed, options.questions)
    result.report()
    print(f"{options.questions} questions in {time.monotonic() - began:.0f} s")
    return 1 if result.failures else 0


def test_answers_are_those_of_knot():
    binary = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release") / "rollcall"
    count = os.environ.get("DNS_QUESTIONS", "2000")
    run = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up && for i in 2 4; do ip address add fd00::$i/64 dev lo nodad; done && exec "$@"',
                          "sh", sys.executable, "-B", __file__, "--questions", count,
                          "--seed", os.environ.get("DNS_SEED", "1"), str(binary)],
                         capture_output=True, text=True, timeout=patient(60) + int(count) / 20)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
