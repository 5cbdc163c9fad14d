"""What `make install` and the packages bring beside the programs: completion, units, configuration to begin with."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
UNITS = sorted([*ROOT.glob("agent/*.service"), *ROOT.glob("proxy/*.service")])
EXPOSED_MOST = 2.5  # of 10, by systemd's own judgement
COMPLETE = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_rollcall "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def said(*words):
    return subprocess.run([str(BUILD / words[0]), *words[1:]], capture_output=True, text=True, timeout=patient(30), check=True).stdout


def completed(*words):
    """What bash offers for the last of the words."""
    done = subprocess.run(["bash", "-c", COMPLETE, "bash", str(ROOT / "scripts/completion/rollcall.bash"), str(BUILD / words[0]), *words[1:]],
                          capture_output=True, text=True, timeout=patient(30), check=True, cwd=ROOT / "scripts")
    assert done.stderr == ""
    return done.stdout.split()


def commands(program, text):
    return sorted(re.findall(r"^  ([a-z][a-z-]*) ", text, re.M))


@pytest.mark.parametrize("program", ["rollcall", "rollcall-proxy"])
def test_completion_knows_each_command_and_its_flags(program):
    names = commands(program, said(program, "-help"))
    assert len(names) >= 3
    assert completed(program, "") == names
    for name in names:
        flags = sorted(set(re.findall(r"^  (-[a-z][a-z0-9-]*)", said(program, name, "-help"), re.M)))
        assert completed(program, name, "-") == flags, name


def test_completion_goes_on_as_the_usage_does():
    assert completed("rollcall", "me") == ["members"]
    assert completed("rollcall", "pg", "s") == ["settings", "start", "status", "stop", "switchover"]
    assert completed("rollcall", "operator", "raft", "") == ["list-peers"]
    assert completed("rollcall", "acl", "token", "c") == ["clone", "create"]
    assert completed("rollcall", "members", "-status", "") == []
    assert completed("rollcall", "validate", "lay") == ["layers.txt"]
    assert completed("rollcall-proxy", "check", "-config", "lay") == ["layers.txt"]
    assert completed("rollcall", "agent", "-config-file", "=", "lay") == ["layers.txt"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_completion_for_zsh_is_well_formed():
    subprocess.run(["zsh", "-n", str(ROOT / "scripts/completion/rollcall.zsh")], timeout=patient(30), check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_expose_little(unit):
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True,
                            timeout=patient(60), check=False)
    level = re.search(r"Overall exposure level for .*: ([0-9.]+)", judged.stdout)
    assert level, judged.stderr
    assert float(level.group(1)) <= EXPOSED_MOST, judged.stdout


def test_what_is_installed_stands_in_the_lists_of_packages(tmp_path):
    """With the paths of the place where it is."""
    subprocess.run(["make", "-C", str(ROOT), "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/rollcall", f"BUILD={BUILD.name}"],
                   env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL, timeout=patient(600), check=True)
    there = {str(file.relative_to(tmp_path / "opt/rollcall")) for file in tmp_path.rglob("*") if file.is_file()}
    for unit in UNITS:
        text = (tmp_path / "opt/rollcall/lib/systemd/system" / unit.name).read_text()
        assert "ExecStart=/opt/rollcall/bin/rollcall" in text and "/usr/bin" not in text
    packed = set()
    for name in ("rollcall", "rollcall-proxy"):
        for line in (ROOT / f"scripts/debian/{name}.install").read_text().split():
            packed.add(line.removeprefix("usr/").replace("zsh/vendor-completions", "zsh/site-functions"))
    assert there == {path for path in packed if not path.startswith("etc/")}


def test_the_configuration_to_begin_with_is_taken():
    assert said("rollcall", "validate", str(ROOT / "agent/rollcall.hcl")) == "Configuration is valid!\n"
    assert "listen http 127.0.0.1:8080" in said("rollcall-proxy", "check", "-config", str(ROOT / "proxy/proxy.conf"))
