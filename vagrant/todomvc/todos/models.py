"""One to-do."""
from django.db import models

TITLE_MAX = 500


class Todo(models.Model):
    title = models.CharField(max_length=TITLE_MAX)
    completed = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def as_dict(self):
        return {"id": self.id, "title": self.title, "completed": self.completed}
