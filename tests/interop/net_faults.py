"""What goes wrong between hosts (wires.py), by a seed, while something else runs."""
import random
import threading

from wires import CUT


class NetFaults:
    """One fault after the other in a thread. `servers` and `members` are names of hosts of server agents and of etcd's
    members, `others` of the rest; `leader()` names the member that leads, or None. The caller's own wires stay whole."""

    def __init__(self, wires, seed, servers, members, others, leader=lambda: None):
        self.wires, self.random, self.leader = wires, random.Random(f"{seed}/net"), leader
        self.servers, self.members, self.all = servers, members, [*servers, *members, *others]
        self.told, self.over, self.problem = {}, threading.Event(), None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.wires.heal()
        assert self.problem is None, self.problem

    def _rest(self, name):
        return [other for other in self.all if other != name]

    def cut_off(self):
        name = self.random.choice(self.all)
        for other in self._rest(name):
            self.wires.between(name, other, CUT)
        return "cut off"

    def deaf(self):
        name = self.random.choice(self.all)
        for other in self._rest(name):
            self.wires.one_way(other, name, CUT)
        return "deaf: hears nobody, is heard"

    def mute(self):
        name = self.random.choice(self.all)
        for other in self._rest(name):
            self.wires.one_way(name, other, CUT)
        return "mute: hears all, is not heard"

    def server_from_leader(self):
        leader = self.leader()
        if leader is None or not self.servers:
            return self.cut_off()
        name = self.random.choice(self.servers)
        if self.random.random() < 0.5:
            self.wires.between(name, leader, CUT)
            return "server cut from the leading member"
        self.wires.one_way(*self.random.choice([(name, leader), (leader, name)]), CUT)
        return "server cut one way from the leading member"

    def leader_from_members(self):
        leader = self.leader()
        if leader is None:
            return self.mute()
        for other in self.members:
            if other != leader:
                self.wires.one_way(*self.random.choice([(leader, other), (other, leader)]), CUT)
        return "leading member cut one way from the members"

    def lossy(self):
        for one in self.all:
            for other in self._rest(one):
                self.wires.one_way(one, other, 0.3)
        return "30 % of all packets lost"

    def slow(self):
        name = self.random.choice([*self.all, None])
        for one in self.all:
            for other in self._rest(one):
                if name in (None, one, other):
                    self.wires.one_way(one, other, 0, 200)
        return "200 ms to all" if name is None else "200 ms to one"

    def halves(self):
        half = self.random.sample(self.all, len(self.all) // 2)
        for one in half:
            for other in self.all:
                if other not in half:
                    self.wires.between(one, other, CUT)
        return "cut in two"

    def _run(self):
        kinds = [self.cut_off, self.deaf, self.mute, self.server_from_leader, self.server_from_leader, self.leader_from_members,
                 self.lossy, self.slow, self.halves]
        try:
            while not self.over.wait(self.random.uniform(0.5, 2)):
                name = self.random.choice(kinds)()
                self.told[name] = self.told.get(name, 0) + 1
                self.over.wait(self.random.choice([0.4, 1, 2, 4, 7]))
                self.wires.heal()
        except Exception as problem:  # noqa: BLE001 - the thread's end must be seen by the caller
            self.problem = problem

    def __str__(self):
        passed, lost = self.wires.counts()
        return f"{passed} packets passed, {lost} lost; " + ", ".join(f"{count} {name}" for name, count in sorted(self.told.items()))
