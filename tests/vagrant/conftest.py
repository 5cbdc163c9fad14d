"""The machines under test: one lab for the whole run, gone at its end."""
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from machines import Machines  # noqa: E402


@pytest.fixture(scope="session")
def machines():
    if not shutil.which("vagrant") or not shutil.which("lxc-create"):
        pytest.skip("Vagrant and LXC are not here: scripts/install-deps vagrant")
    made = Machines()
    yield made
    made.vagrant("destroy", "-f")
    made.tell_times()
