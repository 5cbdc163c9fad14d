"""Histories of operations on the store, and whether they are linearizable.

Every write is answered with the store's revision (X-Rollcall-Index), and every read with the revision of the write that
it saw (ModifyIndex), so the order that the store claims is known; it is linearizable if each key's values fit that order
and the order fits time: an operation that had ended before another began stands before it. Values are unique, so
a write whose outcome nobody learned counts from when somebody has seen it. Times are those of one clock in one process.
"""
import bisect
import collections

OK, FALSE, UNKNOWN = "ok", "false", "unknown"
NEVER = float("inf")


class Op:
    """One operation: `what` is put, cas, delete, get, lock or unlock; `begun` and `ended` are seconds."""
    __slots__ = ("what", "key", "value", "index", "session", "begun", "ended", "outcome", "revision", "term", "found", "group", "seen")

    def __init__(self, what, key, begun, value=None, index=None, session=None, group=None):
        self.what, self.key, self.value, self.index, self.session, self.begun = what, key, value, index, session, begun
        self.ended, self.outcome, self.revision, self.term, self.found = NEVER, UNKNOWN, None, None, None
        self.group, self.seen = group, NEVER  # of its transaction; when somebody had first read it

    def __repr__(self):
        return f"<{self.what} {self.key} value={self.value} index={self.index} {self.begun:.4f}-{self.ended:.4f} " \
               f"{self.outcome} revision={self.revision} term={self.term} found={self.found}>"


def check_order(ops):
    """Writes that were answered have revisions in the order of time."""
    done = sorted((o for o in ops if o.revision is not None and o.what != "get" and o.outcome == OK), key=lambda o: o.begun)
    ended = sorted(done, key=lambda o: o.ended)
    at, highest = 0, None
    for op in done:
        while at < len(ended) and ended[at].ended < op.begun:
            highest = ended[at] if highest is None or ended[at].revision > highest.revision else highest
            at += 1
        if highest is not None and op.revision < highest.revision:
            yield f"{op} stands before {highest}, which had ended before it began"


def writes_of(ops):
    """The writes of one key that took place, by revision; those of unknown outcome where a read has seen them."""
    by_value = {o.value: o for o in ops if o.what in ("put", "cas", "lock", "unlock") and o.value is not None}
    for read in ops:
        if read.what == "get" and read.found is not None:
            value, revision = read.found
            write = by_value.get(value)
            if write is None:
                yield "fault", f"{read} saw what nobody wrote"
            elif write.outcome == FALSE:
                yield "fault", f"{read} saw {write}, which was refused"
            elif write.revision is None:
                write.revision = revision
            elif write.revision != revision and not write.session:
                yield "fault", f"{read} saw {write} at another revision"
            if write is not None:
                write.seen = min(write.seen, read.ended)
    for op in ops:
        if op.what != "get" and op.revision is not None and op.outcome != FALSE:
            yield "write", op


def done_by(write):
    """When it had surely taken place: its answer had come, or somebody had read it, or another part of its transaction."""
    return write.ended if write.outcome == OK else write.seen


def check_transactions(ops):
    """All writes of a transaction have one revision; what is known of one holds for the others."""
    groups = collections.defaultdict(list)
    for op in ops:
        if op.group is not None:
            groups[op.group].append(op)
    for group in groups.values():
        revisions = {o.revision for o in group if o.revision is not None}
        if len(revisions) > 1:
            yield f"{group} was torn apart"
        for op in group:
            op.revision = min(revisions, default=None)
            op.seen = min(o.seen for o in group)


def check_reads(ops, writes):
    """Each read saw the last write before it, or one that overlaps it."""
    revisions = [w.revision for w in writes]
    maybe_deleted = [o for o in ops if o.what == "delete" and o.outcome == UNKNOWN]
    newest, highest = [], -1  # (ended, highest revision of the writes that had ended by then)
    for write in sorted(writes, key=done_by):
        if done_by(write) < NEVER:
            highest = max(highest, write.revision)
            newest.append((done_by(write), highest))
    for read in ops:
        if read.what != "get" or read.outcome != OK:
            continue
        at = bisect.bisect_left(newest, (read.begun, -1)) - 1
        least = newest[at][1] if at >= 0 else -1
        if read.found is not None:
            if read.found[1] < least:
                yield f"{read} is stale: revision {least} had been acknowledged before it began"
            write = writes[bisect.bisect_left(revisions, read.found[1])] if read.found[1] in set(revisions) else None
            if write is not None and write.begun > read.ended:
                yield f"{read} saw the future: {write}"
            continue
        # Nothing there: before all writes, or behind a delete that can stand in the read's time.
        if least < 0 or any(d.begun < read.ended for d in maybe_deleted):
            continue
        at = bisect.bisect_left(revisions, least)
        if not any(w.what == "delete" and w.begun < read.ended for w in writes[at:]):
            yield f"{read} found nothing, though {writes[at]} had been acknowledged"


def check_reads_agree(ops):
    """A read that began after another had ended does not see less."""
    reads = sorted((o for o in ops if o.what == "get" and o.outcome == OK and o.found is not None), key=lambda o: o.begun)
    ended = sorted(reads, key=lambda o: o.ended)
    at, best = 0, None
    for read in reads:
        while at < len(ended) and ended[at].ended < read.begun:
            best = ended[at] if best is None or ended[at].found[1] > best.found[1] else best
            at += 1
        if best is not None and read.found[1] < best.found[1]:
            yield f"{read} saw less than {best} before it"


def check_cas(ops, writes):
    """A compared write stands directly behind the revision that it named."""
    revisions = [w.revision for w in writes]
    for op in ops:
        if op.what != "cas" or op.revision is None:
            continue
        at = bisect.bisect_left(revisions, op.revision)
        before = writes[at - 1] if at > 0 else None
        is_there = before is not None and before.what != "delete"
        if op.index == 0 and is_there and not any(o.what == "delete" and o.outcome == UNKNOWN for o in ops):
            yield f"{op} made a key that was there by {before}"
        if op.index != 0 and (before is None or before.revision != op.index):
            yield f"{op} stands behind {before}"


def check_refused(ops, writes):
    """A comparison that failed had something to fail for."""
    for op in ops:
        if op.what != "cas" or op.outcome != FALSE or op.index == 0:
            continue
        named = next((w for w in writes if w.revision == op.index), None)
        if named is None or named.ended > op.begun or named.outcome != OK:
            continue
        others = (w for w in ops if w.what != "get" and w is not named and w.outcome != FALSE and w.begun < op.ended
                  and (w.revision is None or w.revision > op.index))
        if next(others, None) is None:
            yield f"{op} was refused, though {named} was the last write"


def check_locks(ops, ends):
    """Terms grow, and a holder's lock passes on only after it released it or its session may have ended.

    `ends` gives for a session's id when it may first have ended (seconds), by its own renewals."""
    taken = sorted((o for o in ops if o.what == "lock" and o.outcome == OK and o.term), key=lambda o: o.term)
    for one, two in zip(taken, taken[1:]):
        if one.term == two.term and one.session != two.session:
            yield f"{one} and {two} hold the same term"
        if one.term == two.term or one.session == two.session:
            continue
        if two.ended < one.begun:
            yield f"{two} has a later term than {one}, and was over before it began"
        released = any(o.what in ("unlock", "delete", "put") and o.outcome != FALSE and o.begun < two.ended
                       and (o.what != "unlock" or o.session == one.session) for o in ops)
        if not released and ends.get(one.session, NEVER) > two.ended:
            yield f"{two} took the lock of {one}, whose session could not have ended"


def check(ops, ends=None):
    """A list of faults in words; empty: the history is linearizable as far as its revisions tell."""
    faults = list(check_order(ops))
    by_key = collections.defaultdict(list)
    for op in ops:
        by_key[op.key].append(op)
    for its in by_key.values():
        collections.deque(writes_of(its), maxlen=0)  # what reads tell of writes whose outcome nobody learned
    faults += check_transactions(ops)
    for its in by_key.values():
        writes = []
        for kind, found in writes_of(its):
            if kind == "fault":
                faults.append(found)
            else:
                writes.append(found)
        writes.sort(key=lambda w: w.revision)
        if any(o.what == "lock" for o in its):
            faults += check_locks(its, ends or {})
            continue
        faults += check_reads(its, writes)
        faults += check_reads_agree(its)
        faults += check_cas(its, writes)
        faults += check_refused(its, writes)
    return faults
