"""Who may do what in the lab: one policy and one token for each purpose, put into the store once it answers.

Which secret a token has is known before (configuration.Secrets), so that every node can be configured on its own; the first
server that reaches the store makes them, and whoever comes later finds them.
"""
import json
import time
import urllib.error
import urllib.request

def _rules(**levels):
    """A rule a line: resources by their level, `key=` and `service=` are (name, level) of one."""
    prefixes = ("node", "service", "agent", "query", "session")
    lines = [f'{name}_prefix "" {{ policy = "{levels[name]}" }}' for name in prefixes if name in levels]
    lines += [f'{kind} "{levels[word][0]}" {{ policy = "{levels[word][1]}" }}'
              for word, kind in (("key", "key_prefix"), ("one", "service")) if word in levels]
    lines += [f'operator = "{levels["operator"]}"'] if "operator" in levels else []
    return "\n".join(lines) + "\n"


# Purpose: rules. What `None` stands for may do everything.
POLICIES = {
    "operator": None,
    "dns": _rules(node="read", service="read", query="read"),  # names are no secret inside
    "agent": _rules(node="read", service="read", session="write", key=("rollcall/pg/main/", "write")),  # the keeper
    "proxy": _rules(node="read", service="read", agent="read", one=("rollcall-proxy", "write")),
    "metrics": _rules(node="read", service="read", agent="read", query="read", operator="read"),  # Prometheus, and who only looks
    "weekly": _rules(node="read", service="read", agent="read", session="write", key=("weekly/", "write")),
    "maint": _rules(node="write", service="write", agent="read", query="read", operator="read",
                    session="write", key=("deploy/", "write")),  # scripts/deploy's lock
}
# What lies in /etc/rollcall/tokens of a node: file, purpose, and which nodes have it (None: those that are no adm).
FILES = (
    ("operator", "operator", "adm"),  # everything
    ("operator", "maint", None),  # on the others: takes services in and out, no more
    ("metrics", "metrics", "adm"),
    ("metrics", "metrics", None),
    ("weekly", "weekly", "web"),
)
SECONDS = 180  # to wait for the store
ATTEMPTS = 5


class Refused(Exception):
    """The API said no; the text is for people."""


def files(node):
    """{file name: purpose} for one node."""
    return {name: purpose for name, purpose, kind in FILES
            if kind == node.kind or (kind is None and node.kind != "adm")}


class _Api:
    def __init__(self, base, secret):
        self.base = base
        self.secret = secret

    def ask(self, method, path, body=None):
        """(status, decoded answer, or its text)."""
        asked = urllib.request.Request(f"{self.base}{path}", json.dumps(body).encode() if body is not None else None, method=method)
        if self.secret:
            asked.add_header("X-Consul-Token", self.secret)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace").strip()
        except OSError as error:
            return 0, str(error)

    def must(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status != 200:
            raise Refused(f"{method} {path}: {status} {answer}")
        return answer


def _begin(base, operator):
    """The operator's token works: the one that `acl bootstrap` makes is used to make it, and ended."""
    mine = _Api(base, operator)
    if mine.ask("GET", "/v1/acl/token/self")[0] == 200:
        return True
    status, first = _Api(base, "").ask("PUT", "/v1/acl/bootstrap")
    if status != 200:
        return False  # no store yet, or another node is at it
    maker = _Api(base, first["SecretID"])
    maker.must("PUT", "/v1/acl/token", {"SecretID": operator, "Description": "operator of the lab",
                                        "Policies": [{"Name": "global-management"}]})
    mine.must("DELETE", f"/v1/acl/token/{first['AccessorID']}")
    return True


def _complete(api, secrets):
    """What is missing of policies and tokens."""
    policies = {policy["Name"]: policy["ID"] for policy in api.must("GET", "/v1/acl/policies")}
    known = {token["Description"] for token in api.must("GET", "/v1/acl/tokens")}
    for purpose, rules in POLICIES.items():
        name, words = f"lab-{purpose}", f"lab: {purpose}"
        if rules is None:
            continue
        if name not in policies:
            api.must("PUT", "/v1/acl/policy", {"Name": name, "Rules": rules})
        else:
            held = api.must("GET", f"/v1/acl/policy/{policies[name]}")
            if held["Rules"] != rules:
                api.must("PUT", f"/v1/acl/policy/{policies[name]}", {**held, "Rules": rules})
        if words not in known:
            api.must("PUT", "/v1/acl/token", {"SecretID": secrets.tokens[purpose], "Description": words, "Policies": [{"Name": name}]})


def make(secrets, base="http://127.0.0.1:8500", seconds=SECONDS):
    """All policies and tokens; what is there stays. TimeoutError when the store does not answer in time."""
    until = time.monotonic() + seconds
    while not _begin(base, secrets.tokens["operator"]):
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds} s in vain until the store takes the first token")
        time.sleep(1)
    api = _Api(base, secrets.tokens["operator"])
    for attempt in range(ATTEMPTS):
        try:
            return _complete(api, secrets)
        except Refused:  # another node may just be making the same
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(1)
    return None
