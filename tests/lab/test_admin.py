"""What adm1 and the timers do for an operator: dumps that restore, and jobs that one node of all does."""
import os
import subprocess
import time

import pytest

from hosts import ROOT, until

BACKUP = ROOT / "vagrant" / "backup" / "rollcall-backup"
ONCE = ROOT / "vagrant" / "weekly" / "rollcall-once"
WHO = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


@pytest.fixture
def backup(hosts, tmp_path):
    """backup(word...): the script on adm1, as a user without rights; what it printed."""
    for place in (tmp_path, *list(tmp_path.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o055)
    folder = tmp_path / "backup"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    password = tmp_path / "pgpass"
    password.write_text(f"*:*:todomvc:todomvc:{hosts.lab.secrets.database}\n")
    password.chmod(0o600)
    os.chown(password, 65534, 65534)

    def run(*words, check=True):
        done = subprocess.run([*hosts.lab.network.enter(hosts.node("adm1")), *WHO, BACKUP, *words], capture_output=True, text=True, check=False, cwd="/", timeout=200,
                              env={"PATH": os.environ["PATH"], "BACKUP_FOLDER": str(folder), "PGPASSFILE": str(password), "BACKUP_PAUSE": "1", "TMPDIR": "/tmp"})
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr
    run.folder = folder
    return run


def _rows(hosts):
    """{table: rows} as the primary has them."""
    primary = hosts.lab.database.primary()
    tables = primary.sql("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'public'", database="todomvc").split()
    return {table: primary.sql(f"SELECT count(*) FROM {table}", database="todomvc") for table in tables}


def _figure(folder, name):
    text = (folder / "figures" / "rollcall-backup.prom").read_text()
    return float(next(line for line in text.splitlines() if line.startswith(name + "{")).split()[1])


def test_the_dump_comes_from_a_standby_and_restores_to_the_same_rows(hosts, backup):
    database = hosts.lab.database
    until(database.is_whole, "the standby follows")
    primary = database.primary().node
    standby = next(node for node in hosts.lab.inventory.running("postgres") if node != primary)
    status, _ = hosts.todo_add("web1", "to be kept")
    assert status == 201
    until(lambda: hosts.dig("adm1", "standby.postgres.service.rollcall", "A") == [standby.address], "DNS names the standby")
    # In mode sync the standby has written it, and replays it in a moment.
    until(lambda: hosts.lab.server(standby).sql("SELECT count(*) FROM todos_todo WHERE title = 'to be kept'", database="todomvc") == "1", "it is there")
    old, young = (backup.folder / "dumps" / f"todomvc-{name}.dump" for name in ("20200101T000000Z", "20990101T000000Z.kept"))
    old.parent.mkdir()
    for file, days in ((old, 15), (young, 13)):
        file.write_text("of long ago")
        os.utime(file, (time.time() - days * 86400,) * 2)
    os.chown(old.parent, 65534, 65534)

    said = backup("dump")

    assert f"bytes from {standby.address}" in said, said
    assert _figure(backup.folder, "rollcall_backup_from_standby") == 1
    assert abs(_figure(backup.folder, "rollcall_backup_last_success_seconds") - time.time()) < 120
    assert not old.exists() and young.exists()
    young.unlink()
    lines = backup("verify").splitlines()
    assert lines[-1].endswith("restores")
    assert dict(line.split() for line in lines[:-1]) == _rows(hosts)
    assert int(_rows(hosts)["public.todos_todo"]) > 0


def test_a_dump_that_is_damaged_does_not_pass(backup):
    (backup.folder / "dumps").mkdir()
    (backup.folder / "dumps" / "todomvc-20261121T000000Z.dump").write_bytes(b"PGDMP" + bytes(500))
    (backup.folder / "dumps").chmod(0o777)
    assert "restores" not in backup("verify", check=False).splitlines()[-1]


def test_without_a_server_there_is_no_dump_and_the_last_one_stays_the_last(hosts, backup):
    done = subprocess.run([*hosts.lab.network.enter(hosts.node("adm1")), BACKUP, "dump"], capture_output=True, text=True, check=False, timeout=100,
                          env={"PATH": os.environ["PATH"], "BACKUP_FOLDER": str(backup.folder), "BACKUP_NAME": "nothing.service.rollcall", "BACKUP_PAUSE": "0"})
    assert done.returncode == 1 and "no server gives a dump of todomvc" in done.stderr, done.stderr
    assert not list((backup.folder / "dumps").iterdir()) and not (backup.folder / "figures").exists()


def _once(hosts, job, *command):
    """The job on all nodes at once: (exit statuses, all that was said)."""
    environment = {**os.environ, "PATH": f"{hosts.lab.programs_folder}:{os.environ['PATH']}", "ROLLCALL_ONCE_PATIENCE": "60s"}
    runs = [subprocess.Popen([*hosts.lab.network.enter(hosts.node(name)), ONCE, "week", job, *map(str, command)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env=environment) for name in hosts.names]
    said = [run.communicate(timeout=150)[0] for run in runs]
    return [run.returncode for run in runs], "\n".join(said)


def test_a_weekly_job_runs_on_exactly_one_node(hosts, tmp_path):
    log = tmp_path / "ran"
    job = f"tidy{time.monotonic_ns()}"  # a name that no test before had
    for _ in range(2):
        status, said = _once(hosts, job, "sh", "-c", f"echo ran >>{log}")
        assert status == [0] * 5, said
        assert log.read_text() == "ran\n", said
    assert "is done already" in said and "is done\n" not in said


def test_where_the_job_fails_the_next_node_does_it(hosts, tmp_path):
    log = tmp_path / "ran"
    status, said = _once(hosts, f"tidy{time.monotonic_ns()}", "sh", "-c", f"echo ran >>{log}; [ $(wc -l <{log}) -ge 2 ]")
    assert sorted(status) == [0, 0, 0, 0, 2], said
    assert log.read_text() == "ran\nran\n", said


def test_a_redis_is_found_like_any_service(hosts):
    adm1 = hosts.node("adm1")
    until(lambda: hosts.dig("pg2", "redis.service.rollcall", "A") == [adm1.address], "it is found")
    hosts.lab.stop(adm1, "redis")
    until(lambda: hosts.dig("pg2", "redis.service.rollcall", "A") == [], "it has left every answer")
    hosts.lab.start(adm1, "redis")
    until(lambda: hosts.dig("pg2", "redis.service.rollcall", "A") == [adm1.address], "it is found again")
