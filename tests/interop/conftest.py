"""Pools of serf and rollcall for the tests that want them."""
import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pg_tally  # noqa: E402
import serf_pool  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for most of its time; `make integration` with sanitizers leaves it out")


def _may_be_made():
    if serf_pool.why_not():
        pytest.skip(serf_pool.why_not())


@pytest.fixture
def pool(tmp_path):
    """An empty pool in a network of its own."""
    _may_be_made()
    made = serf_pool.Pool(tmp_path)
    yield made
    made.end()


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def mixed(request, tmp_path_factory):
    """Two serfs and three of ours, for all tests of a file; each leaves them as it found them."""
    _may_be_made()
    key = serf_pool.new_key() if request.param == "encrypted" else None
    made = serf_pool.mixed_pool(tmp_path_factory.mktemp(request.param), key)
    yield made
    made.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test of PostgreSQL's keepers shows the cluster and the agents' last words, as they were then."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and not report.passed:
        item.pg_end = report.outcome
    pool = next((item.funcargs[name] for name in ("pool", "three", "loose", "holding") if hasattr(item.funcargs.get(name), "describe")), None)
    if report.failed and pool is not None:
        report.sections.append(("the cluster", pool.describe()))


def pytest_terminal_summary(terminalreporter):
    """What each fault of PostgreSQL under keepers cost."""
    for line in pg_tally.table():
        terminalreporter.write_line(line)


def pytest_sessionfinish(session):
    with contextlib.suppress(AttributeError):  # a worker of xdist
        session.config.workeroutput["pg_tally"] = pg_tally.runs


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    with contextlib.suppress(AttributeError):
        pg_tally.runs.extend(node.workeroutput.get("pg_tally", []))
