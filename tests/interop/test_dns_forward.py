"""Names of other domains: what an agent asks of other servers, good and bad ones, and what its clients get."""
import concurrent.futures
import json
import shutil
import socket
import subprocess
import time
import urllib.request

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

import dns_upstreams as up
import serf_pool
from dns_upstreams import Upstream
from patience import patient

PORT, HTTP = 8600, 8500
SERVER = "127.0.0.1"
FRIEND, STRANGER = "203.0.113.5", "192.0.2.7"  # the first may ask about other domains
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin"
pytestmark = pytest.mark.skipif(bool(serf_pool.why_not()), reason=str(serf_pool.why_not()))

# Each at an address of its own; names below "<word>.test" go to the first of each line, then to a good one.
BAD = {"silent": up.silent, "garbage": up.garbage, "wrong-id": up.wrong_id, "wrong-case": up.wrong_case, "wrong-question": up.wrong_question,
       "servfail": up.servfail, "refused": up.refused, "without-edns": up.without_edns}
ALONE = {"mute": up.silent, "failing": up.servfail, "slow": up.slow, "cut": up.large(100), "huge": up.large(4000), "mortal": up.good,
         "thrifty": lambda query, is_tcp: up.reply(query, ["1 A 198.51.100.7"])}


def address_of(number):
    return f"127.0.1.{number}"


class Lab:
    """The servers, dnsmasq that asks back, and the agent between."""

    def __init__(self, folder):
        self.folder = folder
        self.network = serf_pool.Namespace()
        for address in (FRIEND, STRANGER):
            subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
        self.upstreams = {"good": Upstream(address_of(1), up.good)}
        for number, (word, say) in enumerate({**BAD, **ALONE}.items(), 2):
            self.upstreams[word] = Upstream(address_of(number), say)
        self.upstreams["six"] = Upstream("::1", up.good)
        self.processes = []
        self.agent = self._agent()

    def _routes(self):
        good = self.upstreams["good"].text
        for word in BAD:
            yield f'"{word}.test" = ["{self.upstreams[word].text}", "{good}"]'
        for word in (*ALONE, "six"):
            yield f'"{word}.test" = ["{self.upstreams[word].text}"]'
        yield f'"closed.test" = ["{address_of(99)}:{up.PORT}"]'
        yield f'"loop.test" = ["{address_of(98)}:{up.PORT}"]'
        yield f'"knot.test" = ["{address_of(97)}:{up.PORT}"]'
        yield f'"unbound.test" = ["{address_of(96)}:{up.PORT}"]'

    def start(self, words, log):
        words = [shutil.which(words[0], path=PLACES) or words[0], *words[1:]]
        with open(self.folder / log, "wb") as out:
            process = subprocess.Popen(words, stdout=out, stderr=out)
        self.processes.append(process)
        return process

    def _agent(self):
        self.dnsmasq()
        routes = "\n    ".join(self._routes())
        (self.folder / "dns.hcl").write_text(f"""
recursors = ["{self.upstreams["good"].text}"]
dns_config {{
  service_ttl {{ "*" = "5s" }}
  recursor_strategy = "sequential"
  recursion_for = ["loopback", "{FRIEND}/32"]
  forward {{
    {routes}
  }}
}}
service {{ name = "far" address = "far.good.test" port = 80 }}
service {{ name = "gone" address = "nx.good.test" port = 80 }}
""")
        process = self.start([serf_pool.ROLLCALL, "agent", "-dev", "-node=a", f"-dns-port={PORT}", f"-http-port={HTTP}",
                              f"-config-file={self.folder}/dns.hcl", f"-data-dir={self.folder}/data"], "agent.log")
        serf_pool.until(serf_pool.LONG, lambda: quiet_ask("a.node.rollcall"), "no DNS")
        return process

    def dnsmasq(self):
        (self.folder / "dnsmasq.conf").write_text(f"port={up.PORT}\nlisten-address={address_of(98)}\nbind-interfaces\nno-resolv\nno-hosts\n"
                                                  f"user=root\ngroup=root\nserver={SERVER}#{PORT}\npid-file=\n")
        self.start(["dnsmasq", "-C", str(self.folder / "dnsmasq.conf"), "-k"], "dnsmasq.log")

    def metric(self, name):
        with urllib.request.urlopen(f"http://{SERVER}:{HTTP}/v1/agent/metrics?format=prometheus", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def log(self):
        return (self.folder / "agent.log").read_text()

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        codes = [process.wait(serf_pool.LONG) for process in self.processes]
        for upstream in self.upstreams.values():
            upstream.close()
        self.network.leave()
        assert codes[self.processes.index(self.agent)] == 0, self.log()


def ask(name, kind="A", timeout=10.0, tcp=False, source=None, **words):
    flags = words.pop("flags", dns.flags.RD)
    query = dns.message.make_query(name, kind, flags=flags, **words)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, SERVER, timeout=patient(timeout), port=PORT, source=source)


def quiet_ask(name):
    try:
        return ask(name, timeout=1)
    except (OSError, dns.exception.Timeout):
        return None


def data(answer):
    return sorted(str(record) for records in answer.answer for record in records)


def errors(answer):
    return [int.from_bytes(option.to_wire()[:2], "big") for option in answer.options if option.otype == 15]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("forward"))
    yield lab
    lab.close()


def test_an_answer_is_passed_on_and_kept(lab):
    first = ask("Kept.Good.Test")
    time.sleep(1.1)
    second = ask("kept.good.test")
    assert first.rcode() == dns.rcode.NOERROR and data(first) == ["198.51.100.7"]
    assert first.flags & dns.flags.RA and not first.flags & dns.flags.AA
    assert first.question[0].name.to_text() == "Kept.Good.Test."
    assert first.answer[0].ttl in (76, 77) and 60 <= second.answer[0].ttl <= 76
    assert lab.upstreams["good"].names().count("kept.good.test") == 1
    assert lab.metric('rollcall_dns_forward_questions_total{result="cached"}') >= 1


def test_nothing_of_the_client_goes_out(lab):
    cookie = dns.edns.GenericOption(10, b"clients!")
    ask("private.good.test", options=[cookie, dns.edns.ECSOption("203.0.113.0", 24)], use_edns=0)
    sent = [query for query in lab.upstreams["good"].asked if query.question[0].name.to_text().lower() == "private.good.test."]
    assert [option.otype for option in sent[0].options] == [up.LOOP_MARK]
    assert sent[0].payload == 1232 and up.marks(sent[0])[0][1] == 1


def test_a_server_may_have_an_ipv6_address(lab):
    assert data(ask("a.six.test")) == data(ask("a.six.test", tcp=True)) == ["198.51.100.7"]
    assert lab.upstreams["six"].names() == ["a.six.test"]


def test_wishes_about_dnssec_are_passed_on_and_kept_apart(lab):
    ask("signed.good.test")
    ask("signed.good.test", want_dnssec=True)
    ask("signed.good.test", want_dnssec=True, flags=dns.flags.RD | dns.flags.CD)
    sent = [query for query in lab.upstreams["good"].asked if query.question[0].name.to_text().lower() == "signed.good.test."]
    assert [bool(query.ednsflags & dns.flags.DO) for query in sent] == [False, True, True]
    assert [bool(query.flags & dns.flags.CD) for query in sent] == [False, False, True]


def test_a_name_that_is_not_there_is_not_asked_for_again(lab):
    answers = [ask("nx.one.test") for _ in range(3)]
    assert [answer.rcode() for answer in answers] == [dns.rcode.NXDOMAIN] * 3
    assert answers[2].authority[0].rdtype == dns.rdatatype.SOA
    assert lab.upstreams["good"].names().count("nx.one.test") == 1


@pytest.mark.parametrize("word", list(BAD))
def test_where_one_server_is_no_use_the_next_is_asked(lab, word):
    answer = ask(f"a.{word}.test")
    assert (answer.rcode(), data(answer)) == (dns.rcode.NOERROR, ["198.51.100.7"])
    assert lab.upstreams[word].names()


def test_without_edns_the_same_server_answers(lab):
    ask("b.without-edns.test")
    assert "b.without-edns.test" not in lab.upstreams["good"].names()


@pytest.mark.parametrize("word, error", [("mute", 22), ("failing", 22), ("closed", 23)])
def test_where_all_fail_the_answer_says_so(lab, word, error):
    answer = ask(f"a.{word}.test", use_edns=0)
    assert answer.rcode() == dns.rcode.SERVFAIL
    assert errors(answer) == [error]


def test_a_cut_answer_is_fetched_over_tcp_and_cut_again(lab):
    small, plain, whole = ask("a.cut.test", use_edns=0, payload=1232), ask("a.cut.test"), ask("a.cut.test", tcp=True)
    assert small.flags & dns.flags.TC and 60 < len(data(small)) < 100
    assert plain.flags & dns.flags.TC and 25 < len(data(plain)) < 32
    assert not whole.flags & dns.flags.TC and len(data(whole)) == 100
    assert len(lab.upstreams["cut"].names()) == 2  # UDP, then TCP, for all three


def test_a_message_of_64_kilobytes_arrives_whole(lab):
    answer = ask("a.huge.test", tcp=True)
    assert len(data(answer)) == 4000 and not answer.flags & dns.flags.TC


def test_equal_questions_are_asked_once(lab):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: ask("joined.slow.test" if i % 2 else "JOINED.slow.test"), range(20)))
    assert all(data(answer) == ["198.51.100.7"] for answer in answers)
    assert lab.upstreams["slow"].names().count("joined.slow.test") == 1
    assert lab.metric('rollcall_dns_forward_questions_total{result="joined"}') >= 1


def test_a_stale_answer_is_better_than_none(lab):
    lab.upstreams["thrifty"].say = ALONE["thrifty"]
    assert data(ask("a.thrifty.test")) == ["198.51.100.7"]
    lab.upstreams["thrifty"].say = up.silent
    time.sleep(1.2)
    answer = ask("a.thrifty.test", use_edns=0)
    begin = time.monotonic()
    again = ask("a.thrifty.test", use_edns=0)
    assert time.monotonic() - begin < patient(1)  # for a while nobody is waited for
    for one in (answer, again):
        assert (data(one), one.answer[0].ttl, errors(one)) == (["198.51.100.7"], 30, [3])


def test_a_server_that_comes_back_is_used_again(lab):
    mortal = lab.upstreams["mortal"]
    mortal.say = up.silent
    for i in range(3):
        ask(f"down{i}.mortal.test")
    assert f"recursor {mortal.text} is down" in lab.log()
    mortal.say = up.good
    assert data(ask("up.mortal.test")) == ["198.51.100.7"]
    serf_pool.until(serf_pool.LONG, lambda: f"recursor {mortal.text} answers again" in lab.log(), lab.log)
    assert lab.log().count(f"recursor {mortal.text} is down") == 1


def test_who_must_not_ask_is_refused(lab):
    assert ask("rd.good.test", flags=0).rcode() == dns.rcode.REFUSED
    stranger = ask("stranger.good.test", source=STRANGER)
    own = ask("a.node.rollcall", source=STRANGER)
    assert stranger.rcode() == dns.rcode.REFUSED and not stranger.flags & dns.flags.RA and not own.flags & dns.flags.RA
    assert ask("friend.good.test", source=FRIEND).rcode() == dns.rcode.NOERROR
    assert ask("a.node.rollcall", source=FRIEND).flags & dns.flags.RA
    assert not {"rd.good.test", "stranger.good.test"} & set(lab.upstreams["good"].names())


def test_our_own_names_go_to_nobody(lab):
    for name in ("nobody.service.rollcall", "nobody.node.consul", "x.rollcall"):
        assert ask(name).rcode() == dns.rcode.NXDOMAIN
    assert not [name for name in lab.upstreams["good"].names() if name.endswith(("rollcall", "consul"))]


def test_reverse_names_of_others_are_asked_of_others(lab):
    assert data(ask("1.0.0.127.in-addr.arpa", "PTR")) == ["a.node.dc1.rollcall."]
    assert data(ask("7.100.51.198.in-addr.arpa", "PTR")) == ["host.test."]


def test_a_host_of_another_domain_is_resolved_into_our_answer(lab):
    for _ in range(2):
        answer = ask("far.service.rollcall")
        assert data(answer) == ["198.51.100.7", "far.good.test."]
        assert [records.ttl for records in answer.answer] == [5, 5] and answer.flags & dns.flags.AA
    assert lab.upstreams["good"].names().count("far.good.test") == 1
    targets = ask("far.service.rollcall", "SRV")
    assert [str(record) for records in targets.additional for record in records] == ["198.51.100.7"]
    assert data(ask("far.service.rollcall", source=STRANGER)) == ["far.good.test."]
    assert ask("gone.service.rollcall").rcode() == dns.rcode.NXDOMAIN


def test_our_own_mark_and_too_many_hops_end_a_circle(lab):
    ask("marked.good.test")
    instance = up.marks(lab.upstreams["good"].last_about("marked.good.test"))[0][0]
    own = ask("own-mark.good.test", options=[up.mark(instance, 2)], use_edns=0)
    far = ask("far-mark.good.test", options=[up.mark(7, 5)], use_edns=0)
    near = ask("near-mark.good.test", options=[up.mark(7, 3)], use_edns=0)
    assert [answer.rcode() for answer in (own, far, near)] == [dns.rcode.SERVFAIL, dns.rcode.SERVFAIL, dns.rcode.NOERROR]
    assert up.marks(lab.upstreams["good"].last_about("near-mark.good.test")) == [(7, 4)]


def test_a_server_that_asks_us_in_turn_is_found_and_left_alone(lab):
    serf_pool.until(serf_pool.LONG, lambda: f"recursor {address_of(98)}:{up.PORT} asks us in turn" in lab.log(), lab.log)
    begin = time.monotonic()
    answer = ask("a.loop.test", use_edns=0)
    assert (answer.rcode(), errors(answer)) == (dns.rcode.SERVFAIL, [23])
    assert time.monotonic() - begin < patient(1)
    assert lab.metric("rollcall_dns_forward_loops_total") == 1


def test_one_client_does_not_use_up_what_others_need(lab):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind((FRIEND, 0))
        asker.settimeout(patient(10))
        for i in range(80):
            asker.sendto(dns.message.make_query(f"many{i}.mute.test", "A", use_edns=0).to_wire(), (SERVER, PORT))
        refused = [dns.message.from_wire(asker.recv(4096)) for _ in range(16)]
        assert all(answer.rcode() == dns.rcode.SERVFAIL and errors(answer) == [14] for answer in refused)
        assert ask("meanwhile.good.test").rcode() == dns.rcode.NOERROR
        assert lab.metric('rollcall_dns_forward_questions_total{result="limited"}') == 16


def test_knot_and_unbound_are_asked(lab):
    (lab.folder / "knot.test.zone").write_text("knot.test. 60 SOA ns hostmaster 1 2 3 4 60\nknot.test. 60 NS ns\nns.knot.test. 60 A 127.0.0.1\n"
                                               + "".join(f"many.knot.test. 60 TXT \"{i:0200}\"\n" for i in range(40)))
    (lab.folder / "knot.conf").write_text(f'server:\n  rundir: "{lab.folder}"\n  listen: {address_of(97)}@{up.PORT}\ndatabase:\n'
                                          f'  storage: "{lab.folder}"\nzone:\n  - domain: knot.test\n    storage: "{lab.folder}"\n')
    (lab.folder / "unbound.conf").write_text(f"""
server:
  directory: "{lab.folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: {address_of(96)}@{up.PORT}
  access-control: 127.0.0.0/8 allow
  local-zone: "unbound.test." static
  local-data: "www.unbound.test. 60 IN A 198.51.100.9"
remote-control:
  control-enable: no
""")
    lab.start(["knotd", "-c", str(lab.folder / "knot.conf")], "knot.log")
    lab.start(["unbound", "-d", "-c", str(lab.folder / "unbound.conf")], "unbound.log")
    serf_pool.until(serf_pool.LONG, lambda: ask("ns.knot.test").rcode() == dns.rcode.NOERROR, "knot does not answer")
    serf_pool.until(serf_pool.LONG, lambda: data(ask("www.unbound.test")) == ["198.51.100.9"], "unbound does not answer")
    assert len(data(ask("many.knot.test", "TXT", tcp=True))) == 40
    assert ask("many.knot.test", "TXT").flags & dns.flags.TC
    assert ask("nobody.knot.test").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("words, problem", [
    (["-recursor=127.0.0.1:8600"], "recursors: 127.0.0.1:8600 is this agent itself"),
    (["-client=0.0.0.0", "-recursor=127.0.0.53:8600"], "recursors: 127.0.0.53:8600 is this agent itself"),
    (["-recursor=dns.example"], "recursor must be IP addresses, with or without a port, or resolv.conf, not \"dns.example\""),
])
def test_what_cannot_work_is_refused_at_the_start(tmp_path, words, problem):
    ran = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", serf_pool.ROLLCALL, "agent", "-dev", "-node=a",
                          f"-data-dir={tmp_path}/data", *words], capture_output=True, text=True, timeout=serf_pool.LONG, check=False)
    assert ran.returncode != 0
    assert problem in ran.stderr + ran.stdout


RESOLV = """
ip link set lo up
mount --bind "$1" /etc/resolv.conf
shift
exec "$@"
"""


def test_servers_of_resolv_conf_are_asked_and_followed(lab, tmp_path):
    others = Upstream(address_of(200), lambda query, is_tcp: up.reply(query, ["1 A 198.51.100.77"]), port=53)
    more = Upstream(address_of(201), lambda query, is_tcp: up.reply(query, ["1 A 198.51.100.78"]), port=53)
    file = tmp_path / "resolv.conf"
    file.write_text(f"search test\nnameserver {address_of(200)}\n")
    lab.start(["unshare", "-m", "sh", "-c", RESOLV, "sh", str(file), serf_pool.ROLLCALL, "agent", "-dev", "-node=b", "-dns-port=8700",
               "-http-port=8701", "-serf-lan-port=8702", "-server-port=8703", f"-data-dir={tmp_path}/data", "-recursor=resolv.conf"], "second.log")

    def answers(name):
        try:
            query = dns.message.make_query(name, "A")
            return data(dns.query.udp(query, SERVER, port=8700, timeout=patient(2)))
        except (OSError, dns.exception.Timeout):
            return None
    log = (lab.folder / "second.log").read_text
    serf_pool.until(serf_pool.LONG, lambda: answers("a.test") == ["198.51.100.77"], log)
    file.write_text(f"nameserver {address_of(201)}\n")
    serf_pool.until(serf_pool.LONG, lambda: answers("b.test") == ["198.51.100.78"], log)
    lab.processes[-1].terminate()
    lab.processes.pop().wait(serf_pool.LONG)
    for one in (others, more):
        one.close()


def test_settings_are_shown(lab):
    with urllib.request.urlopen(f"http://{SERVER}:{HTTP}/v1/agent/self", timeout=10) as answer:
        text = json.dumps(json.load(answer))
    assert lab.upstreams["good"].text in text
