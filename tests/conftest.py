"""Tests side by side: each worker of pytest-xdist (`-n 3`) has a network of its own, where nobody meets it. What a test
leaves behind is ended with its file, and what takes too long to end is told."""
import contextlib
import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
END_LIMIT = 120  # seconds that what a test set up may take to end
SEGMENT_AGE = 60  # seconds: younger ones may be about to be used
MARK = "ROLLCALL_TESTS"  # in the environment of all that tests start: who and for which file


def _leave_for_own_network():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"no network of its own for a worker: {os.strerror(error)}; run without -n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=60)


def pytest_configure(config):
    # A shell without job control starts what it puts into the background deaf to these, and the deafness is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if hasattr(config, "workerinput"):
        _leave_for_own_network()


def _group(item):
    """A file's tests share what they set up, those of the lab the lab: they stay with one worker."""
    return "lab" if "lab" in item.path.parent.name else item.path.stem


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _mark(item):
    return f"{os.getpid()}.{_group(item)}"


def _left_behind(mark):
    """{pid: name} of what still runs of a file's tests."""
    wanted, found = f"{MARK}={mark}".encode(), {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if wanted in (place / "environ").read_bytes().split(b"\0") and int(place.name) != os.getpid():
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return found


def _end(left):
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _free_shared_memory():
    """A PostgreSQL that was killed leaves segments, and a container may have room for few: those that nobody uses go."""
    old = {place for place in Path("/dev/shm").glob("PostgreSQL.*")
           if time.time() - place.stat().st_mtime > SEGMENT_AGE}
    used = b""
    for place in Path("/proc").glob("[0-9]*") if old else ():
        with contextlib.suppress(OSError):
            if (place / "comm").read_text().strip() == "postgres":
                used += (place / "maps").read_bytes()
    for place in old:
        if f"{place}\n".encode() not in used:
            place.unlink(missing_ok=True)


@contextlib.contextmanager
def _limited(item):
    """What hangs within is torn out of it, with words; and what comes next, if that hangs too."""
    def over(*_):
        faulthandler.dump_traceback(sys.__stderr__)
        pytest.fail(f"{item.nodeid}: what it set up took more than {END_LIMIT} s to end")
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, END_LIMIT, END_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    os.environ[MARK] = _mark(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """The time of pytest-timeout may be over by then: this is a limit of its own."""
    with _limited(item):
        yield
    if nextitem is None or _group(nextitem) != _group(item):
        time.sleep(0.05)
        left = _left_behind(_mark(item))
        _end(left)
        with contextlib.suppress(OSError):  # two workers may do it at once
            _free_shared_memory()
        if left:
            warnings.warn(f"{_group(item)} left behind: {sorted(left.values())}", stacklevel=1)


def pytest_runtest_logreport(report):
    """What failed is told at once, so that a run which is cut short has told it."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        said = "".join(f"\n--- {title}\n{text}" for title, text in report.sections)
        print(f"\n{report.nodeid}: its {report.when} failed\n{report.longreprtext}{said}\n", flush=True)
