"""glibc, musl and c-ares find services at the agent itself, and through unbound and dnsmasq as the manual page configures
them, and follow what becomes of them."""
import os
import select
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from dns_consumers import NAME, find, follows, follows_changes, house, listens, needs, page, programs, resolving  # noqa: E402,F401
from patience import patient  # noqa: E402

DIRECT, UNBOUND, DNSMASQ = "127.0.0.1", "127.0.0.3", "127.0.0.4"

UNBOUND_HERE = """
server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: "{folder}/pid"
    use-syslog: no
    do-daemonize: no
    interface: {address}
    access-control: 127.0.0.0/8 allow
remote-control:
    control-enable: no
"""

DNSMASQ_HERE = """
keep-in-foreground
user=root
group=root
pid-file=
no-resolv
no-hosts
listen-address={address}
bind-interfaces
"""


def begin_unbound(house):
    needs("unbound")
    folder = house.folder / "unbound"
    folder.mkdir(exist_ok=True)
    (folder / "conf").write_text(page("unbound") + UNBOUND_HERE.format(folder=folder, address=UNBOUND))
    house.begin("unbound", ["unbound", "-d", "-c", str(folder / "conf")])
    listens(UNBOUND, 53)


def begin_dnsmasq(house):
    needs("dnsmasq")
    (house.folder / "dnsmasq.conf").write_text(page("dnsmasq") + DNSMASQ_HERE.format(address=DNSMASQ))
    house.begin("dnsmasq", ["dnsmasq", "-C", str(house.folder / "dnsmasq.conf")])
    listens(DNSMASQ, 53)


RESOLVERS = {DIRECT: lambda house: None, UNBOUND: begin_unbound, DNSMASQ: begin_dnsmasq}


@pytest.mark.parametrize("nameserver", RESOLVERS, ids=["agent", "unbound", "dnsmasq"])
def test_getent_follows(programs, nameserver):  # noqa: F811
    RESOLVERS[nameserver](programs)

    def seen(words):
        out, _ = resolving(programs.folder, nameserver, ["getent", *words, NAME])
        return sorted({programs.addresses[line.split()[0]] for line in out.splitlines()})
    follows_changes(programs, lambda: seen(["ahosts"]), "getent ahosts")
    follows(lambda: seen(["hosts"]), "abc", "getent hosts")
    programs.well()
    follows(lambda: seen(["ahosts"]), "", "getent ahosts, all ill")
    assert resolving(programs.folder, nameserver, ["getent", "ahosts", NAME])[1] == 2
    programs.well("c")
    follows(lambda: seen(["ahosts"]), "c", "getent ahosts, c well again")
    out, _ = resolving(programs.folder, nameserver, ["getent", "ahosts", "web"])
    assert {programs.addresses[line.split()[0]] for line in out.splitlines()} == {"c"}, "the search path"


@pytest.mark.parametrize("nameserver", RESOLVERS, ids=["agent", "unbound", "dnsmasq"])
def test_dig_sees_srv_records_with_their_addresses(programs, nameserver):  # noqa: F811
    RESOLVERS[nameserver](programs)
    asked = ["dig", f"@{nameserver}", "+tries=3", "+time=5", "+short", f"_web._tcp.{NAME.split('.', 1)[1]}", "SRV"]
    out = subprocess.run(asked, capture_output=True, text=True, timeout=patient(30), check=True).stdout
    targets = [line.split() for line in out.splitlines()]
    assert [fields[2] for fields in targets] == ["8000"] * 3, out
    addresses = [subprocess.run([*asked[:5], fields[3], "A"], capture_output=True, text=True, timeout=patient(30), check=True).stdout.strip()
                 for fields in targets]
    assert sorted(addresses) == sorted(programs.addresses)


MUSL = """
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
int main(int count, char **words)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = 0;
    char text[64];
    if (count != 2 || getaddrinfo(words[1], 0, &hints, &found) != 0) return 2;
    for (; found; found = found->ai_next)
        puts(inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text));
    return 0;
}
"""


def test_musl_follows(programs):  # noqa: F811
    needs("musl-gcc")
    (programs.folder / "musl.c").write_text(MUSL)
    program = str(programs.folder / "musl")
    subprocess.run([find("musl-gcc"), "-o", program, str(programs.folder / "musl.c")], check=True, timeout=patient(30))

    def seen():
        out, _ = resolving(programs.folder, DIRECT, [program, NAME])
        return sorted({programs.addresses[line] for line in out.splitlines()})
    follows_changes(programs, seen, "musl")


class Cares:
    def __init__(self):
        pycares = pytest.importorskip("pycares")
        self.types, self.error = pycares, None
        self.channel = pycares.Channel(servers=["127.0.0.1"], udp_port=8600, tcp_port=8600, timeout=2, tries=3)

    def ask(self, name, kind):
        """The records, or an empty list."""
        found = []
        self.channel.query(name, kind, lambda result, error: found.append(result or []))
        while not found:
            reading, writing = self.channel.getsock()
            if not reading and not writing:
                break
            ready = select.select(reading, writing, [], min(self.channel.timeout(), 1))
            for fd in ready[0] + ready[1] or [self.types.ARES_SOCKET_BAD]:
                self.channel.process_fd(fd if fd in ready[0] else self.types.ARES_SOCKET_BAD,
                                        fd if fd in ready[1] else self.types.ARES_SOCKET_BAD)
        return found[0] if found else []


def test_c_ares_follows(programs):  # noqa: F811
    cares = Cares()
    follows_changes(programs, lambda: sorted(programs.addresses[each.host] for each in cares.ask(NAME, cares.types.QUERY_TYPE_A)), "c-ares, A")
    found = cares.ask("_web._tcp.service.rollcall", cares.types.QUERY_TYPE_SRV)
    assert [each.port for each in found] == [8000] * 3


def test_c_ares_and_glibc_see_all_of_many_instances(programs):  # noqa: F811
    """More than a packet holds: the answer is marked as cut, and they ask again over TCP."""
    many = [f"10.77.0.{i + 1}" for i in range(150)]
    try:
        for i, address in enumerate(many):
            service = {"ID": f"many-{i}", "Name": "many", "Address": address, "Port": 80}
            assert programs.first.call("PUT", "/v1/agent/service/register", service).status == 200
        cares = Cares()
        assert sorted(each.host for each in cares.ask("many.service.rollcall", cares.types.QUERY_TYPE_A)) == sorted(many)
        follows(lambda: sorted({line.split()[0] for line in resolving(
            programs.folder, DIRECT, ["getent", "ahosts", "many.service.rollcall"])[0].splitlines()}), many, "getent")
    finally:
        for i in range(len(many)):
            programs.first.call("PUT", f"/v1/agent/service/deregister/many-{i}")


def test_the_manual_pages_lines_for_c_ares_compile(tmp_path):
    needs("gcc")
    (tmp_path / "ask.c").write_text(page("c-ares"))
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(tmp_path / "ask.c")], check=True, timeout=patient(30))
