"""Starts `gateway connectors`, the connector service alone over plain HTTP."""

from gateway import ORGANIZATION, Gateway
from wire import Wire

# The field that a gateway sends with every request.
ORGANIZATION_FIELD = {"X-Gateway-Organization": ORGANIZATION}


class Connectors(Gateway):
    """One running connector service, a child process of the test. It needs no token."""

    def command(self):
        return ["connectors"]

    def start(self, deadline=30):
        """Starts the service and waits until it serves."""
        self.launch()
        try:
            self.port = int(self._printed(r"listening on http://[^\s:/]+:(\d+)", deadline))
        except BaseException:
            self.kill()
            raise
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def wire(self, **options):
        return Wire(self.port, tls=False, **options)

    def call(self, method, path, body=None, *, token=None, **options):
        return super().call(method, path, body, token=token, **options)
