"""Tests side by side: each worker of pytest-xdist (`-n 3`) has a network of its own, where nobody meets it."""
import ctypes
import os
import subprocess

import pytest

CLONE_NEWNET = 0x40000000


def _leave_for_own_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"no network of its own for a worker: {os.strerror(error)}; run without -n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        _leave_for_own_network()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests share what they set up, those of the lab the lab: they stay with one worker."""
    for item in items:
        is_lab = "lab" in item.path.parent.name
        item.add_marker(pytest.mark.xdist_group("lab" if is_lab else item.path.stem))


def pytest_runtest_logreport(report):
    """What failed is told at once, so that a run which is cut short has told it."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        said = "".join(f"\n--- {title}\n{text}" for title, text in report.sections)
        print(f"\n{report.nodeid}: its {report.when} failed\n{report.longreprtext}{said}\n", flush=True)
