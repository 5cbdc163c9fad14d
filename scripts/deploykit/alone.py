"""One deployment at a time: a lock in rollcall's own store, which ends by itself when its holder does."""
import getpass
import json
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote

from .hosts import API, HostError

TTL_SECONDS = 30


@contextmanager
def alone(host, service):
    """Holds the service's lock, asked for at the agent of a host; HostError when somebody else does."""
    session = json.loads(host.put("/v1/session/create", {"Name": f"deploy of {service}", "TTL": f"{TTL_SECONDS}s", "LockDelay": "0s"}))["ID"]
    key, over = f"/v1/kv/deploy/{quote(service)}/lock", threading.Event()

    def renew():
        while not over.wait(TTL_SECONDS / 3):
            try:
                host.put(f"/v1/session/renew/{session}")
            except HostError:
                pass  # again in ten seconds; should it stay so, somebody else may deploy

    who = f"{getpass.getuser()} on {socket.gethostname()}, since {time.strftime('%F %T %Z')}"
    try:
        if host.put(f"{key}?acquire={session}", who).strip() != "true":
            raise HostError(f"{service} is being deployed already, by {_holder(host, key)}")
        threading.Thread(target=renew, daemon=True).start()
        yield
    finally:
        over.set()
        host.put(f"/v1/session/destroy/{session}")


def _holder(host, key):
    status, text = host.ask(f"{API}{key}?raw")
    return text.strip().strip('"') if status == 200 else "somebody"
