"""Says in a header which node answered, so that a visitor can watch the traffic move."""
import os
import socket

_NODE = os.environ.get("TODOMVC_NODE", socket.gethostname())


class ServedBy:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response["X-Served-By"] = _NODE
        return response
