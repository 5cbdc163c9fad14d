"""The machines under test: one lab for the whole run, gone at its end."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import KEPT, Machines  # noqa: E402


@pytest.fixture(scope="session")
def machines():
    if not shutil.which("vagrant") or not shutil.which("lxc-create"):
        pytest.skip("Vagrant and LXC are not here: scripts/install-deps vagrant")
    made = Machines()
    yield made
    if not KEPT:
        made.vagrant("destroy", "-f")
    made.tell_times()


def pytest_runtest_makereport(item, call):
    """Each step takes the lab as it finds it; without machines there is nothing to take."""
    if call.when == "call" and call.excinfo and item.name == "test_five_machines_come_up_from_nothing":
        item.session.shouldfail = "the machines have not come up"
