import os
import subprocess
import sys
from pathlib import Path

import pytest

import machine as machines
import repository


def pytest_collection_modifyitems(items):
    for item in items:
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="a machine needs root"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What the machine sees as /host: at first the older packages."""
    folder = tmp_path_factory.mktemp("shared")
    folder.chmod(0o755)
    repository.publish(folder, *(repository.former(package, folder) for package in repository.built().values()))
    return folder


@pytest.fixture(scope="module")
def machine(shared, request):
    """With apt's source, and something that serves pages at port 8000."""
    scratch = Path("/var/tmp") / f"rollcall-machine-{os.getpid()}-{request.module.__name__}"
    scratch.mkdir()
    made = machines.Machine(scratch, shared)
    web = made.beside(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", scratch / "work", "8000",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        (made.root / "etc/apt/sources.list.d/rollcall.sources").write_text(repository.SOURCE)
        made.run("apt-get", "update", "-q")
        yield made
    finally:
        web.kill()
        web.wait()
        made.close()
