"""A store on SQLite of more than 64 MB, whose check at the start is the quick one: killed, and damaged."""
import os
import random
from pathlib import Path

import pytest

from store_agents import Agents, until

COUNT, SIZE, PAGE = 170, 500_000, 4096
SEED = int(os.environ.get("STORE_SEED", random.randrange(10**6)))


def value(number):
    return random.Random(f"{SEED}/{number}").randbytes(SIZE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One that holds 85 MB and was killed."""
    agents = Agents(tmp_path_factory.mktemp("large"))
    made = agents.server("s1").start().ready()
    for number in range(COUNT):
        made.put(f"large/{number}", value(number))
    for number in range(500):
        made.put(f"small/{number}", str(number))
    made.kill()
    yield made
    agents.end()


def database(server):
    (found,) = [path for path in (server.folder / "data").rglob("*") if path.is_file() and path.stat().st_size > 64 << 20
                and not path.name.endswith("-wal")]
    return found


def test_a_large_store_that_was_killed_has_everything(server):
    before = database(server).stat().st_size
    server.start().ready(60)
    assert before > 64 << 20
    for number in random.Random(SEED).sample(range(COUNT), 20):
        assert server.call("GET", f"/v1/kv/large/{number}?raw").body == value(number)
    assert len(server.call("GET", "/v1/kv/?keys").json) == COUNT + 500
    server.kill()


def in_log(path):
    """Pages that the write-ahead log has anew: what the database has of them is not read."""
    log = Path(f"{path}-wal").read_bytes()
    return {int.from_bytes(log[at:at + 4], "big") - 1 for at in range(32, len(log), 24 + PAGE)}


def pages(file, path, count):
    """Where to do damage: pages anywhere, and those of the tree itself, which are few among so large values."""
    chance, newer = random.Random(SEED), in_log(path)
    size = os.fstat(file).st_size // PAGE
    inner = [n for n in range(1, size) if os.pread(file, 1, n * PAGE) in (b"\x02", b"\x05", b"\x0a", b"\x0d")
             and 0 < int.from_bytes(os.pread(file, 2, n * PAGE + 3), "big") < 400]
    anywhere = [n for n in range(1, size) if n not in newer]
    inner = [n for n in inner if n not in newer]
    return chance.sample(anywhere, count) + chance.sample(inner, min(count, len(inner)))


def test_a_damaged_page_of_a_large_store_is_found_and_nothing_is_changed(server):
    assert (server.folder / "data").exists()
    path = database(server)
    file = os.open(path, os.O_RDWR)
    found = []
    try:
        for page in pages(file, path, 4):
            good = os.pread(file, PAGE, page * PAGE)
            os.pwrite(file, b"\xff" * PAGE, page * PAGE)
            lines = len(server.log())
            server.start()
            until(lambda: "nothing was changed" in server.log()[lines:] or server.call("GET", "/v1/kv/?keys").status == 200, 60)
            found.append((page, good[:8].hex(), "nothing was changed" in server.log()[lines:]))
            server.kill()
            assert os.pread(file, PAGE, page * PAGE) == b"\xff" * PAGE
            os.pwrite(file, good, page * PAGE)
    finally:
        os.close(file)
    assert all(was_found for *_, was_found in found), (SEED, found)
    server.start().ready(60)
    assert len(server.call("GET", "/v1/kv/?keys").json) == COUNT + 500
