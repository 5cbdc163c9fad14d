"""What faults of PostgreSQL under keepers cost: one line a run, in the file that PG_TALLY names and at a test run's end.

Columns, parted by tabs: row, mode, rows acknowledged, of those lost, for how many ms nobody could write, of how many changes
of the primary, rows that two servers wrote at once, how the run ended.
"""
import contextlib
import os

HEAD = ("row", "mode", "acknowledged", "lost", "W ms", "changes", "by two", "end")
runs = []


def note(row, mode, acknowledged=0, lost=0, gap_s=None, changes=0, by_two=0, end="ok"):
    run = (row, mode, acknowledged, lost, "-" if gap_s is None else f"{1000 * gap_s:.0f}", changes, by_two, end)
    runs.append(run)
    with contextlib.suppress(KeyError), open(os.environ["PG_TALLY"], "a") as file:
        file.write("\t".join(map(str, run)) + "\n")


def table(of=None):
    """The lines of a table of runs, its sums last; [] when there were none."""
    some_runs = runs if of is None else of
    if not some_runs:
        return []
    rows = [HEAD, *(tuple(map(str, run)) for run in some_runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    whole = [run for run in some_runs if run[-1] == "ok"]
    sums = [f"{len(whole)} runs whole of {len(some_runs)}"]
    for name, which in (("sync and strict", lambda run: run[1] in ("sync", "strict")), ("other", lambda run: run[1] not in ("sync", "strict"))):
        some = [run for run in some_runs if which(run)]
        if some:
            sums.append(f"{name}: {len(some)} runs, {sum(int(run[2]) for run in some)} rows acknowledged, {sum(int(run[3]) for run in some)} lost, "
                        f"{sum(int(run[6]) for run in some)} by two at once")
    return [*lines, *sums]


def read(path):
    """The runs of a file that PG_TALLY named."""
    with open(path) as file:
        return [tuple(line.rstrip("\n").split("\t")) for line in file]


if __name__ == "__main__":
    import sys
    print("\n".join(table([run for path in sys.argv[1:] for run in read(path)])))
