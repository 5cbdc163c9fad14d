"""The etcd engine against real etcd: one member and three, healthy and not."""
import os
import random
import signal
import subprocess
import threading
import time

import etcd_cluster
import pytest
from etcd_cluster import Cluster, b64, check_acknowledged, finish, until
from patience import patient

pytestmark = pytest.mark.skipif(bool(etcd_cluster.why_not()), reason=etcd_cluster.why_not())

KILLS = int(os.environ.get("ETCD_KILLS", "20"))
SEED = int(os.environ.get("ETCD_SEED", str(random.randrange(10**6))))


def made(size, **options):
    cluster = Cluster(size, **options)
    try:
        cluster.start()
    except BaseException:
        cluster.end()
        raise
    return cluster


@pytest.fixture(scope="module")
def one():
    cluster = made(1)
    yield cluster
    cluster.end()


@pytest.fixture
def three():
    cluster = made(3)
    yield cluster
    cluster.end()


@pytest.fixture
def own():
    """One member that the test may spoil."""
    cluster = made(1, options=("--quota-backend-bytes", "4194304"))
    yield cluster
    cluster.end()


def lines_of(process, kept):
    """Collects what a follower prints, in a thread; returns it."""
    def collect():
        for line in process.stdout:
            kept.append(line.rstrip("\n"))
    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    return thread


def tried(enough, seconds, begin):
    """The report of begin(seconds); a slow machine gets more of them until it did enough."""
    for factor in (1, 4, 12):
        report = finish(begin(factor * seconds))
        if enough(report):
            break
    return report


def end(process):
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


# ---- one member ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
def test_the_contract_of_engines_holds(size, request):
    cluster = request.getfixturevalue({1: "one", 3: "three"}[size])
    done = subprocess.run(cluster.driver("contract", request_ms=10000), capture_output=True, text=True, check=False, timeout=280)

    assert done.returncode == 0, done.stderr[-4000:]


def test_a_lease_is_granted_kept_and_takes_its_key_with_it(one):
    printed = one.drive("lease", 8, prefix="lease/").splitlines()

    assert "granted ok 2000" in printed and "kept ok 2000 min 2000" in printed
    assert "kept 12345: no such thing" in printed and "revoked 12345: no such thing" in printed
    assert any(line.startswith("put leased x") for line in printed)
    assert any(line.startswith("removed leased") for line in printed)


@pytest.mark.parametrize("clients", [1, 16, 200])
def test_every_put_is_told_and_kept(one, clients):
    report = finish(one.begin("put", clients, 2, prefix=f"put{clients}/", request_ms=10000))

    assert report["done"] > 0 and not set(report["errors"]) - {"closed", "outcome unknown"}
    check_acknowledged(report, one.dump(prefix=f"put{clients}/"))


def test_large_values_travel(one):
    report = tried(lambda report: report["done"] > 0, 3,
                   lambda seconds: one.begin("put", 4, seconds, 512 * 1024, prefix="large/", request_ms=10000))

    assert report["done"] > 0
    check_acknowledged(report, one.dump(prefix="large/"))


def test_a_read_after_a_barrier_has_what_was_acknowledged(one):
    report = tried(lambda report: report["done"] > 0, 3, lambda seconds: one.begin("mixed", 16, seconds, prefix="mixed/", request_ms=10000))

    assert report["done"] > 0 and report["stale"] == 0


def test_reads_go_on_though_others_write_in_the_same_etcd(one):
    running = one.begin("mixed", 4, 4, prefix="ours/", request_ms=10000)
    while running.poll() is None:
        one.members[0].put("theirs", "x")
    report = finish(running)

    assert report["done"] > 10 and report["stale"] == 0


def test_fewer_writes_travel_together_where_fewer_are_taken():
    cluster = made(1, options=("--max-txn-ops", "20"))
    try:
        report = tried(lambda report: report["done"] > 64, 2, lambda seconds: cluster.begin("put", 64, seconds, request_ms=10000))
        assert report["done"] > 64 and not set(report["errors"]) - {"closed", "outcome unknown"}
        check_acknowledged(report, cluster.dump())
    finally:
        cluster.end()


def test_foreign_keys_under_the_prefix_do_no_harm(one):
    for key in (b"junk/", b"junk/\xff\xfe\x00", b"junk/" + b"a" * 3000, b"junk/kv/" + b"\x00", b"junk/engine/other"):
        one.members[0].put(key, b"\x00\xff" * 100)
    report = tried(lambda report: report["done"] > 0, 1, lambda seconds: one.begin("mixed", 2, seconds, prefix="junk/", request_ms=10000))

    assert report["done"] > 0 and report["stale"] == 0


def test_status_names_the_member(one):
    printed = one.drive("status", 2)

    assert "etcd leader=1" in printed and "alarm=\n" in printed
    assert "m0" in printed and "leader=1 voter=1 answers=1" in printed


def test_what_was_compacted_meanwhile_is_read_anew(own):
    member, kept = own.members[0], []
    own.members[0].put("rollcall/test/a", "old")
    follower = own.begin("follow", 120)
    try:
        lines_of(follower, kept)
        until(lambda: any(line.startswith("end") for line in kept))
        follower.send_signal(signal.SIGSTOP)
        member.kill()
        member.start()
        own.ready()
        for value in ("new", "newer", "newest"):
            revision = member.put("rollcall/test/a", value)["header"]["revision"]
        member.call("/v3/kv/compaction", {"revision": revision})
        follower.send_signal(signal.SIGCONT)
        until(lambda: kept.count("begin") == 2 and kept[-1].startswith("end"))
    finally:
        end(follower)

    assert [line.split()[2] for line in kept if line.startswith("put a ")] == ["old", "newest"]


@pytest.mark.slow
def test_old_history_is_compacted_by_one_of_the_servers(one):
    """As each hour, only that the hour has six seconds here, and members are looked at each five."""
    first = int(one.members[0].put("ready", "early")["header"]["revision"])
    log = one.folder / "m0.log"
    before = log.read_text().count("finished scheduled compaction")
    others = [one.begin("status", 34, prefix="history/", history_ms=6000) for _ in range(2)]
    report = finish(one.begin("mixed", 2, 34, prefix="history/", request_ms=10000, history_ms=6000))
    for process in others:
        process.communicate(timeout=patient(60))
    compactions = log.read_text().count("finished scheduled compaction") - before

    assert one.members[0].has_forgotten(first)
    assert 1 <= compactions <= 4, compactions  # three servers would have made nine
    assert report["done"] > 0 and report["stale"] == 0
    assert sum(report["errors"].values()) <= 2, report["errors"]  # what was under way when it was closed


def test_a_restarted_member_is_followed_where_it_stood(own):
    member, kept = own.members[0], []
    follower = own.begin("follow", 120)
    try:
        lines_of(follower, kept)
        until(lambda: any(line.startswith("end") for line in kept))
        for round_ in range(3):
            member.kill()
            member.start()
            own.ready()
            member.put("rollcall/test/a", f"v{round_}")
            until(lambda round_=round_: any(line.startswith(f"put a v{round_}") for line in kept))
    finally:
        end(follower)

    assert kept.count("begin") == 1


def test_a_used_up_quota_refuses_writes_and_is_shown(own):
    member = own.members[0]
    report = tried(lambda report: "no room left" in str(report["errors"]), 6,
                   lambda seconds: own.begin("put", 8, seconds, 100000, request_ms=10000))
    printed = own.drive("status", 2)

    assert "no room left" in str(report["errors"])
    assert "alarm=etcd has used up its quota" in printed
    check_acknowledged(report, own.dump())

    revision = member.status()["header"]["revision"]
    member.call("/v3/kv/compaction", {"revision": revision, "physical": True})
    member.call("/v3/maintenance/defragment", {}, timeout=30)
    for alarm in member.call("/v3/maintenance/alarm", {"action": "GET"})["alarms"]:
        member.call("/v3/maintenance/alarm", {"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": "NOSPACE"})
    assert tried(lambda report: report["done"] > 0, 1, lambda seconds: own.begin("put", 1, seconds, request_ms=10000))["done"] > 0


def test_nobody_there_is_said_at_once(one):
    nobody = f"http://{one.network}.99:2379,http://{one.network}.98:2379"
    report = tried(lambda report: report["errors"].get("not now", 0) > 3, 1, lambda seconds: one.begin("put", 1, seconds, urls=nobody))

    assert report["done"] == 0 and set(report["errors"]) <= {"not now", "outcome unknown"}  # the last, when it was closed
    assert report["errors"]["not now"] > 3


# ---- TLS and users ---------------------------------------------------------------------


def test_tls_with_client_certificates():
    cluster = made(3, tls=True)
    try:
        report = finish(cluster.begin("mixed", 4, 2, request_ms=10000))
        assert report["done"] > 0 and report["stale"] == 0
        cluster.client = (cluster.authority.ca, cluster.client[1])  # a certificate that is not this key's
        assert finish(cluster.begin("put", 1, 1, request_ms=10000))["done"] == 0
        cluster.authority = etcd_cluster.Authority(cluster.folder / "other")  # an authority that is not theirs
        cluster.client = cluster.authority.give("client")
        assert finish(cluster.begin("put", 1, 1, request_ms=10000))["done"] == 0
    finally:
        cluster.end()


@pytest.mark.slow
def test_users_log_in_and_again_when_their_token_ended(own):
    member = own.members[0]
    for user, password in (("root", "r"), ("rollcall", "s:e\"c")):
        member.call("/v3/auth/user/add", {"name": user, "password": password})
    member.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
    member.call("/v3/auth/role/add", {"name": "ours"})
    prefix, after = b64("rollcall/test/"), b64("rollcall/test0")
    member.call("/v3/auth/role/grant", {"name": "ours", "perm": {"permType": "READWRITE", "key": prefix, "range_end": after}})
    member.call("/v3/auth/user/grant", {"user": "rollcall", "role": "ours"})
    member.call("/v3/auth/enable", {})

    report = finish(own.begin("mixed", 4, 2, user='rollcall:s:e"c', request_ms=10000))
    assert report["done"] > 0 and report["stale"] == 0
    assert finish(own.begin("put", 1, 1, user="rollcall:wrong", request_ms=10000))["done"] == 0
    assert finish(own.begin("put", 1, 1, request_ms=10000))["done"] == 0

    running = own.begin("mixed", 2, 12, user='rollcall:s:e"c', request_ms=2000)
    time.sleep(2)
    member.kill()  # simple tokens end with the process
    member.start()
    report = finish(running)
    assert report["stale"] == 0 and report["longest_gap_ms"] < 11000


# ---- three members ---------------------------------------------------------------------


def test_the_leader_may_be_killed(three):
    running = three.begin("mixed", 8, 12)
    time.sleep(2)
    three.leader().kill()
    report = finish(running)

    assert report["stale"] == 0 and report["longest_gap_ms"] < 9000
    check_acknowledged(report, three.dump())


@pytest.mark.slow
@pytest.mark.parametrize("who", ["asked", "leader"])
def test_a_frozen_member_is_left(three, who):
    """The first member is the one that is asked and watched at first."""
    running = three.begin("mixed", 8, 15)
    time.sleep(2)
    frozen = three.leader() if who == "leader" else three.members[0]
    frozen.freeze()
    report = finish(running)
    frozen.thaw()

    assert report["stale"] == 0 and report["longest_gap_ms"] < 12000
    check_acknowledged(report, three.dump())


@pytest.mark.slow
def test_without_a_majority_writes_fail_and_come_back(three):
    running = three.begin("mixed", 4, 16)
    time.sleep(1)
    for member in three.members[1:]:
        member.kill()
    time.sleep(4)
    for member in three.members[1:]:
        member.start()
    three.ready()
    report = finish(running)

    assert report["errors"] and report["stale"] == 0
    assert report["longest_gap_ms"] > 3000
    check_acknowledged(report, three.dump())


def test_nothing_acknowledged_is_lost_when_members_are_killed(three):
    """ETCD_KILLS moments by ETCD_SEED: one member, two, or all at once."""
    chance, killed, round_ = random.Random(SEED), 0, 0
    print(f"ETCD_SEED={SEED}")
    while killed < KILLS:
        round_ += 1
        running = three.begin("put", 8, 10, prefix=f"round{round_}/")
        ends = time.monotonic() + 8
        while time.monotonic() < ends and killed < KILLS:
            time.sleep(chance.uniform(0.05, 0.8))
            victims = chance.sample(three.members, chance.choice((1, 1, 2, 3)))
            for member in victims:
                member.kill()
            time.sleep(chance.uniform(0, 0.3))
            for member in victims:
                member.start()
            killed += 1
        report = finish(running)
        three.ready()
        check_acknowledged(report, three.dump(prefix=f"round{round_}/"))
    print(f"{killed} kills in {round_} rounds")


def test_the_driver_says_how_it_is_used():
    assert subprocess.run([str(etcd_cluster.DRIVER)], check=False).returncode == 2
