"""The server under test, and a proxy in front of it that changes requests after they were signed."""

import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

READY_SECONDS = 120
URL = re.compile(r"http://[\w.\-\[\]:]+:\d+")


@contextmanager
def running_server(command, environment):
    """Starts `command`, finds the URL it prints, waits until /ping answers 200, and stops it at the end."""
    server = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = []
    reader = threading.Thread(target=lambda: output.extend(server.stdout), daemon=True)
    reader.start()
    try:
        yield wait_until_ready(server, output)
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_until_ready(server, output):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        found = URL.search("".join(output))
        if found and ping(found[0]) == 200:
            return found[0]
        time.sleep(0.1)
    raise SystemExit("The server did not become ready. It printed:\n" + "".join(output))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def metric(admin_port, name):
    """The sum of a metric's values, from the admin port."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=5).read().decode()
    return sum(float(value) for value in re.findall(rf"(?m)^{name}(?:{{[^}}]*}})? (\S+)$", text))


def ping(url):
    try:
        return urllib.request.urlopen(url + "/ping", timeout=2).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@contextmanager
def spoiling_proxy(upstream_url, spoil):
    """A proxy whose URL clients are given: `spoil(head, body)` returns the bytes that the server gets instead."""
    host, port = upstream_url.removeprefix("http://").rsplit(":", 1)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            head, body = spoil(head, self.rfile.read(int(length[1]) if length else 0))
            head = re.sub(rb"(?im)^connection:.*\r\n", b"", head)
            with socket.create_connection((host, int(port))) as upstream:
                upstream.sendall(head + b"Connection: close\r\n\r\n" + body)
                with upstream.makefile("rb") as answer:
                    shutil.copyfileobj(answer, self.wfile)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
