#!/usr/bin/python3
"""The manual pages say everything that the programs take, and are well formed."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from manual_examples import example
from patience import patient

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("ROLLCALL_BUILD", "release")
AGENT_PAGE = ROOT / "agent/rollcall.1"
DNS_PAGE = ROOT / "agent/rollcall-dns.7"
TEMPLATE_PAGE = ROOT / "agent/rollcall-template.7"
PROXY_PAGE = ROOT / "proxy/rollcall-proxy.1"


def said(*words):
    result = subprocess.run([str(BUILD / words[0]), *words[1:]], capture_output=True, text=True, timeout=patient(30), check=True)
    return result.stdout


def commands():
    return re.findall(r"^  ([a-z-]+) ", said("rollcall", "help"), re.M)


def macros(page, name):
    """All words that a macro such as Fl is given, commas and the like left out."""
    return set(re.findall(r"[\w.*-]+", " ".join(re.findall(rf"\b{name} ([^\n]*)", page.read_text()))))


def test_every_command_has_its_entry():
    page = AGENT_PAGE.read_text()
    assert len(commands()) >= 14
    for command in commands():
        assert re.search(rf"^\.It Cm {command}\b", page, re.M), command


def test_every_flag_of_the_agent_is_explained():
    flags = re.findall(r"^  -([a-z-]+)", said("rollcall", "agent", "--help"), re.M)
    assert len(flags) > 30
    assert set(flags) <= macros(AGENT_PAGE, "Fl")


def test_every_flag_of_every_command_is_explained():
    for command in commands():
        flags = re.findall(r"^  -([a-z-]+)", said("rollcall", command, "-help"), re.M)
        assert set(flags) <= macros(AGENT_PAGE, "Fl"), command


def test_every_key_of_the_configuration_is_explained():
    table = (ROOT / "agent/config_key.c").read_text().split("agent_config_keys[] = {", 1)[1]
    keys = re.findall(r'(?:\w+\(|\{)"([a-z_.]+)"', re.sub(r"\s+", " ", table).replace("( ", "("))
    assert len(keys) > 150
    assert set(keys) - macros(AGENT_PAGE, "Va") == set()


def test_every_route_of_the_api_is_named():
    text = AGENT_PAGE.read_text()
    for group, name in re.findall(r'(?:AGENT|"/v1/(?:catalog|health|status|coordinate)/)( ")?([a-z-]+)',
                                  (ROOT / "agent/http/routes.c").read_text()):
        assert name in text, (group, name)


def test_every_function_and_setting_of_templates_is_explained():
    functions = re.findall(r'^ +\{"(\w+)", \d', (ROOT / "agent/template/template_function.c").read_text(), re.M)
    assert len(functions) > 50
    assert set(functions) <= macros(TEMPLATE_PAGE, "Ic")
    settings = re.findall(r'(?:ENTRY|AGENT)\("(\w+)"', (ROOT / "agent/template/template_config.c").read_text())
    assert len(settings) > 20
    assert set(settings) <= macros(TEMPLATE_PAGE, "Va")


def test_every_option_and_word_of_the_proxy_is_explained():
    options = re.findall(r"^  -([a-z-]+)", said("rollcall-proxy", "-help"), re.M)
    assert len(options) == 5
    assert set(options) <= macros(PROXY_PAGE, "Fl")
    words = set()
    for file in (ROOT / "proxy/config").glob("*.c"):
        words |= set(re.findall(r'\{"([a-z_]+)", CONFIG_RULE', file.read_text()))
    assert len(words) > 40
    assert words - macros(PROXY_PAGE, "Ic") == set()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="needs mandoc")
@pytest.mark.parametrize("page", [AGENT_PAGE, DNS_PAGE, TEMPLATE_PAGE, PROXY_PAGE], ids=lambda page: page.stem)
def test_pages_are_well_formed(page):
    found = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True, timeout=patient(30),
                           check=False).stdout
    assert [line for line in found.splitlines() if "referenced manual not found" not in line] == []


def test_keys_that_the_page_about_dns_names_are_the_agents():
    known = macros(AGENT_PAGE, "Va")
    named = {key for key in macros(DNS_PAGE, "Va") if "_" in key}
    assert {key for key in named if not any(other == key or other.startswith(key + ".") for other in known)} == set()


AGENT_CONFIG = """
server = true
bootstrap_expect = 1
recursors = ["127.0.0.99:5399"]
acl { enabled = true }
postgres {
  cluster  = "main"
  data_dir = "%s/pg"
  bin_dir  = "/usr/bin"
}
"""
PROXY_CONFIG = """
admin 127.0.0.1:8800
discovery agent { address 127.0.0.1:8500 }
pool db { from agent postgres main }
pool web { from agent service web }
listen postgres 127.0.0.1:6432 { pool db; target primary }
listen http 127.0.0.1:8080 { route / { pool web } }
"""
# Both programs in a network and a process table of their own, which end with it.
ASK = """
ip link set lo up
"$1/rollcall" agent -bind=127.0.0.1 -data-dir="$2/data" -config-file="$2/agent.hcl" >"$2/agent.log" 2>&1 &
"$1/rollcall-proxy" -config "$2/proxy.conf" >"$2/proxy.log" 2>&1 &
# Some parts are there a moment later than the interface.
ask() {
    for _ in $(seq 300); do
        curl -s -f "$1" >"$2" && [ "$(grep -c "^# HELP" "$2")" -ge "$3" ] && break
        sleep 0.2
    done
}
ask "http://127.0.0.1:8500/v1/agent/metrics?format=prometheus" "$2/rollcall.1" "$3"
ask http://127.0.0.1:8800/metrics "$2/rollcall-proxy.1" "$4"
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("curl") is None, reason="needs root and curl")
def test_every_metric_is_explained_and_no_other(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "agent.hcl").write_text(AGENT_CONFIG % tmp_path)
    (tmp_path / "proxy.conf").write_text(PROXY_CONFIG)
    explained = {}
    for page in (AGENT_PAGE, PROXY_PAGE):
        section = re.search(r"^\.Sh METRICS\n(.*?)^\.Sh ", page.read_text(), re.S | re.M).group(1)
        explained[page.name] = set(re.findall(r"^\.It Li (\S+)", section, re.M))
    counts = [str(len(names)) for names in explained.values()]
    subprocess.run(["unshare", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c", ASK, "sh", str(BUILD), str(tmp_path), *counts],
                   timeout=patient(150), check=True)
    for name, names in explained.items():
        told = set(re.findall(r"^# HELP (\S+)", (tmp_path / name).read_text(), re.M))
        assert len(told) > 20
        assert told == names, (name, told ^ names)


def test_the_examples_are_taken(tmp_path):
    """What the pages show as configuration is read without a complaint."""
    examples = re.findall(r"\.Bd -literal -offset indent\n(.*?)\.Ed", AGENT_PAGE.read_text(), re.S)
    agent = next(text for text in examples if re.search("^encrypt *=", text, re.M))
    path = tmp_path / "agent.hcl"
    key = said("rollcall", "keygen").strip()
    path.write_text(agent.replace("what rollcall keygen printed", key))
    assert said("rollcall", "validate", str(path)) == "Configuration is valid!\n"
    for block in (example("TTL"), example("PORT 53")):
        path.write_text(f'data_dir = "{tmp_path}"\n{block}')
        assert said("rollcall", "validate", str(path)).endswith("Configuration is valid!\n")
    proxy = tmp_path / "proxy.conf"
    proxy.write_text(re.search(r"indent\n(.*?)\.Ed", PROXY_PAGE.read_text(), re.S).group(1))
    assert "listen http 0.0.0.0:80" in said("rollcall-proxy", "check", "-config", str(proxy))
