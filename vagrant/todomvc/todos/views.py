"""The page and the JSON API behind it.

GET    /api/todos              every to-do, and which database server answered
POST   /api/todos              {"title": "..."} -> 201 and the new one
PATCH  /api/todos/ID           {"title": "..."} and/or {"completed": true}
DELETE /api/todos/ID
PATCH  /api/todos              {"completed": true}: all of them
DELETE /api/todos/completed    the finished ones
"""
import json
import socket
from pathlib import Path

import psycopg2
from django.db import connections, router
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from .models import TITLE_MAX, Todo

_PAGE = (Path(__file__).parent / "static" / "index.html").read_bytes()


class _BadRequest(Exception):
    """The body is not what the API takes; the message is for the caller."""


def _refuse(message, status=400):
    return JsonResponse({"error": message}, status=status)


def _fields(request, allowed):
    """The request's JSON object, checked field by field."""
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise _BadRequest("the body is not JSON") from error
    if not isinstance(body, dict) or not body or set(body) - set(allowed):
        raise _BadRequest("expected an object with: " + ", ".join(allowed))
    if "completed" in body and not isinstance(body["completed"], bool):
        raise _BadRequest("completed must be true or false")
    if "title" in body:
        title = body["title"].strip() if isinstance(body["title"], str) else ""
        if not title or len(title) > TITLE_MAX or "\0" in title:
            raise _BadRequest(f"title must be text of 1 to {TITLE_MAX} characters")
        body["title"] = title
    return body


def _database_server():
    """The address of the server that answered this request's reads."""
    with connections[router.db_for_read(Todo)].cursor() as cursor:
        cursor.execute("SELECT host(inet_server_addr()), pg_is_in_recovery()")
        address, standby = cursor.fetchone()
    return {"address": address, "role": "standby" if standby else "primary"}


def page(request):
    return HttpResponse(_PAGE)


def health(request):
    """Alive as a web server; whether the database is reachable is another question."""
    return HttpResponse("ok\n", content_type="text/plain")


_SECONDS = 2  # for each step of a probe


def _probe(alias):
    """(can be used, what it said) of a database, asked by a session of its own."""
    settings = connections[alias].settings_dict
    try:
        socket.create_connection((settings["HOST"], int(settings["PORT"])), timeout=_SECONDS).close()
    except OSError as error:
        return False, f"the local proxy does not answer: {error}"
    try:
        session = psycopg2.connect(host=settings["HOST"], port=settings["PORT"], user=settings["USER"], password=settings["PASSWORD"],
                                   dbname=settings["NAME"], connect_timeout=_SECONDS, application_name="todomvc health",
                                   options=f"-c statement_timeout={1000 * _SECONDS}")
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery()")
                return True, "standby" if cursor.fetchone()[0] else "primary"
        finally:
            session.close()
    except psycopg2.Error as error:
        return None, str(error).strip() or type(error).__name__


def deep_health(request):
    """Whether this instance can do its work: it reads and writes through the local proxy.

    200: it can. 429 (a check's warning): the proxy is there, but no database is behind it now. That is so for every instance,
    and to take them all away would help nobody. 503: this instance has lost its own way to the database; others may have theirs.
    """
    reads, writes = _probe("standby"), _probe("default")
    if False in (reads[0], writes[0]):
        status = 503
    else:
        status = 200 if reads[0] and writes[0] and writes[1] == "primary" else 429
    return JsonResponse({"reads": reads[1], "writes": writes[1]}, status=status)


@require_http_methods(["GET", "HEAD", "POST", "PATCH"])
def todos(request):
    if request.method in ("GET", "HEAD"):
        items = [todo.as_dict() for todo in Todo.objects.all()]
        return JsonResponse({"todos": items, "database": _database_server()})
    try:
        if request.method == "POST":
            fields = _fields(request, ["title"])
            return JsonResponse(Todo.objects.create(title=fields["title"]).as_dict(), status=201)
        fields = _fields(request, ["completed"])
    except _BadRequest as error:
        return _refuse(str(error))
    Todo.objects.update(completed=fields["completed"])
    return HttpResponse(status=204)


@require_http_methods(["PATCH", "DELETE"])
def todo(request, todo_id):
    wanted = Todo.objects.using("default").filter(id=todo_id)
    if request.method == "DELETE":
        return HttpResponse(status=204) if wanted.delete()[0] else _refuse("no such to-do", 404)
    try:
        fields = _fields(request, ["title", "completed"])
    except _BadRequest as error:
        return _refuse(str(error))
    if not wanted.update(**fields):
        return _refuse("no such to-do", 404)
    return JsonResponse(wanted.get().as_dict())


@require_http_methods(["DELETE"])
def completed(request):
    Todo.objects.using("default").filter(completed=True).delete()
    return HttpResponse(status=204)
