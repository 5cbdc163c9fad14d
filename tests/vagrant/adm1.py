"""What an operator finds on adm1, and may do from outside: parts of test_lab.py's day."""
import json
import subprocess
import sys

from machines import PLACE, ROOT, TREE, until

sys.path.insert(0, str(ROOT / "tests" / "lab"))
import knock  # noqa: E402

BRIDGE = "rollcall0"
OUTSIDE = "rollcall-sixth"


def _words(*words, **options):
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True, timeout=120, **options).stdout


def from_a_sixth_machine_only_the_listed_ports_answer(machines, names):
    """A machine of nobody's on the same wire, with an address of the same network: not even the one that carries the lab."""
    addresses = {machines.address(name): name for name in names}
    _words("ip", "netns", "add", OUTSIDE)
    try:
        _words("ip", "link", "add", "rollcall-6th", "type", "veth", "peer", "name", "eth0", "netns", OUTSIDE)
        _words("ip", "link", "set", "rollcall-6th", "master", BRIDGE, "up")
        _words("ip", "-n", OUTSIDE, "address", "add", f"{machines.network}.99/24", "dev", "eth0")
        _words("ip", "-n", OUTSIDE, "link", "set", "eth0", "up")
        text = _words("ip", "netns", "exec", OUTSIDE, sys.executable, "-B", knock.__file__, ",".join(addresses), ",".join(map(str, knock.PORTS)))
    finally:
        _words("ip", "netns", "delete", OUTSIDE)
    listed = {"adm": {22: "open"}, "web": {80: "open", 443: "open"}, "pg": {}}
    assert knock.heard(text) == {address: listed[name.rstrip("0123456789")] for address, name in addresses.items()}


def prometheus_asks_everybody(machines, names):
    def answering():
        targets = json.loads(machines.run("adm1", "curl -s -m 20 'http://127.0.0.1:9090/api/v1/targets?state=active'"))["data"]["activeTargets"]
        return {(target["labels"]["job"], target["labels"].get("node")) for target in targets if target["health"] == "up"}
    wanted = {("rollcall", name) for name in names} | {("adm", "adm1")} | {("rollcall-proxy", name) for name in names if name.startswith("web")}
    until(lambda: wanted <= answering(), f"it gets figures of {sorted(wanted)}", seconds=120)
    page = machines.run("adm1", "curl -s -m 20 http://127.0.0.1:9090/consoles/slo.html")
    assert "Objectives for visitors" in page and "error executing" not in page.lower(), page[:2000]
    rules = json.loads(machines.run("adm1", "curl -s -m 20 http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"]
    assert len(rules) >= 8 and all(rule["health"] in ("ok", "unknown") for group in rules for rule in group["rules"]), rules


def journals_of_all_nodes_are_on_adm1(machines, names):
    for name in names:
        machines.run(name, f"logger -t lab-test 'a word of {name}'")
    for name in names:
        until(lambda name=name: f"a word of {name}" in machines.run("adm1", f"sudo grep lab-test /var/log/rollcall/nodes/{name}.log", check=False),
              f"what {name} logs is on adm1", seconds=60)
    # What adm1 cannot take just now comes later.
    machines.run("adm1", "sudo systemctl stop rsyslog.service syslog.socket")
    machines.run("web1", "logger -t lab-test 'while adm1 did not listen'")
    machines.run("adm1", "sudo systemctl start rsyslog.service")
    until(lambda: "while adm1 did not listen" in machines.run("adm1", "sudo grep lab-test /var/log/rollcall/nodes/web1.log", check=False),
          "it is sent again", seconds=120)


def the_dump_comes_from_a_standby_and_restores(machines):
    primary = machines.primary()
    assert machines.add("web1", "in the dump") == 201
    machines.run("adm1", "sudo systemctl start rollcall-backup.service", seconds=300)
    said = machines.run("adm1", "sudo journalctl -q -u rollcall-backup.service -o cat")
    assert f"from {machines.address(primary)}" not in said and "bytes from " in said and "restores" in said and "public.todos_todo " in said, said
    assert "rollcall_backup_from_standby{database=\"todomvc\"} 1" in machines.run("adm1", "curl -s -m 20 http://127.0.0.1:9100/metrics")


def the_weekly_job_runs_on_one_web_node(machines, names):
    webs = [name for name in names if name.startswith("web")]
    for name in webs:
        machines.run(name, "sudo systemctl start --no-block rollcall-weekly.service")
    for name in webs:
        until(lambda name=name: machines.run(name, "systemctl is-active rollcall-weekly.service", check=False).strip() == "inactive", f"it has ended on {name}", seconds=120)
    said = {name: machines.run(name, "sudo journalctl -q -u rollcall-weekly.service -o cat") for name in webs}
    assert sum("finished to-dos of before" in text for text in said.values()) == 1, said
    assert sum("is done already" in text for text in said.values()) == len(webs) - 1, said


def redis_is_found_like_any_service(machines):
    assert machines.run("web1", "getent ahosts redis.service.rollcall").split()[0] in (machines.address("adm1"), "fd00:11::5")
    checks = machines.api("web1", "/v1/health/checks/redis")
    assert [check["Status"] for check in checks] == ["passing"], checks


def a_new_version_comes_by_ssh_without_a_failed_request(machines, tmp_path, served_well):
    """scripts/deploy from the machine that carries the lab; and the last healthy one is not taken away."""
    machines.run("web1", "true")  # so that build/vagrant/ssh-config is there
    deploy = [sys.executable, "-B", TREE / "scripts" / "deploy", "--ssh-config", PLACE / "ssh-config", "--version", "second"]
    _words("cp", "-r", TREE / "vagrant" / "todomvc", tmp_path / "second")
    (tmp_path / "second" / "second").write_text("this is the second\n")
    load = machines.load("web2", 120)
    until(lambda: machines.curl(f"http://{machines.address('web2')}/health")[0] == 200, "it answers")
    done = subprocess.run([*map(str, deploy), str(tmp_path / "second")], env=machines.environment, capture_output=True, text=True, timeout=600, check=False)
    load.send_signal(2)
    assert done.returncode == 0, done.stdout + done.stderr
    served_well(machines.collect(load))
    for name in ("web1", "web2"):
        assert machines.run(name, "readlink /srv/todomvc/current").strip() == "releases/second"
    machines.run("web2", "sudo systemctl stop todomvc")
    until(lambda: "web2" not in machines.run("adm1", "dig @127.0.0.1 -p 8600 +short _todomvc._tcp.service.rollcall SRV"), "web2 has left")
    done = subprocess.run([*map(str, deploy[:-2]), "--back-to", "first"], env=machines.environment, capture_output=True, text=True, timeout=300, check=False)
    machines.run("web2", "sudo systemctl start todomvc")
    assert done.returncode == 2 and "0 healthy of todomvc would be left" in done.stdout + done.stderr, done.stdout + done.stderr
    until(lambda: "web2" in machines.run("adm1", "dig @127.0.0.1 -p 8600 +short _todomvc._tcp.service.rollcall SRV"), "web2 is back")
