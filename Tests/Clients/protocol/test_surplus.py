"""Bytes after a response within TLS: they arrive together with it, and the poller does not report them later."""

import socket
import ssl
import subprocess
import threading

import pytest

from gateway import BASE, ROOT

pytestmark = pytest.mark.upstream


def answer(text):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


class Records:
    """An upstream that sends its response and the following bytes as two TLS records in one segment."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.peers = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(arrived, leaving, server_side=True)

        def step(action):
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    peer.sendall(leaving.read())
                    data = peer.recv(65536)
                    if not data:
                        raise EOFError
                    arrived.write(data)

        try:
            step(tls.do_handshake)
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += step(lambda: tls.read(65536))
                name = request.split(b" ")[1].rsplit(b"/", 1)[1].decode()
                tls.write(answer(f"answer to {name}"))
                if name == "one":
                    tls.write(answer("answer to nobody"))
                peer.sendall(leaving.read())
        except (EOFError, OSError):
            peer.close()

    def stop(self):
        self.listener.close()
        for peer in self.peers:
            peer.close()


def test_records_behind_an_answer_are_nobodys(tmp_path, front):
    subprocess.run([ROOT / "Tests/Scripts/make-certs.sh", tmp_path / "certificates"], check=True, stdin=subprocess.DEVNULL)
    certificates = tmp_path / "certificates"
    upstream = Records(certificates / "localhost.pem", certificates / "localhost.key")
    try:
        gateway = front(f"https://localhost:{upstream.port}", tls={"authorities": f"{certificates}/ca.pem"})
        for name in ("one", "two", "three", "one", "two"):
            answered = gateway.call("GET", f"{BASE}/things/{name}")
            assert (answered.status, answered.body.decode()) == (200, f"answer to {name}")
    finally:
        upstream.stop()
