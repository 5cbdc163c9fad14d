#!/usr/bin/python3
"""For how long nobody can write when the primary goes, and what is lost: printed, not judged.

usage: sudo pg_figures.py [ROUNDS] [KIND ...]      (default: 20 of each of stop, killed, lost, switchover)

PG_SLOW=MS shows what everybody said in rounds that took longer. Rows are written through rollcall-proxy by two clients, one each 5 ms, in mode sync with a ttl of 3 s.
"""
import os
import signal
import statistics
import sys

import pg_pool
from pg_pool import Pool
from pg_timeline import Timeline
from pg_trial import Trial
from test_pg_matrix import pg_ctl

KINDS = {
    "stop": ("pg_ctl stop -m fast", lambda trial: pg_ctl(trial.primary, "stop", "-m", "fast", "-w", "-t", "30")),
    "killed": ("postmaster killed", lambda trial: pg_pool.send([trial.postmaster()], signal.SIGKILL)),
    "lost": ("node lost", lambda trial: trial.pool.kill_node(trial.primary.name)),
    "switchover": ("switchover", lambda trial: trial.pool.pg("switchover")),
}


def show_slow(trial, timeline):
    """What was said from the fault on, and when rows were written."""
    acks = [ack[0] for ack in trial.writer.record().acks]
    end = max(zip(acks, acks[1:]), key=lambda pair: pair[1] - pair[0] if pair[1] > trial.fault_at else 0)
    said = timeline.lines(trial.fault_at - 0.02, end[1] + 0.1)
    said += [(end[0] - trial.fault_at + 0.02, "== last row"), (end[1] - trial.fault_at + 0.02, "== first row again")]
    for at, line in sorted(said):
        print(f"{1000 * (at - 0.02):8.0f} {line}", flush=True)


def main(rounds, kinds):
    slow_ms = float(os.environ.get("PG_SLOW", "inf"))
    pool = Pool()
    pool.log_level = "debug" if slow_ms < float("inf") else "info"
    pool.start()
    try:
        written = lost = late = 0
        for kind in kinds:
            gaps = []
            for round_ in range(rounds):
                timeline = Timeline(pool).mark()
                with Trial(pool, f"{kind} {round_ + 1}") as trial:
                    trial.fault(lambda: KINDS[kind][1](trial))
                    trial.taken_over()
                    if kind == "lost":
                        pool.start_node(trial.primary.name)
                gaps.append(1000 * trial.gap_s)
                if gaps[-1] > slow_ms:
                    show_slow(trial, timeline)
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
