"""The fault matrix of PostgreSQL under keepers, with two nodes in mode sync. `make pg-matrix` runs all rows; without it a
selection. Every row: what a client was told is written is there, and never do two servers write at once."""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from patience import patient
import pg_pool
from pg_pool import ELECTION_S, SERVERS, TTL_S, Pool, until
from pg_trial import Trial, Watch, children, new_term, stopped

ALL = bool(os.environ.get("PG_MATRIX"))
LONG = 20 if ALL else 8  # seconds that something stays away; more than a lease lives
pytestmark = pytest.mark.skipif(bool(pg_pool.why_not()), reason=pg_pool.why_not())
whole_matrix = pytest.mark.skipif(not ALL, reason="one of the rows that make pg-matrix runs")


@pytest.fixture(scope="module")
def pool():
    made = Pool()
    try:
        made.start()
    except BaseException:
        print(made.describe())
        made.end()
        raise
    yield made
    made.end()


@pytest.fixture(scope="module")
def watch(pool):
    made = Watch(pool)
    yield made
    made.end()


@pytest.fixture
def trial(request, pool, watch):
    row = request.function.__name__.split("_")[2]
    with Trial(pool, row, watch) as made:
        yield made
        made.end = getattr(request.node, "pg_end", "ok")


def pg_ctl(host, *words):
    return host.run("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", pg_pool.binaries() / "pg_ctl",
                    "-D", host.folder / "postgres" / "main", *words, cwd="/")


def kill(*pids):
    pg_pool.send(pids, signal.SIGKILL)


def test_row_1_a_clean_stop_moves_the_primary(trial):
    trial.fault(lambda: pg_ctl(trial.primary, "stop", "-m", "fast", "-w", "-t", "30"))
    trial.taken_over()


@whole_matrix
def test_row_2_without_a_standby_it_is_restarted_in_place(trial):
    pool = trial.pool
    pool.kill_node(trial.standby.name)
    until(lambda: pool.view()["Sync"]["Names"] == [], "the primary goes on alone")
    trial.goes_on()
    trial.fault(lambda: pg_ctl(trial.primary, "stop", "-m", "fast", "-w", "-t", "30"))
    trial.goes_on()
    assert pool.primary() is trial.primary
    pool.start_node(trial.standby.name)


def test_row_3_a_killed_postmaster_leaves_no_backend_behind(trial):
    tree = [trial.postmaster(), *children(trial.postmaster())]
    trial.fault(lambda: kill(tree[0]))
    until(lambda: not any(pg_pool.alive(pid) for pid in tree), "no backend is left")
    print(f"the last backend was gone after {1000 * (time.monotonic() - trial.fault_at):.0f} ms")
    trial.taken_over()


@whole_matrix
def test_row_4_a_statement_that_a_killed_postmaster_ran_is_never_acknowledged(trial):
    long = subprocess.Popen(
        [*trial.primary.enter, "psql", "-XAtq", f"host={trial.primary.address} user=postgres dbname=postgres", "-c",
         "INSERT INTO ledger SELECT -i, repeat('x', 100) FROM generate_series(1, 20000000) i"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(1.5)
    trial.fault(lambda: kill(trial.postmaster()))
    assert long.wait(patient(60)) != 0
    trial.taken_over()
    assert trial.standby.sql("SELECT count(*) FROM ledger WHERE id < 0", timeout=60) == "0"


def test_row_5_a_killed_backend_ends_its_server_and_the_other_takes_over(trial):
    backend = int(trial.primary.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE 'INSERT%' LIMIT 1"))
    trial.fault(lambda: kill(backend))
    trial.taken_over()


def test_row_6_a_lost_node_is_replaced(trial):
    trial.fault(lambda: trial.pool.kill_node(trial.primary.name))
    trial.taken_over()
    trial.pool.start_node(trial.primary.name)


def test_row_7_a_killed_agent_that_comes_back_moves_nothing(trial):
    for _ in range(3):
        before = trial.postmaster()
        trial.fault(lambda: kill(*trial.primary.agent()))
        time.sleep(0.5)
        trial.pool.start_agent(trial.primary.name)
        time.sleep(2 * TTL_S)
        trial.goes_on()
        if "the session has ended in the store" not in trial.primary.log("agent", 10**6).rsplit("rollcall 0.", 1)[1]:
            break
        print("it came back after its lease had ended")
        trial.look()
    else:
        pytest.skip("no agent comes back before its lease ends on this machine")
    trial.same_primary()
    assert trial.postmaster() == before


def test_row_8_without_its_agent_a_primary_ends_in_time(trial):
    trial.fault(lambda: kill(*trial.primary.agent()))
    trial.taken_over()
    assert trial.primary.postgres() == []
    trial.pool.start_agent(trial.primary.name)


@whole_matrix
def test_row_9_a_killed_warden_takes_postgres_with_it(trial):
    trial.fault(lambda: kill(*trial.primary.wardens()))
    trial.taken_over()


@whole_matrix
def test_row_10_a_stopped_agent_is_like_a_dead_one_and_rejoins(trial):
    with stopped(trial.primary.agent()):
        trial.fault()
        trial.taken_over()
        time.sleep(LONG - 5)


@whole_matrix
def test_row_11_a_stopped_warden_makes_the_agent_kill(trial):
    with stopped(trial.primary.wardens()):
        trial.fault()
        trial.taken_over()


def test_row_12_a_node_that_is_stopped_as_a_whole_writes_nothing_when_it_thaws(trial):
    with stopped(trial.primary.processes()):
        trial.fault()
        trial.taken_over()
        time.sleep(LONG - 5)
    trial.goes_on(100)


def test_row_13_a_postgres_that_hangs_is_replaced(trial):
    with stopped([trial.postmaster(), *children(trial.postmaster())]):
        trial.fault()
        trial.taken_over()


def test_row_14_cut_off_from_the_store_the_old_stops_before_the_new_begins(trial):
    pool = trial.pool
    direct = trial.pool.folder / "direct"
    pool["c"].start("direct", "/usr/bin/python3", "-B", pg_pool.HERE / "pg_writer.py",
                    f"host={trial.primary.address} user=postgres dbname=postgres connect_timeout=2", direct, 1, 2, 5)
    until(lambda: len(pg_pool.Record(direct).acks) > 20, "rows are written past the proxy")
    trial.fault(lambda: pool.isolate(trial.primary.name, SERVERS))
    trial.taken_over()
    pool["c"].programs["direct"].terminate()
    pool["c"].programs["direct"].wait(patient(20))
    past = pg_pool.Record(direct)
    first = next(ack[0] for ack in trial.writer.record().acks if ack[2] == trial.standby.address)
    last = max(ack[0] for ack in past.acks if ack[2] == trial.primary.address)
    print(f"the old one's last row was {1000 * (first - last):.0f} ms before the new one's first")
    assert last < first
    there = set(map(int, trial.standby.sql("SELECT id FROM ledger", timeout=60).split()))
    assert past.lost(there) == []


def test_row_15_cut_off_from_its_standby_it_goes_on_alone(trial):
    trial.fault(lambda: trial.pool.isolate(trial.primary.name, [trial.standby.name]))
    until(lambda: trial.pool.view()["Sync"]["Names"] == [], "the primary goes on alone")
    trial.goes_on()
    trial.same_primary()
    assert trial.pool.view()["Sync"]["Quorum"] < 0


@whole_matrix
def test_row_15_in_mode_strict_it_waits_and_says_so(pool, watch):
    with strict(pool), Trial(pool, "15 strict", watch) as trial:
        trial.fault(lambda: pool.isolate(trial.primary.name, [trial.standby.name]))
        time.sleep(1)
        quiet = time.monotonic()
        until(lambda: "strict" in problem_of(pool, trial.primary.name), "the primary says what it waits for")
        time.sleep(TTL_S)
        assert not [ack for ack in trial.writer.record().acks if ack[0] > quiet]
        trial.same_primary()
        pool.heal()
        trial.goes_on()
        until(lambda: problem_of(pool, trial.primary.name) == "", "all is well again")


def problem_of(pool, name):
    return next(member.get("Problem", "") for member in pool.view()["Members"] if member["Node"] == name)


@contextlib.contextmanager
def strict(pool):
    pool.mend()
    pool.pg("settings", "mode=strict")
    until(lambda: pool.view()["Mode"] == "strict", "the mode is strict")
    try:
        yield
    finally:
        pool.heal()
        pool.pg("settings", "mode=sync")
        until(lambda: pool.view()["Mode"] == "sync", "the mode is sync again")


@whole_matrix
def test_row_16_a_standby_that_is_cut_off_from_the_store_is_not_promoted(trial):
    pool = trial.pool
    pool.isolate(trial.standby.name, SERVERS)
    trial.fault()
    until(lambda: pool.view()["Sync"]["Names"] == [], "it is not waited for any more")
    assert pool.view()["Sync"]["Quorum"] < 0
    time.sleep(TTL_S)
    trial.goes_on()
    trial.same_primary()
    assert trial.standby.sql("SELECT pg_is_in_recovery()") == "t"
    pool.kill_node(trial.primary.name)
    time.sleep(2 * TTL_S)
    assert pool.view(through="c")["Primary"] is None
    assert trial.standby.sql("SELECT pg_is_in_recovery()") == "t"
    pool.heal()
    time.sleep(2 * TTL_S)
    assert pool.view(through="c")["Primary"] is None, "it lacks rows, and was promoted"
    pool.start_node(trial.primary.name)
    trial.goes_on()
    assert pool.primary() is trial.primary


@whole_matrix
@pytest.mark.parametrize("leader", ["s2", "s1"])
def test_row_17_the_side_with_most_servers_writes_on(trial, leader):
    """With etcd's leader on the smaller side it elects another, and that one lets all leases live a whole ttl from then on.
    The old one answers renewals until it notices, in two election timeouts at the most."""
    pool, old = trial.pool, trial.primary.name
    side = {old, "s1"}
    etcd_move_leader(pool, leader)
    trial.fault(lambda: [pool.isolate(one, [name for name in pool.hosts if name not in side]) for one in side])
    until(lambda: not writable_servers(trial.primary), "the smaller side writes no more",
          seconds=patient(TTL_S + (2 * ELECTION_S if leader in side else 0)))
    assert not [ack for ack in trial.writer.record().acks if ack[2] == trial.standby.address]
    print(f"the smaller side stopped after {time.monotonic() - trial.fault_at:.1f} s")
    trial.taken_over()
    assert writable_servers(trial.primary) == []
    assert changes(trial) == 1


@whole_matrix
def test_row_18_without_any_server_nothing_is_written_until_they_are_back(trial):
    pool = trial.pool
    trial.fault()
    for name in SERVERS:
        pool.kill_node(name)
    time.sleep(TTL_S + 2)
    quiet = time.monotonic()
    time.sleep(LONG)
    assert not [ack for ack in trial.writer.record().acks if ack[0] > quiet]
    for name in pool.keepers:
        assert pool[name].sql("SELECT count(*) > 0 FROM ledger WHERE pg_is_in_recovery()") == "t"
    for name in SERVERS:
        pool.start_node(name)
    trial.goes_on()
    assert changes(trial) == 1


@whole_matrix
def test_row_19_the_store_may_elect_while_the_primary_dies(trial):
    pool = trial.pool
    leader = until(lambda: etcd_leader(pool), "etcd has a leader")
    trial.fault(lambda: (kill(*pool[leader].processes(lambda comm, _: comm == "etcd")), pool.kill_node(trial.primary.name)))
    trial.taken_over()
    assert changes(trial) == 1
    pool.start_node(trial.primary.name)


def changes(trial):
    """How often somebody became primary since the trial began."""
    return len([entry for entry in trial.pool.view()["History"] if entry["Term"] > trial.term])


def writable_servers(host):
    """Postmasters on it that are not in recovery; asked on the host itself, so wires do not matter."""
    if not host.postgres():
        return []
    done = host.run("psql", "-XAtq", f"host={host.address} user=postgres dbname=postgres connect_timeout=2", "-c", "SELECT pg_is_in_recovery()",
                    check=False)
    return [host.name] if done.stdout.strip() == "f" else []


def etcd_leader(pool):
    return next(name for name in SERVERS if '"isLeader":true' in etcd_status(pool, name))


def etcd_move_leader(pool, to):
    """Has it lead, so that what a test measures does not depend on chance."""
    def moved():
        now = etcd_leader(pool)
        if now == to:
            return True
        told = pool[to].run("curl", "-s", "-m", "3", "-d", "{}", f"http://{pool[to].address}:2379/v3/maintenance/status", check=False).stdout
        target = pg_pool.json.loads(told)["header"]["member_id"]
        pool[now].run("curl", "-s", "-m", "3", "-d", pg_pool.json.dumps({"targetID": target}),
                      f"http://{pool[now].address}:2379/v3/maintenance/transfer-leadership", check=False)
        return etcd_leader(pool) == to
    until(moved, f"{to} leads etcd", every=0.3)
    time.sleep(1)


def etcd_status(pool, name):
    host = pool[name]
    told = host.run("curl", "-s", "-m", "3", "-d", "{}", f"http://{host.address}:2379/v3/maintenance/status", check=False).stdout
    answer = pg_pool.json.loads(told)
    return '"isLeader":true' if answer.get("leader") == answer["header"]["member_id"] else ""


@whole_matrix
def test_row_20_a_slow_store_does_not_make_it_flap(trial):
    etcds = [pid for name in SERVERS for pid in trial.pool[name].processes(lambda comm, _: comm == "etcd")]
    trial.fault()
    for _ in range(13 if ALL else 5):
        with stopped(etcds):
            time.sleep(1.8)
        time.sleep(0.4)
    trial.goes_on()
    print(f"{changes(trial)} times a primary was made anew")
    assert changes(trial) <= 1


def test_row_22_a_primary_that_went_on_alone_is_never_replaced_by_who_lacks_rows(trial):
    pool = trial.pool
    trial.fault(lambda: pool.kill_node(trial.standby.name))
    until(lambda: pool.view()["Sync"]["Names"] == [], "the primary goes on alone")
    trial.goes_on()
    pool.kill_node(trial.primary.name)
    pool.start_node(trial.standby.name)
    until(lambda: any(member["Node"] == trial.standby.name for member in pool.view()["Members"]), "the standby is back")
    until(lambda: pool.view()["Primary"] is None, "the lease is over")
    time.sleep(2 * TTL_S)
    view = pool.view()
    assert view["Primary"] is None, view
    refused = pool.pg("failover", "-to", trial.standby.name, check=False)
    assert refused.returncode == 1 and "accept the loss" in refused.stderr, refused
    pool.start_node(trial.primary.name)
    trial.goes_on()
    assert pool.primary() is trial.primary


def test_row_23_in_mode_strict_writes_wait_for_the_standby(pool, watch):
    pool.mend()
    pool.pg("settings", "mode=strict")
    until(lambda: pool.view()["Mode"] == "strict", "the mode is strict")
    try:
        with Trial(pool, "23", watch) as trial:
            trial.fault(lambda: pool.kill_node(trial.standby.name))
            time.sleep(1)
            quiet = time.monotonic()
            time.sleep(2 * TTL_S)
            assert not [ack for ack in trial.writer.record().acks if ack[0] > quiet]
            trial.same_primary()
            pool.start_node(trial.standby.name)
            trial.goes_on()
    finally:
        pool.pg("settings", "mode=sync")
    until(lambda: pool.view()["Mode"] == "sync", "the mode is sync again")


@whole_matrix
def test_row_24_after_a_power_cut_of_both_the_right_one_is_promoted(trial):
    pool = trial.pool
    trial.fault()
    for name in pool.keepers:
        pool.kill_node(name)
    for name in reversed(pool.keepers):
        pool.start_node(name)
    trial.goes_on()


@whole_matrix
def test_row_25_what_the_old_primary_had_alone_is_rewound(trial):
    pool, old = trial.pool, trial.primary
    others = [name for name in pool.hosts if name != old.name]
    session = subprocess.Popen([*old.enter, "psql", "-XAtq", f"host={old.address} user=postgres dbname=postgres", "-c",
                                "SELECT pg_sleep(1); INSERT INTO ledger SELECT -i FROM generate_series(1, 1000) i"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trial.fault(lambda: pool.isolate(old.name, others))
    time.sleep(1.2)
    trial.taken_over()
    session.wait(patient(60))
    pool.mend()
    assert trial.standby.sql("SELECT count(*) FROM ledger WHERE id < 0", timeout=60) == "0"
    assert old.sql("SELECT count(*) FROM ledger WHERE id < 0", timeout=60) == "0"


@whole_matrix
def test_row_26_a_rewind_that_is_killed_is_never_started_half_done(trial):
    pool, old = trial.pool, trial.primary
    trial.fault(lambda: pool.kill_node(old.name))
    trial.taken_over()
    pool.start_node(old.name)
    end = time.monotonic() + 30
    killed = False
    while time.monotonic() < end and not killed:
        pids = old.processes(lambda comm, _: comm in ("pg_rewind", "pg_basebackup"))
        if pids:
            kill(*pids, *old.agent())
            killed = True
        elif pool.healthy():
            break
    print("killed in the middle" if killed else "there was nothing to rewind")
    pool.mend()


@whole_matrix
def test_row_27_what_cannot_be_rewound_is_copied(trial):
    pool, old = trial.pool, trial.primary
    trial.fault(lambda: pool.kill_node(old.name))
    trial.taken_over()
    (old.folder / "postgres" / "main" / "global" / "pg_control").write_bytes(b"")
    pool.start_node(old.name)
    trial.goes_on()


def test_row_28_switchovers_under_load_lose_nothing(pool, watch):
    for round_ in range(int(os.environ.get("PG_SWITCHOVERS", "20")) if ALL else 2):
        with Trial(pool, f"28.{round_ + 1}", watch, clients=50 if ALL else 20, every_ms=50) as trial:
            done = trial.fault(lambda: pool.pg("switchover"))
            print(done.stdout.strip())
            trial.taken_over()


@whole_matrix
def test_row_29_a_candidate_that_dies_while_it_is_promoted_is_replaced(trial):
    pool = trial.pool
    trial.fault(lambda: pool.kill_node(trial.primary.name))
    until(lambda: pool.view()["Primary"]["Node"] == trial.standby.name, "the standby holds the lease", every=0.002)
    pool.kill_node(trial.standby.name)
    for name in pool.keepers:
        pool.start_node(name)
    trial.goes_on()


@whole_matrix
def test_row_30_a_long_replay_keeps_its_lease(trial):
    pool = trial.pool
    startup = [pid for pid in trial.standby.postgres() if b"startup" in open(f"/proc/{pid}/cmdline", "rb").read()]
    with stopped(startup):
        trial.primary.sql("CREATE TABLE IF NOT EXISTS bulk (t text)")
        trial.primary.sql("INSERT INTO bulk SELECT repeat(md5(i::text), 20) FROM generate_series(1, 300000) i", timeout=120)
        until(lambda: next(m for m in pool.view()["Members"] if m["Node"] == trial.standby.name)["LagBytes"] < 1 << 20 or True, "it has it")
        trial.fault(lambda: pool.kill_node(trial.primary.name))
        time.sleep(TTL_S + 1)
    trial.taken_over()
    pool.start_node(trial.primary.name)


def test_row_32_too_many_clients_are_no_reason_to_fail_over(trial):
    held = []
    trial.fault()
    try:
        with trial.primary.inside():
            import psycopg2
            for _ in range(200):
                try:
                    held.append(psycopg2.connect(f"host={trial.primary.address} user=postgres dbname=postgres connect_timeout=5"))
                except psycopg2.OperationalError:
                    break
        assert 10 < len(held) < 200
        time.sleep(2 * TTL_S + 4)
        trial.same_primary()
    finally:
        for session in held:
            session.close()
    trial.goes_on()
    trial.same_primary()


@whole_matrix
def test_row_34_a_cancelled_wait_for_a_standby_is_no_commit(pool, watch):
    pool.mend()
    pool.pg("settings", "mode=strict")
    until(lambda: pool.view()["Mode"] == "strict", "the mode is strict")
    try:
        with Trial(pool, "34", watch) as trial:
            import psycopg2
            trial.fault(lambda: pool.isolate(trial.primary.name, [trial.standby.name]))
            with pool["c"].inside():
                session = psycopg2.connect(f"host=127.0.0.1 port={pg_pool.PROXY_PORT} user=postgres dbname=postgres")
            session.autocommit = True
            outcome = []

            def insert():
                try:
                    with session.cursor() as cursor:
                        cursor.execute("INSERT INTO ledger VALUES (-1)")
                    outcome.append("committed")
                except psycopg2.Error as error:
                    outcome.append(str(error))
            import threading
            thread = threading.Thread(target=insert, daemon=True)
            thread.start()
            time.sleep(2)
            assert outcome == []
            with pool["c"].inside():
                session.cancel()
            thread.join(patient(30))
            print(outcome)
            assert outcome and outcome[0] != "committed"
            pool.heal()
            trial.goes_on()
    finally:
        pool.heal()
        pool.pg("settings", "mode=sync")


def test_row_36_a_proxy_that_no_longer_hears_of_the_store_closes_and_comes_back(trial):
    pool = trial.pool
    trial.fault(lambda: pool.isolate("c", SERVERS))
    time.sleep(TTL_S + 1)
    quiet = time.monotonic()
    time.sleep(2)
    assert not [ack for ack in trial.writer.record().acks if ack[0] > quiet]
    pool.heal()
    trial.goes_on()
    trial.same_primary()


def start_by_hand(host):
    folder = host.folder / "postgres" / "main"
    return host.run("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", pg_pool.binaries() / "pg_ctl", "-D", folder,
                    "-l", folder / "by-hand.log", "-o", f"-c listen_addresses={host.address} -p 5432", "start", check=False, cwd="/")


def is_in_recovery(host):
    """"t", "f", or "" when nobody answers."""
    return host.run("psql", "-XAtq", f"host={host.address} user=postgres dbname=postgres connect_timeout=3", "-c",
                    "SELECT pg_is_in_recovery()", check=False).stdout.strip()


@whole_matrix
def test_row_38_a_server_that_an_operator_starts_by_hand_is_no_second_primary(trial):
    pool, old = trial.pool, trial.primary
    trial.fault(lambda: pool.pg("stop", old.name))
    trial.taken_over()
    print(start_by_hand(old).stdout)
    for _ in range(10):
        assert is_in_recovery(old) in ("", "t")
        time.sleep(0.2)
    pool.pg("start", old.name)
    pool.mend()
    assert is_in_recovery(old) == "t"


@whole_matrix
@pytest.mark.parametrize("agent", ["there", "away"])
def test_row_38_one_that_is_started_to_be_written_by_hand_is_killed(trial, agent):
    """An operator takes the signal file away: the agent kills it, at once or when it comes back, and says so."""
    pool, old = trial.pool, trial.primary
    folder = old.folder / "postgres" / "main"
    trial.fault(lambda: pool.pg("stop", old.name))
    trial.taken_over()
    until(lambda: not old.postgres(), "it has stopped")
    if agent == "away":
        kill(*old.agent())
        kill(*old.wardens())
    (folder / "standby.signal").unlink(missing_ok=True)
    start_by_hand(old)
    if agent == "away":
        assert is_in_recovery(old) == "f"
        pool.start_agent(old.name)
    until(lambda: not old.postgres() or is_in_recovery(old) == "t", "nobody can write there")
    until(lambda: any(words in old.log("agent", 10**6) for words in ("writable without the lease", "was started by somebody else, but")), "it is told")
    pool.pg("start", old.name)
    pool.mend()
    assert is_in_recovery(old) == "t"
    trial.goes_on()


def test_row_35_there_never_were_two_primaries_in_an_answer_of_dns(pool, watch):
    pool.mend()
    watch.end()
    print(f"{watch.asked()} questions in all")
    assert watch.two_at_once() == {}
    terms = new_term(pool, 0)["Term"]
    for host, answers in watch.changes().items():
        moves = [answer for answer in answers if answer not in ("-", "?")]
        changes = sum(a != b for a, b in zip(moves, moves[1:]))
        assert changes <= terms, (host, answers)
