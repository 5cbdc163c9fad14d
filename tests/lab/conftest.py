"""The lab under test: one for the whole run, with a name of its own."""
import os
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from hosts import Hosts, until  # noqa: E402
from labkit import inventory  # noqa: E402
from labkit.lab import Lab  # noqa: E402


@pytest.fixture(scope="session")
def lab():
    own = zlib.crc32(str(inventory.ROOT).encode()) % 10000  # what another copy of the sources tests stands beside it
    made = Lab(f"check{own}", os.environ.get("ROLLCALL_BUILD", "release"))
    made.down()  # what an interrupted run may have left
    made.up()
    yield made
    made.down()


@pytest.fixture
def hosts(lab):
    """The lab in good order: every test begins, and must leave it so that it can be mended to."""
    for node in lab.inventory.nodes:
        lab.start_node(node)
    hosts = Hosts(lab)
    until(hosts.all_alive, "all agents see each other")
    until(lambda: hosts.everywhere("todomvc", ["web1", "web2"]), "both webapps are in every answer")
    return hosts


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the agents' and proxies' last words."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "lab" in item.fixturenames:
        made = item.funcargs.get("lab") or getattr(item.funcargs.get("hosts"), "lab", None)
        if made is not None:
            for node in made.inventory.nodes:
                for service in ("agent", "proxy"):
                    if service in node.runs:
                        report.sections.append((f"{service} on {node.name}", made.program(node, service).last_words(15)))
