"""What gunicorn runs: `gunicorn todomvc.wsgi`."""
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "todomvc.settings")
application = get_wsgi_application()
