"""A client that sends a request when the server is at rest after the one before.

What a server does in one go then does not depend on how busy the machine is.
"""

import os
import re
import socket
import ssl
import time

import rig

# One look may miss a thread that passes its work on: it slept before that, and the other one sleeps after it.
LOOKS = 3


def thread_runs(pid, task):
    """Whether the thread runs, may run, or waits for a disk."""
    try:
        return rig.read(f"/proc/{pid}/task/{task}/stat").rsplit(")", 1)[1].split()[0] in "RD"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_rest(server, timeout=60):
    deadline, asleep = time.monotonic() + timeout, 0
    while asleep < LOOKS:
        time.sleep(0.0002)
        runs = any(thread_runs(server.process.pid, task) for task in os.listdir(f"/proc/{server.process.pid}/task"))
        asleep = 0 if runs else asleep + 1
        if time.monotonic() > deadline:
            raise rig.BenchError(f"{server.name} never rests")


class Client:
    """One TLS connection to a server."""

    def __init__(self, server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.server = server
        plain = socket.create_connection(("127.0.0.1", server.port), 60)
        self.connection = context.wrap_socket(plain, server_hostname="localhost")

    def send(self, requests):
        """One after the other; each must be answered by 200 and a body of a known length."""
        for request in requests:
            wait_for_rest(self.server)
            self.connection.sendall(request)
            answer, length = b"", None
            while length is None or len(answer) < length:
                more = self.connection.recv(65536)
                if not more:
                    raise rig.BenchError(f"{self.server.name} closed the connection after {answer!r}")
                answer += more
                end = answer.find(b"\r\n\r\n")
                if length is None and end >= 0:
                    length = end + 4 + int(re.search(rb"(?i)\r\nContent-Length: *(\d+)\r\n", answer)[1])
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise rig.BenchError(f"{self.server.name} answers {answer!r}")
        wait_for_rest(self.server)

    def close(self):
        self.connection.close()
