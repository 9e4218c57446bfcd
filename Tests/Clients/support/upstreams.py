"""Real servers as upstreams: nginx, Python's own, and FastAPI on uvicorn."""

import gzip
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from gateway import BASE, environment, free_port, wait_for
from shapes import pattern

SIZES = (0, 1, 100, 16_383, 16_384, 16_385, 1 << 20)
TEXT = b"a line of text that compresses well\n" * 500


def write_files(folder):
    """Writes the same files for every server, at the paths that the policies permit."""
    root = folder / BASE.lstrip("/")
    root.mkdir(parents=True)
    for size in SIZES:
        (root / f"{size}.bin").write_bytes(pattern(size))
    (root / "text.txt").write_bytes(TEXT)
    (root / "packed.txt").write_bytes(TEXT)
    (root / "packed.txt.gz").write_bytes(gzip.compress(TEXT, mtime=0))
    (root / "folder").mkdir()
    (root / "folder" / "index.html").write_text("<p>hello</p>")
    return folder


class Server:
    """A server in a process of its own."""

    def __init__(self, command, port, cwd):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(Path(cwd) / f"server.{port}.log", "w+b")
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=cwd, env=environment())
        wait_for(self._accepts, f"{command[0]} on port {port}")

    def _accepts(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"it ended:\n{self.log.read().decode(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


NGINX = """
daemon off; worker_processes 1; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off; default_type application/octet-stream; keepalive_timeout 75; client_max_body_size 64m;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    types {{ text/plain txt; text/html html; }}
    gzip on; gzip_min_length 1; gzip_types text/plain; gzip_http_version 1.0;
    # Its default is not to compress what comes with Via.
    gzip_proxied any;
    # A redirect to the host that was asked for would be another one each time.
    absolute_redirect off;
    server {{
        listen 127.0.0.1:{port};
        root {files};
        location {base} {{ index index.html; }}
        location {base}/moved {{ return 302 /elsewhere?a=%7C; }}
        location {base}/nothing {{ return 204; }}
        location {base}/said {{ return 200 "$request_method $request_uri $http_x_thing"; }}
    }}
}}
"""


def nginx(folder):
    keeper, port = free_port()
    keeper.close()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, files=folder / "files", port=port, base=BASE))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    assert Path(program).exists(), "install nginx: Tests/Scripts/prepare nginx"
    return Server([program, "-c", configuration, "-p", folder], port, folder)


def python_server(folder):
    keeper, port = free_port()
    keeper.close()
    return Server([sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--protocol", "HTTP/1.1",
                   "--directory", folder / "files"], port, folder)


APPLICATION = '''
import hashlib

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI()
app.add_middleware(GZipMiddleware, minimum_size=500)
BASE = "BASE_PATH"


class Thing(BaseModel):
    name: str
    size: int = 1


@app.get(BASE + "/things")
def things(order_by: str = "none"):
    return {"order_by": order_by, "things": ["a", "b"] * 200}


@app.post(BASE + "/things", status_code=201)
def make(thing: Thing):
    return thing


@app.put(BASE + "/upload")
async def upload(request: Request):
    digest, length = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        length += len(piece)
    return {"length": length, "sha256": digest.hexdigest()}


@app.get(BASE + "/stream")
def stream():
    return StreamingResponse((b"x" * index for index in range(1, 300)), media_type="application/octet-stream")


@app.get(BASE + "/moved")
def moved():
    return RedirectResponse("/elsewhere")


@app.delete(BASE + "/things/{name}", status_code=204)
def delete(name: str):
    return Response(status_code=204)


@app.get(BASE + "/fails/{status}")
def fails(status: int):
    raise HTTPException(status, "as you like", headers={"Retry-After": "5"})
'''


def fastapi(folder):
    keeper, port = free_port()
    keeper.close()
    (folder / "application.py").write_text(APPLICATION.replace("BASE_PATH", BASE))
    return Server([sys.executable, "-m", "uvicorn", "application:app", "--host", "127.0.0.1", "--port", port,
                   "--log-level", "warning"], port, folder)
