#!/usr/bin/python3
"""The life of a machine on which the packages are installed, used, upgraded while they work, removed and purged.

In order: each test leaves the machine to the next. `make deb-test` builds the packages first.
"""
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import machine as machines
from repository import PACKAGES, SOURCE, built, install, publish

HERE = Path(__file__).resolve().parent
GAP_MOST_MS = 1000
WEB = {"Name": "web", "ID": "web-1", "Port": 8000, "Address": "127.0.0.1",
       "Check": {"HTTP": "http://127.0.0.1:8000/", "Interval": "1s", "Status": "passing"}}


@pytest.fixture(scope="module")
def before(machine):
    """Every file of the machine, before anything is installed."""
    return files(machine)


# What any installation of a package changes: records of dpkg, apt, systemd and logs; users that were made stay.
RECORDS = re.compile(r"""^(var/(lib/(dpkg|apt|systemd|logrotate|ucf)|cache|log|tmp)|run|tmp|proc|sys|dev|host)(/|$)
                     |^etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^etc/\.pwd\.lock$|^etc/ld\.so\.cache$|^root(/|$)
                     |^(etc|var/lib/systemd|var/lib)$""", re.X)


def files(machine):
    found = {}
    for folder, names, leaves in os.walk(machine.root):
        inside = Path(folder).relative_to(machine.root)
        names[:] = [name for name in names if not RECORDS.match(str(inside / name))]
        for name in [*names, *leaves]:
            path = str(inside / name)
            if not RECORDS.match(path):
                told = os.lstat(machine.root / path)
                found[path] = (stat.filemode(told.st_mode), told.st_uid, told.st_gid, told.st_size if stat.S_ISREG(told.st_mode) else 0)
    return found


def passing(machine):
    return [entry["Service"]["ID"] for entry in json.loads(machine.get(8500, "/v1/health/service/web?passing"))]


@contextlib.contextmanager
def traffic(machine, *words):
    """What came of it, in the dictionary, when the block has ended."""
    result = {}
    process = machine.beside(sys.executable, HERE / "traffic.py", *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield result
        result.update(json.loads(process.communicate(timeout=machines.LONG)[0]))
    finally:
        process.kill()
        process.wait()


def test_packages_come_from_the_signed_repository_and_run_at_once(machine, before):
    install(machine, *PACKAGES)
    for package in PACKAGES:
        assert machine.show(f"{package}.service", "ActiveState") == "active", machine.journal(package)
        assert machine.show(f"{package}.service", "UnitFileState") == "enabled"
    assert "alive" in machine.run("rollcall", "members").stdout
    assert "<title>" in machine.get(8500, "/ui/")
    assert machine.get(8800, "/health")
    assert machine.run("rollcall", "validate", "/etc/rollcall").stdout == "Configuration is valid!\n"
    listening = machine.run("ss", "-Hlnut").stdout
    assert all(re.search(r"\s(127\.|\[::1\])", line) for line in listening.splitlines()), listening


def test_repository_that_somebody_changed_is_refused(machine, shared, before):
    shutil.copytree(shared / "apt", shared / "changed")
    with (shared / "changed/Packages").open("a") as file:
        file.write("\n")
    (shared / "changed/Packages.gz").unlink()
    other = machine.root / "etc/apt/sources.list.d/changed.sources"
    other.write_text(SOURCE.replace("/host/apt\n", "/host/changed\n"))
    refused = machine.run("apt-get", "update", "-q", check=False)
    other.unlink()
    shutil.rmtree(shared / "changed")
    machine.run("apt-get", "update", "-q")
    assert refused.returncode != 0 or "unexpected size" in refused.stderr + refused.stdout, refused


def test_programs_are_users_of_their_own_who_keep_secrets(machine):
    for package in PACKAGES:
        user = machine.run("ps", "-o", "user:32=", "-p", machine.show(package, "MainPID")).stdout.strip()
        assert user == package
        assert machine.run("stat", "-c", "%U:%G %a", f"/etc/{package}").stdout.strip() == f"root:{package} 750"
        assert machine.run("stat", "-c", "%U %a", f"/var/lib/{package}").stdout.strip() == f"{package} 700"
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/rollcall/rollcall.hcl").stdout.strip() == "root:rollcall 640"


@pytest.mark.parametrize("package", PACKAGES)
def test_sandbox_is_what_the_unit_says(machine, package):
    judged = machine.run("systemd-analyze", "security", "--no-pager", f"{package}.service", check=False).stdout
    assert float(re.search(r"Overall exposure level for .*: ([0-9.]+)", judged).group(1)) <= 2.5, judged
    status = Path(f"/proc/{machine.pid}/root/proc/{machine.show(package, 'MainPID')}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M) and re.search(r"^Seccomp:\s2$", status, re.M)
    bounding = int(re.search(r"^CapBnd:\s(\w+)$", status, re.M).group(1), 16)
    assert bounding == (1 << 10 if package == "rollcall-proxy" else 0)


def test_services_are_found_and_routed_to(machine):
    put = subprocess.run(["nsenter", f"--target={machine.pid}", "--net", "curl", "-sS", "-f", "-X", "PUT", "-d", json.dumps(WEB),
                          "http://127.0.0.1:8500/v1/agent/service/register"], check=True, timeout=machines.LONG)
    assert put.returncode == 0
    machine.until(lambda: passing(machine) == ["web-1"])
    machine.until(lambda: machine.get(8080, "/"))


def test_reload_reads_the_configuration_again(machine):
    text = 'service { name = "extra" port = 9 }\n'
    (machine.root / "etc/rollcall/extra.hcl").write_text(text)
    machine.run("systemctl", "reload", "rollcall")
    machine.until(lambda: json.loads(machine.get(8500, "/v1/catalog/service/extra")))
    (machine.root / "etc/rollcall/extra.hcl").unlink()
    machine.run("systemctl", "reload", "rollcall")
    machine.until(lambda: json.loads(machine.get(8500, "/v1/catalog/service/extra")) == [])
    machine.run("systemctl", "reload", "rollcall-proxy")
    machine.until(lambda: "configuration reloaded" in machine.journal("rollcall-proxy"))


def test_access_log_is_rotated_and_goes_on(machine):
    log = machine.root / "var/log/rollcall-proxy/access.log"
    machine.until(lambda: log.read_text())
    machine.run("logrotate", "--force", "/etc/logrotate.d/rollcall-proxy")
    machine.run("logrotate", "--force", "/etc/logrotate.d/rollcall")
    assert log.with_suffix(".log.1").exists()

    def goes_on():
        machine.get(8080, "/?after")
        return "/?after" in log.read_text()
    machine.until(goes_on)


def test_an_upgrade_keeps_registrations_answers_and_connections(machine, shared):
    proxy, agent = (machine.show(name, "MainPID") for name in ("rollcall-proxy", "rollcall"))
    publish(shared, *built().values())
    with traffic(machine, "dns", "web.service.rollcall", 8600) as asked, traffic(machine, "http", 8080) as visited:
        time.sleep(2)  # some of before
        said = install(machine, *PACKAGES)
        time.sleep(2)  # and some of after
    print(asked, visited)
    for package in PACKAGES:
        assert f"Setting up {package} " in said and "~former" not in machine.run("dpkg-query", "-W", package).stdout
        assert machine.show(package, "ActiveState") == "active"
        assert not os.readlink(f"/proc/{machine.pid}/root/proc/{machine.show(package, 'MainPID')}/exe").endswith("(deleted)")
    assert machine.show("rollcall", "MainPID") != agent
    assert machine.show("rollcall-proxy", "MainPID") != proxy
    assert machine.show("rollcall-proxy", "NRestarts") == "0"
    assert passing(machine) == ["web-1"]
    assert "leaving the cluster" not in machine.journal("rollcall")
    assert visited["failed"] == 0 and visited["served"] > 100, visited
    assert asked["gap_ms"] <= GAP_MOST_MS * machines.SLOW, asked


def test_a_proxy_that_took_over_is_reloaded_restarted_and_stopped_as_any(machine):
    former = machine.show("rollcall-proxy", "MainPID")
    machine.run("systemctl", "reload", "rollcall-proxy")
    assert machine.show("rollcall-proxy", "MainPID") == former
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "rollcall-proxy")
    machine.until(lambda: machine.show("rollcall-proxy", "MainPID") not in (former, "0"))
    machine.until(lambda: machine.get(8080, "/"))
    machine.run("systemctl", "restart", "rollcall-proxy")
    machine.until(lambda: machine.get(8080, "/"))


def test_a_proxy_whose_new_program_cannot_serve_goes_on(machine):
    """The package says so, and is installed."""
    config = machine.root / "etc/rollcall-proxy/proxy.conf"
    former, text = machine.show("rollcall-proxy", "MainPID"), config.read_text()
    config.write_text("nonsense\n")
    # As if its file were another one: what an upgrade does, without waiting for dpkg.
    machine.run("cp", "/usr/bin/rollcall-proxy", "/usr/bin/rollcall-proxy.new")
    machine.run("mv", "/usr/bin/rollcall-proxy.new", "/usr/bin/rollcall-proxy")
    machine.run("systemctl", "kill", "--signal=USR2", "--kill-whom=main", "rollcall-proxy")
    machine.until(lambda: "upgrade refused, all stays as it was" in machine.journal("rollcall-proxy"))
    assert machine.show("rollcall-proxy", "MainPID") == former
    assert machine.get(8080, "/")
    config.write_text(text)


def test_removed_packages_keep_configuration_and_state(machine):
    machine.run("apt-get", "remove", "-q", "-y", *PACKAGES)
    for package in PACKAGES:
        assert machine.show(package, "ActiveState") == "inactive"
        assert (machine.root / "etc" / package).is_dir() and (machine.root / "var/lib" / package).is_dir()
        assert not (machine.root / "usr/bin" / package).exists()
    install(machine, *PACKAGES)
    machine.until(lambda: passing(machine) == ["web-1"])


def test_purged_packages_leave_nothing(machine, before):
    (machine.root / "etc/rollcall/mine.hcl").write_text('node_meta { a = "b" }\n')
    machine.run("apt-get", "purge", "-q", "-y", *PACKAGES)
    after = files(machine)
    assert {path: after[path] for path in after if before.get(path) != after[path]} == {}
    assert {path for path in before if path not in after} == set()
    for path in ("var/log/rollcall", "var/log/rollcall-proxy", "var/lib/rollcall", "var/lib/rollcall-proxy"):
        assert not (machine.root / path).exists(), path
    left = machine.run("find", "/etc/systemd", "/var/lib/systemd", "-name", "*rollcall*").stdout.split()
    assert [path for path in left if "timers" not in path] == []
    assert machine.run("systemctl", "is-system-running", check=False).stdout.strip() == "running"
