"""Which path is answered by which view."""
from django.urls import path, re_path
from django.views.static import serve

from todos import views

_STATIC = views.__file__.rsplit("/", 1)[0] + "/static"

urlpatterns = [
    path("", views.page),
    path("health", views.health),
    path("_health", views.deep_health),
    path("api/todos", views.todos),
    path("api/todos/completed", views.completed),
    path("api/todos/<int:todo_id>", views.todo),
    re_path(r"^static/(?P<path>[a-z.]+)$", serve, {"document_root": _STATIC}),
]
