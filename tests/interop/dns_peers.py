"""DNS servers that hold the same records as an agent, for measurements side by side: what is installed of echo, NSD, Knot,
unbound and dnsmasq. All answer on 127.0.0.1, each on a port of its own."""
import shutil
import subprocess

from dns_traffic import ECHO, SERVER_CORE, SRV, A, Asker, on
from store_agents import until

SIZES = (1, 10, 100)
DOMAIN = "rollcall"
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"


def instances():
    for count in SIZES:
        for i in range(count):
            yield f"web{count}", i, f"10.{count}.{i // 250}.{i % 250 + 1}"


def name_of(service):
    return f"{service}.service.{DOMAIN}"


def _target(address):
    return "".join(f"{int(part):02x}" for part in address.split(".")) + f".addr.dc1.{DOMAIN}."


def records():
    for service, _, address in instances():
        yield f"{name_of(service)}. 0 IN A {address}"
        yield f"{name_of(service)}. 0 IN SRV 1 1 8080 {_target(address)}"
        yield f"{_target(address)} 0 IN A {address}"


def zone():
    head = [f"{DOMAIN}. 0 IN SOA ns.{DOMAIN}. hostmaster.{DOMAIN}. 1 3600 600 86400 0", f"{DOMAIN}. 0 IN NS ns.{DOMAIN}.",
            f"ns.{DOMAIN}. 0 IN A 127.0.0.1"]
    return "\n".join([*head, *records()]) + "\n"


def _echo(folder, port, workers):
    return [str(ECHO), "127.0.0.1", str(port)]


def _nsd(folder, port, workers):
    (folder / "zone").write_text(zone())
    (folder / "nsd.conf").write_text(f"""
server:
  server-count: {workers}
  reuseport: {"yes" if workers > 1 else "no"}
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/zones"
  tcp-count: 200
  ipv4-edns-size: 4096
  minimal-responses: no
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "{DOMAIN}."
  zonefile: "{folder}/zone"
""")
    return ["nsd", "-d", "-c", str(folder / "nsd.conf")]


def _knot(folder, port, workers):
    (folder / f"{DOMAIN}.zone").write_text(zone())
    (folder / "knot.conf").write_text(f"""
server:
  rundir: "{folder}"
  listen: 127.0.0.1@{port}
  udp-workers: {workers}
  tcp-workers: {workers}
  background-workers: 1
  udp-max-payload: 4096
database:
  storage: "{folder}"
log:
  - target: stderr
    any: error
zone:
  - domain: {DOMAIN}
    storage: "{folder}"
    semantic-checks: off
    zonefile-sync: -1
""")
    return ["knotd", "-c", str(folder / "knot.conf")]


def _unbound(folder, port, workers):
    data = "\n".join(f'  local-data: "{record}"' for record in zone().splitlines())
    (folder / "unbound.conf").write_text(f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: "{folder}/pid"
  use-syslog: no
  verbosity: 0
  num-threads: {workers}
  so-reuseport: yes
  interface: 127.0.0.1@{port}
  do-daemonize: no
  incoming-num-tcp: 100
  module-config: "iterator"
  edns-buffer-size: 4096
  max-udp-size: 4096
  minimal-responses: no
  local-zone: "{DOMAIN}." static
{data}
remote-control:
  control-enable: no
""")
    return ["unbound", "-d", "-c", str(folder / "unbound.conf")]


def _dnsmasq(folder, port, workers):
    hosts, services = [], []
    for service, _, address in instances():
        target = _target(address).rstrip(".")
        hosts += [f"{address} {name_of(service)}", f"{address} {target}"]
        services.append(f"srv-host={name_of(service)},{target},8080,1,1")
    (folder / "hosts").write_text("\n".join(hosts) + "\n")
    (folder / "dnsmasq.conf").write_text(
        f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=root\ngroup=root\n"
        f"addn-hosts={folder}/hosts\nlocal-ttl=0\nedns-packet-max=4096\nlocal=/{DOMAIN}/\npid-file=\n" + "\n".join(services) + "\n")
    return ["dnsmasq", "-C", str(folder / "dnsmasq.conf"), "-k"]


MAKERS = {"echo": _echo, "nsd": _nsd, "knot": _knot, "unbound": _unbound, "dnsmasq": _dnsmasq}
PROGRAMS = {"knot": "knotd"}
WITHOUT_TCP = ("echo", "dnsmasq")  # dnsmasq makes a process for each connection


def is_there(kind):
    return kind == "echo" or shutil.which(PROGRAMS.get(kind, kind), path=PLACES) is not None


class Peer:
    """One server that runs; `cores`: where."""

    def __init__(self, folder, kind, port, workers=1, cores=SERVER_CORE):
        folder.mkdir(parents=True)
        self.name, self.address, self.port = kind, "127.0.0.1", port
        words = MAKERS[kind](folder, port, workers)
        words[0] = shutil.which(words[0], path=PLACES) or words[0]
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen([*on(cores), *words], stdout=log, stderr=log)
        if kind != "echo":
            until(lambda: Asker(self.address, port).answers(name_of("web10"), SRV) == 10)
            until(lambda: Asker(self.address, port).answers(name_of("web100"), A) == 100)

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
