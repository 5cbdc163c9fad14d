"""Settings of the to-do application; what differs between machines comes by environment."""
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["TODOMVC_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = ["*"]  # the proxy in front decides which names are served

INSTALLED_APPS = ["todos"]
MIDDLEWARE = ["todomvc.router.ReadYourWrites", "todomvc.served_by.ServedBy"]
ROOT_URLCONF = "todomvc.urls"
WSGI_APPLICATION = "todomvc.wsgi.application"

# Both databases are the local rollcall-proxy, which knows where the primary is. With no primary
# it holds a new connection until there is one, hence the long connect_timeout.
_LOCAL_PROXY = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": os.environ.get("TODOMVC_DB_NAME", "todomvc"),
    "USER": os.environ.get("TODOMVC_DB_USER", "todomvc"),
    "PASSWORD": os.environ.get("TODOMVC_DB_PASSWORD", ""),
    "HOST": os.environ.get("TODOMVC_DB_HOST", "127.0.0.1"),
    "CONN_MAX_AGE": 60,
    "OPTIONS": {"connect_timeout": 30, "application_name": "todomvc"},
}
DATABASES = {
    "default": {**_LOCAL_PROXY, "PORT": os.environ.get("TODOMVC_DB_PORT", "5432")},
    "standby": {**_LOCAL_PROXY, "PORT": os.environ.get("TODOMVC_DB_STANDBY_PORT", "5433")},
}
DATABASE_ROUTERS = ["todomvc.router.StandbyReads"]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
