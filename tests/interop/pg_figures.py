#!/usr/bin/python3
"""For how long nobody can write when the primary goes, and what is lost: printed, not judged.

usage: sudo pg_figures.py [ROUNDS] [KIND ...]      (default: 20 of each of stop, killed, lost, switchover)

Rows are written through rollcall-proxy by two clients, one each 5 ms, in mode sync with a ttl of 3 s.
"""
import signal
import statistics
import sys

import pg_pool
from pg_pool import Pool
from pg_trial import Trial
from test_pg_matrix import pg_ctl

KINDS = {
    "stop": ("pg_ctl stop -m fast", lambda trial: pg_ctl(trial.primary, "stop", "-m", "fast", "-w", "-t", "30")),
    "killed": ("postmaster killed", lambda trial: pg_pool.send([trial.postmaster()], signal.SIGKILL)),
    "lost": ("node lost", lambda trial: trial.pool.kill_node(trial.primary.name)),
    "switchover": ("switchover", lambda trial: trial.pool.pg("switchover")),
}


def main(rounds, kinds):
    pool = Pool().start()
    try:
        written = lost = late = 0
        for kind in kinds:
            gaps = []
            for round_ in range(rounds):
                with Trial(pool, f"{kind} {round_ + 1}") as trial:
                    trial.fault(lambda: KINDS[kind][1](trial))
                    trial.taken_over()
                    if kind == "lost":
                        pool.start_node(trial.primary.name)
                gaps.append(1000 * trial.gap_s)
                written += len(trial.writer.record().acks)
                lost += len(trial.lost)
                late += len(trial.late)
            gaps.sort()
            print(f"== {KINDS[kind][0]}: {len(gaps)} runs, median {statistics.median(gaps):.0f} ms, worst {gaps[-1]:.0f} ms, best {gaps[0]:.0f} ms",
                  flush=True)
        print(f"== {rounds * len(kinds)} runs: {written} rows acknowledged, {lost} lost, {late} by two servers at once", flush=True)
    finally:
        pool.end()


if __name__ == "__main__":
    if pg_pool.why_not():
        sys.exit(pg_pool.why_not())
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(numbers[0] if numbers else 20, [word for word in sys.argv[1:] if word in KINDS] or list(KINDS))
