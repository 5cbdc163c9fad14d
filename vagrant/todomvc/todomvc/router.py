"""Reads go to a standby, unless this browser has just written: then it reads the primary.

A standby follows within milliseconds, but a page that reloads at once must show what was just
typed. So a write leaves a short-lived cookie, and a request that brings it reads the primary.
"""
import threading

from django.db import connections

COOKIE = "todomvc_wrote"
COOKIE_SECONDS = 3

_request = threading.local()


class StandbyReads:
    """The database router: where a query of this thread's request goes."""

    def db_for_read(self, model, **hints):
        return "standby" if getattr(_request, "may_lag", False) else "default"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True  # both are the same cluster

    def allow_migrate(self, db, app_label, **hints):
        return db == "default"


class ReadYourWrites:
    """The middleware: notes whether a request may read a standby, and drops dead connections.

    A kept connection may have been cut since the last request (the proxy does so when the primary
    moves). Finding that out before the view runs costs a fraction of a millisecond and nothing is
    lost: the view gets a fresh connection.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        reads_only = request.method in ("GET", "HEAD")
        _request.may_lag = reads_only and COOKIE not in request.COOKIES
        for connection in connections.all():
            if connection.connection is not None and not connection.is_usable():
                connection.close()
        try:
            response = self.get_response(request)
        finally:
            _request.may_lag = False
        if not reads_only and response.status_code < 400:
            response.set_cookie(COOKIE, "1", max_age=COOKIE_SECONDS, httponly=True, samesite="Lax")
        return response
