"""manage.py tidy [--days N]: deletes what was finished long ago, as the weekly job does."""
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from todos.models import Todo


class Command(BaseCommand):
    help = "Deletes completed to-dos that are older than so many days."

    def add_arguments(self, parser):
        parser.add_argument("--days", type=int, default=30)

    def handle(self, *_, **options):
        before = timezone.now() - timedelta(days=options["days"])
        count, _ = Todo.objects.using("default").filter(completed=True, created__lt=before).delete()
        self.stdout.write(f"{count} finished to-dos of before {before:%F} deleted")
