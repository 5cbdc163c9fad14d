"""Rolling a version out: the order of steps, and the way back.

One instance at a time: maintenance takes it out of all answers; it is waited until no proxy has it in use and nothing runs at it;
the version is switched and the instance restarted; it answers its probes and its checks pass; maintenance ends, and it is
watched with visitors on it. What fails on the way is undone, first here and then on those that have the new version already.
"""
import json
import time
from dataclasses import dataclass, field
from urllib.parse import quote

from .alone import alone
from .hosts import ADMIN, API, HostError

EVERY = 0.1  # seconds between looks
FAULTS = ("connect_failed", "broke", "timed_out", "bad_answer")  # what proxies call no whole answer


class Failed(Exception):
    """The new version does not do; the old one goes back."""


@dataclass
class Wishes:
    service: str
    version: str
    folder: object  # Path of the new version
    probes: tuple = ("/health",)  # paths that the instance itself must answer with 200
    patience: float = 30.0  # seconds for each thing that is waited for
    watch: float = 2.0  # seconds with visitors before the next one's turn
    min_healthy: int = 1
    force: bool = False
    say: object = print


@dataclass
class Instance:
    host: object
    id: str
    address: str
    port: int
    before: str = None  # the version that it goes back to
    proxies: list = field(default_factory=list)


class Roll:
    def __init__(self, hosts, wishes):
        """`hosts`: by name, every host that may run the service or a proxy in front of it."""
        self.hosts = hosts
        self.wishes = wishes
        self.first = next(iter(hosts.values()))
        self.proxies = []
        self.routed = False  # some proxy sends to the service
        self.done = []

    # -- what there is --------------------------------------------------------------------------

    def health(self):
        return self.first.ask_json(f"{API}/v1/health/service/{quote(self.wishes.service)}")

    def instances(self):
        found = []
        for entry in self.health():
            service, name = entry["Service"], entry["Node"]["Node"]
            if name not in self.hosts:
                raise HostError(f"{self.wishes.service} runs on {name} too, and I do not know how to reach it")
            found.append(Instance(self.hosts[name], service["ID"], service["Address"] or entry["Node"]["Address"], service["Port"]))
        if not found:
            raise HostError(f"nothing in the catalog is called {self.wishes.service}")
        return sorted(found, key=lambda instance: instance.host.name)

    def find_proxies(self):
        """Hosts whose rollcall-proxy answers: they are asked whether an instance is still in use."""
        self.proxies = [host for host in self.hosts.values() if host.ask(f"{ADMIN}/health", seconds=3)[0] == 200]
        if not self.proxies:
            self.wishes.say("no proxy answers on any host: what is under way at an instance gets two seconds")

    def healthy(self):
        """Who passes all checks, by (node, id)."""
        return {(entry["Node"]["Node"], entry["Service"]["ID"]) for entry in self.health()
                if all(check["Status"] == "passing" for check in entry["Checks"])}

    def _in_use(self, instance):
        """How proxies see it: (proxies that may send to it, requests under way)."""
        sending = running = 0
        for proxy in self.proxies:
            for each in self._seen(proxy, instance):
                sending += each["state"] not in ("draining", "gone")
                running += each["in_flight"]
        return sending, running

    def _seen(self, proxy, instance):
        wanted = f"[{instance.address}]:{instance.port}" if ":" in instance.address else f"{instance.address}:{instance.port}"
        status, text = proxy.ask(f"{ADMIN}/upstreams", seconds=5)
        if status != 200:
            return []  # a proxy that is gone sends nothing
        return [each for pool in json.loads(text)["pools"] for each in pool["instances"] if each["address"] == wanted]

    def _tally(self, instance):
        """(requests, faults) of it at all proxies so far: a fault is a 5xx, or no whole answer."""
        requests = faults = 0
        for proxy in self.proxies:
            for each in self._seen(proxy, instance):
                requests += each["traffic"]["requests"]
                faults += each["traffic"]["codes"]["5xx"] + sum(each["outcomes"][word] for word in FAULTS)
        return requests, faults

    # -- steps ----------------------------------------------------------------------------------

    def _until(self, claim, what):
        end = time.monotonic() + self.wishes.patience
        while True:
            why = claim()
            if why is None:
                return
            if time.monotonic() > end:
                raise Failed(f"waited {self.wishes.patience:g} s in vain until {what}: {why}")
            time.sleep(EVERY)

    def maintenance(self, instance, on):
        reason = quote(f"deploy of {self.wishes.version}")
        force = "&force=true" if self.wishes.force and on else ""
        instance.host.put(f"/v1/agent/service/maintenance/{quote(instance.id, safe='')}?enable={'true' if on else 'false'}"
                          f"&reason={reason}{force}")

    def may_go(self, instance):
        """Refuses to take away what would leave too few; who is not healthy is missed by nobody."""
        healthy = self.healthy()
        if (instance.host.name, instance.id) not in healthy:
            return
        others = healthy - {(instance.host.name, instance.id)}
        if len(others) < self.wishes.min_healthy and not self.wishes.force:
            names = ", ".join(sorted(name for name, _ in others)) or "none"
            raise HostError(f"without {instance.host.name} {len(others)} healthy of {self.wishes.service} would be left ({names}), "
                            f"and {self.wishes.min_healthy} must be; mend the others first, or use --force")

    def take_out(self, instance):
        self.may_go(instance)
        self.maintenance(instance, True)

        def left():
            sending, running = self._in_use(instance)
            return f"{sending} proxies use it, {running} requests run" if sending or running else None
        self._until(left, "no proxy uses it")
        if not self.proxies:
            time.sleep(2)

    def start_anew(self, instance, version):
        instance.host.switch(version)
        instance.host.restart()
        base = f"http://{f'[{instance.address}]' if ':' in instance.address else instance.address}:{instance.port}"

        def answers():
            for path in self.wishes.probes:
                status, text = instance.host.ask(base + path, seconds=5)
                if status != 200:
                    return f"{path}: {status or 'no answer'} {text.strip()[-200:]}"
            return None
        self._until(answers, "it answers")
        for _ in range(2):  # an answer is not yet health: some fall over after the first
            time.sleep(EVERY)
            why = answers()
            if why is not None:
                raise Failed(f"it answered, and then no longer: {why}")

        def passes():
            checks = instance.host.ask_json(f"{API}/v1/health/checks/{quote(self.wishes.service)}")
            bad = [f"{check['Name']}: {check['Output'].strip()[:200]}" for check in checks
                   if check["Node"] == instance.host.name and check["ServiceID"] == instance.id
                   and check["Status"] != "passing" and not check["CheckID"].startswith("_service_maintenance:")]
            return "; ".join(bad) or None
        self._until(passes, "its checks pass")

    def bring_in(self, instance):
        self.maintenance(instance, False)

        def used():
            sending = self._in_use(instance)[0]
            return f"{sending} of {len(self.proxies)} proxies use it" if self.routed and not sending else None
        self._until(used, "proxies use it again")

        def passes():
            return None if (instance.host.name, instance.id) in self.healthy() else "not in the answers yet"
        self._until(passes, "it is in all answers")

    def watch_it(self, instance):
        """With visitors on it: one fault in a hundred requests is too many."""
        before, end = self._tally(instance), time.monotonic() + self.wishes.watch
        while time.monotonic() < end:
            time.sleep(EVERY)
            requests, faults = (now - then for now, then in zip(self._tally(instance), before))
            if faults > 0 and faults * 100 > requests:
                raise Failed(f"{faults} of {requests} requests failed at it since it is back")
            if (instance.host.name, instance.id) not in self.healthy():
                raise Failed("its checks fail since it is back")

    # -- forth and back -------------------------------------------------------------------------

    def _one(self, instance):
        instance.before = instance.host.current()
        if instance.before == self.wishes.version:
            self.wishes.say(f"{instance.host.name}: has {self.wishes.version} already")
            return
        self.wishes.say(f"{instance.host.name}: {instance.before or 'nothing'} -> {self.wishes.version}")
        if self.wishes.folder is not None:
            instance.host.install(self.wishes.version, self.wishes.folder)
        elif not instance.host.has(self.wishes.version):
            raise HostError(f"{instance.host.name} has no version {self.wishes.version} any more")
        self.may_go(instance)
        self.done.append(instance)
        self.take_out(instance)
        self.start_anew(instance, self.wishes.version)
        self.bring_in(instance)
        self.watch_it(instance)
        self.wishes.say(f"{instance.host.name}: serves {self.wishes.version}")

    def _undo(self, instance):
        """Back to what it had; maintenance, where it is not yet, comes first."""
        self.wishes.say(f"{instance.host.name}: back to {instance.before}")
        if instance.host.current() != instance.before:
            self.take_out(instance)
            self.start_anew(instance, instance.before)
        self.bring_in(instance)

    def run(self):
        """True when all have the new version; False when all have the old one again. HostError, Failed: neither; it says where."""
        instances = self.instances()
        self.find_proxies()
        self.routed = any(self._in_use(instance)[0] for instance in instances)
        with alone(self.first, self.wishes.service):
            return self._roll(instances)

    def _roll(self, instances):
        try:
            for instance in instances:
                self._one(instance)
        except (Failed, HostError, KeyboardInterrupt) as error:
            self.wishes.say(f"{self.done[-1].host.name if self.done else 'nothing begun'}: {error or 'interrupted'}")
            if not self.done:
                raise
            for instance in reversed(self.done):
                self._undo(instance)
            return False
        for instance in instances:
            instance.host.forget()
        return True
