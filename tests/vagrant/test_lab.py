"""A day with the lab on containers, in the order of the day: each test takes the lab as the one before has left it."""
import json
import re
import subprocess

import adm1
from browser import Browser
from machines import PICTURES, TREE, traces, until

TOKEN = "rollcall-token"  # agent/ui/app.js
KNOWN = "document.querySelector('h1, h2') && !/Asking/.test(document.body.innerText)"  # it has had its first answers
HEALING = "/etc/rollcall/todomvc.hcl"  # vagrant/roles/webapp
NO_RESTART = "/run/systemd/system/todomvc.service.d"
FIVE = ["adm1", "pg1", "pg2", "web1", "web2"]
# What provisioning may change on a machine: files of its own, and services that began anew.
STATE = r"""sudo sh -c '
find /etc /srv /usr/bin/rollcall* -type f ! -path "/etc/.*" -exec sha256sum {} + | sort -k 2
find /etc /srv -type f -printf "%m %u %g %T@ %p\n" | sort
systemctl show --property=Id,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic --type=service --state=running "*" |
    grep -v "^$" | paste - - - | grep -v -e user@ -e user-runtime -e ssh@ -e hostnamed -e timedated'"""


def whole(machines, names):
    """Everybody sees everybody, the webapps serve, a standby follows."""
    for name in names:
        until(lambda name=name: machines.alive(name) == sorted(names), f"{name} sees {len(names)} alive", seconds=120)
    for name in names:
        if name.startswith("web"):
            until(lambda name=name: machines.curl(f"http://{machines.address(name)}/_health")[0] == 200, f"{name} reads and writes")
    until(lambda: followed(machines), "a standby follows the primary", seconds=180)


def followed(machines):
    view = machines.api("adm1", "/v1/postgres/main")
    return bool(view["Primary"] and view["Primary"]["Writable"] and view["Sync"] and view["Sync"]["Names"])


def served_well(outcome):
    assert outcome["requests"] > 0 and outcome["failed"] == 0, outcome


def dig(machines, name, question, kind, port=8600):
    out = machines.run(name, f"dig @127.0.0.1 -p {port} +short +tries=3 +time=5 {question} {kind}")
    return sorted(line for line in out.splitlines() if line and not line.startswith(";"))


def test_five_machines_come_up_from_nothing(machines):
    machines.vagrant("up")
    whole(machines, FIVE)
    for name in FIVE:
        failed = machines.run(name, "systemctl --failed --plain --no-legend")
        assert failed == "", f"{name}: {failed}"


def test_provisioning_again_changes_nothing(machines):
    before = {name: machines.run(name, STATE).splitlines() for name in FIVE}
    said = machines.vagrant("provision")
    after = {name: machines.run(name, STATE).splitlines() for name in FIVE}
    for name in FIVE:
        assert set(before[name]) ^ set(after[name]) == set(), f"{name}\n{said[-3000:]}"


def _add_in_page(page, title):
    page.click(".new input")
    page.type(title)
    page.enter()
    page.until(f"[...document.querySelectorAll('.list label')].some((l) => l.textContent === {json.dumps(title)})")


def test_to_dos_are_added_and_completed_in_a_browser_through_each_web_node(machines):
    with Browser() as page:
        for name, scheme in (("web1", "http"), ("web2", "https")):
            page.open(f"{scheme}://{machines.address(name)}/")
            page.until("/served by web/.test(document.body.innerText)")
            _add_in_page(page, f"buy milk at {name}")
            _add_in_page(page, f"call {name} back")
            page.click(".list li:last-child input")
            page.until("document.querySelector('.list li:last-child').className === 'done'")
            page.picture(PICTURES / f"todos-{name}.png")
    for name in ("web1", "web2"):
        until(lambda name=name: len(machines.titles(name)) == 4, f"{name} shows what was typed at both")


def test_the_certificate_is_the_labs(machines):
    done = subprocess.run(["curl", "-s", "-m", "20", "--cacert", str(TREE / ".vagrant" / "rollcall" / "ca.pem"), "-w", "%{http_code}",
                           "-o", "/dev/null", f"https://{machines.address('web2')}/"], capture_output=True, text=True, check=False)
    assert done.stdout == "200"


def test_dns_tells_who_serves_and_who_is_primary(machines):
    webs = [machines.address("web1"), machines.address("web2")]
    for name in FIVE:
        assert dig(machines, name, "todomvc.service.rollcall", "A") == webs
        assert dig(machines, name, "primary.postgres.service.rollcall", "A") == [machines.address(machines.primary())]
        srv = dig(machines, name, "_todomvc._tcp.service.rollcall", "SRV")
        assert [line.split()[2:] for line in srv] == [["8000", "web1.node.dc1.rollcall."], ["8000", "web2.node.dc1.rollcall."]]


def test_every_program_on_a_node_finds_names_below_rollcall(machines):
    for name in FIVE:
        first = machines.run(name, "getent ahostsv4 web2.node.rollcall; for i in $(seq 30); do getent ahostsv4 todomvc.service.rollcall | head -n 1; done")
        assert first.split()[0] == machines.address("web2")
        seen = {line.split()[0] for line in first.splitlines() if "todomvc" in line}
        # A program on a node that serves is at its own instance: the C library puts the nearest address first (RFC 6724, rule 9).
        assert seen == ({machines.address(name)} if name.startswith("web") else {machines.address("web1"), machines.address("web2")}), name


def test_every_node_has_an_ipv6_address(machines):
    for name in FIVE:
        machines.run(name, "ping -6 -c 1 -W 5 fd00:11::5")
    with Browser() as page:
        page.open("http://[fd00:11::21]/")
        page.until("/served by web/.test(document.body.innerText)")


def test_the_api_asks_for_a_token(machines):
    for path in ("/v1/catalog/nodes", "/v1/catalog/services", "/v1/internal/ui/nodes"):
        assert json.loads(machines.run("adm1", f"curl -s http://127.0.0.1:8500{path}") or "[]") in ([], {}), path
    assert machines.run("adm1", "curl -s -o /dev/null -w '%{http_code}' -X PUT -d x http://127.0.0.1:8500/v1/kv/x") == "403"
    assert len(machines.api("adm1", "/v1/catalog/nodes")) == 5
    assert machines.run("web2", "rollcall kv put x y 2>&1", check=False).count("403"), "who is no operator may not write"


def _page(machines, page, port):
    """The status page with an operator's token, as its settings keep it."""
    page.open(f"http://127.0.0.1:{port}/ui/")
    page.value(f"sessionStorage.setItem('{TOKEN}', {json.dumps(machines.operator())})")
    page.open(f"http://127.0.0.1:{port}/ui/")


def test_the_status_page_shows_nothing_without_a_token_and_all_with_one(machines):
    with machines.tunnel("adm1", 8500) as port, Browser() as page:
        page.open(f"http://127.0.0.1:{port}/ui/")
        page.until(KNOWN)
        page.picture(PICTURES / "page-without-token.png")
        assert "todomvc" not in page.text()
        _page(machines, page, port)
        page.until(f"{KNOWN} && ['todomvc', 'postgres'].every((word) => document.body.innerText.includes(word))")
        page.picture(PICTURES / "page.png")


def test_gossip_is_encrypted(machines):
    # A member without the key, inside the lab: nobody takes it in.
    machines.run("web2", "sudo timeout 8 rollcall agent -node=stranger -bind=127.0.0.2 -data-dir=/tmp/stranger -http-port=-1 -dns-port=-1 "
                         f"-server-port=-1 -retry-join={machines.address('adm1')} >/dev/null 2>&1", check=False)
    assert "stranger" not in machines.run("adm1", "sudo rollcall members")


def test_from_a_sixth_machine_only_the_listed_ports_answer(machines):
    adm1.from_a_sixth_machine_only_the_listed_ports_answer(machines, FIVE)


def test_prometheus_asks_everybody(machines):
    adm1.prometheus_asks_everybody(machines, FIVE)


def test_journals_of_all_nodes_are_on_adm1(machines):
    adm1.journals_of_all_nodes_are_on_adm1(machines, FIVE)


def test_the_dump_comes_from_a_standby_and_restores(machines):
    adm1.the_dump_comes_from_a_standby_and_restores(machines)


def test_the_weekly_job_runs_on_one_web_node(machines):
    adm1.the_weekly_job_runs_on_one_web_node(machines, FIVE)


def test_redis_is_found_like_any_service(machines):
    adm1.redis_is_found_like_any_service(machines)


def test_a_new_version_comes_by_ssh_without_a_failed_request(machines, tmp_path):
    adm1.a_new_version_comes_by_ssh_without_a_failed_request(machines, tmp_path, served_well)


def test_a_stopped_webapp_is_seen_and_routed_around(machines):
    load = machines.load("web1", 20)
    machines.vagrant("ssh", "web1", "-c", "sudo systemctl stop todomvc")
    until(lambda: dig(machines, "pg2", "todomvc.service.rollcall", "A") == [machines.address("web2")], "web1 has left DNS")
    served_well(machines.collect(load))
    checks = machines.api("adm1", "/v1/health/checks/todomvc")
    assert {check["Node"] for check in checks if check["Status"] == "critical"} == {"web1"}
    with machines.tunnel("adm1", 8500) as port, Browser() as page:
        _page(machines, page, port)
        page.until(f"{KNOWN} && document.body.innerText.includes('todomvc')")
        page.picture(PICTURES / "page-one-webapp-less.png")
    machines.vagrant("ssh", "web1", "-c", "sudo systemctl start todomvc")
    until(lambda: len(dig(machines, "pg2", "todomvc.service.rollcall", "A")) == 2, "web1 is back in DNS")


def _restarts(machines):
    return machines.api("web1", "/v1/agent/checks")["todomvc-unit"]["Restart"]


def _kill_webapp(machines):
    """As the kernel kills who takes too much memory. Says what it was."""
    return machines.run("web1", "pid=$(systemctl show -p MainPID --value todomvc); sudo kill -9 $pid; echo $pid").strip()


def _webapp_of(machines):
    """The process that runs; '' if none does."""
    return machines.run("web1", "! systemctl is-active -q todomvc || systemctl show -p MainPID --value todomvc").strip()


def test_a_killed_webapp_is_brought_back_within_a_budget(machines):
    before = _kill_webapp(machines)
    until(lambda: _webapp_of(machines) not in ("", before), "systemd has started it again")
    assert _restarts(machines)["Count"] == 0
    machines.run("web1", f"sudo mkdir -p {NO_RESTART} && printf '[Service]\\nRestart=no\\n' | sudo tee {NO_RESTART}/test.conf && sudo systemctl daemon-reload")
    before = _kill_webapp(machines)
    until(lambda: _restarts(machines)["Count"] == 1 and _webapp_of(machines) not in ("", before), "its check has had it restarted")
    events = [event for event in machines.api("web1", "/v1/internal/ui/events?kind=restart") if event["Check"] == "todomvc-unit"]
    assert [(event["Kind"], event["Node"], event["Service"], event["To"]) for event in events] == [("restart", "web1", "todomvc", "restarted")]
    until(lambda: len(dig(machines, "pg2", "todomvc.service.rollcall", "A")) == 2, "web1 is back in DNS")
    machines.run("web1", f"sudo sed -i 's/max_per_hour = 5/max_per_hour = 1/' {HEALING} && sudo systemctl reload rollcall")
    until(lambda: _restarts(machines)["MaxPerHour"] == 1, "the budget is what the file says")
    _kill_webapp(machines)
    until(lambda: _restarts(machines)["State"] == "exhausted", "the budget is used up")
    assert _restarts(machines)["Count"] == 1 and _webapp_of(machines) == ""
    machines.run("web1", f"sudo sed -i 's/max_per_hour = 1/max_per_hour = 5/' {HEALING} && sudo systemctl reload rollcall && sudo rm -r {NO_RESTART} && "
                         "sudo systemctl daemon-reload && sudo systemctl start todomvc")
    until(lambda: len(dig(machines, "pg2", "todomvc.service.rollcall", "A")) == 2, "web1 is back in DNS")


def test_a_rebooted_web_node_comes_back_by_itself(machines):
    kept = machines.titles("web2")
    load = machines.load("web1", 40)
    machines.run("web2", "sudo systemctl reboot", check=False)
    until(lambda: "web2" not in machines.alive(), "web2 has left")
    until(lambda: machines.alive() == FIVE, "web2 is back")
    whole(machines, FIVE)
    served_well(machines.collect(load))
    assert kept and machines.titles("web2") == kept


def test_the_primary_moves_when_postgresql_is_stopped(machines):
    old = machines.primary()
    new = "pg2" if old == "pg1" else "pg1"
    machines.run(old, "sudo runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl -D /var/lib/postgresql/rollcall/main -m fast stop")
    until(lambda: machines.primary() == new, f"{new} is primary")
    assert machines.add("web1", f"written to {new}") == 201
    until(lambda: machines.titles("web2")[-1:] == [f"written to {new}"], "it is read through web2")
    assert dig(machines, "web2", "primary.postgres.service.rollcall", "A") == [machines.address(new)]
    whole(machines, FIVE)
    assert machines.primary() == new


def test_halted_machines_come_up_again_with_what_they_had(machines):
    kept = machines.titles("web1")
    machines.vagrant("halt")
    assert machines.curl(f"http://{machines.address('web1')}/", seconds=3)[0] == 0
    machines.vagrant("up")
    whole(machines, FIVE)
    assert machines.titles("web1") == kept


def test_a_third_web_node_comes_with_the_count(machines):
    file = TREE / "Vagrantfile"
    file.write_text(re.sub(r"^WEB_NODES = 2$", "WEB_NODES = 3", file.read_text(), flags=re.MULTILINE))
    machines.vagrant("up")
    six = [*FIVE, "web3"]
    whole(machines, six)
    webs = [machines.address(name) for name in ("web1", "web2", "web3")]
    for name in six:
        until(lambda name=name: dig(machines, name, "todomvc.service.rollcall", "A") == webs, f"{name} names all three")
    served = {machines.curl(f"http://{machines.address('web1')}/api/todos", "-o", "/dev/null", "-D", "-")[1].split("X-Served-By: ")[1].split()[0]
              for _ in range(12)}
    assert served == {"web1", "web2", "web3"}
    with Browser() as page:
        page.open(f"http://{machines.address('web3')}/")
        _add_in_page(page, "welcome web3")
        page.picture(PICTURES / "todos-web3.png")
    machines.vagrant("destroy", "-f", "web3")
    file.write_text(re.sub(r"^WEB_NODES = 3$", "WEB_NODES = 2", file.read_text(), flags=re.MULTILINE))


def test_nothing_is_left_behind_and_five_come_up_from_nothing_with_ipv6_alone(machines):
    machines.vagrant("destroy", "-f")
    until(lambda: not traces(), f"nothing is left: {traces()}", seconds=30)
    machines.environment["ROLLCALL_FAMILY"] = "6"
    try:
        machines.vagrant("up")
        until(lambda: machines.alive() == FIVE, "all see each other")
        assert machines.run("pg1", "ip -4 -o address show dev eth0") == ""
        until(lambda: machines.curl("http://[fd00:11::21]/_health")[0] == 200, "web1 reads and writes")
        assert machines.curl("http://[fd00:11::22]/api/todos", "-d", json.dumps({"title": "by IPv6"}))[0] == 201
        until(lambda: dig(machines, "pg2", "todomvc.service.rollcall", "AAAA") == ["fd00:11::21", "fd00:11::22"], "DNS tells AAAA")
        machines.vagrant("destroy", "-f")
        until(lambda: not traces(), f"nothing is left: {traces()}", seconds=30)
    finally:
        machines.environment.pop("ROLLCALL_FAMILY")
