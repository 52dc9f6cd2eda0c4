"""HAProxy and nginx on a free local port, configured to repeat requests."""

import shutil
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Self

from support.redis_server import free_port

# For a response; slow purchases in the tests take longer.
TIMEOUT_MS = 300


class Proxy(AbstractContextManager["Proxy"]):
    """A proxy in front of the service at a port; runs while the `with` block does.

    Its files are in `folder`, its messages in `folder/log`. It repeats reads and, unless it is
    `careful`, purchases too: `docs/proxies.md` shows both configurations.
    """

    program: ClassVar[str]
    config: ClassVar[str]
    command: ClassVar[tuple[str, ...]]
    careful: ClassVar[str]
    """The line of the configuration that is careful with purchases."""
    careless: ClassVar[str]

    def __init__(self, folder: Path, service: int, *, careful: bool = False) -> None:
        self.port = free_port()
        self._folder = folder
        values = {"port": self.port, "service": service, "timeout": TIMEOUT_MS}
        line = self.careful if careful else self.careless
        (folder / "config").write_text(self.config.format(**values, line=line))

    @classmethod
    def path(cls) -> str | None:
        """The path of the program; Debian installs both in `/usr/sbin`."""
        return shutil.which(cls.program) or shutil.which(cls.program, path="/usr/sbin")

    @property
    def url(self) -> str:
        """The base URL of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command = [str(self.path()), *self.command]
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.01)
            else:
                return self
        raise TimeoutError

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()


class HAProxy(Proxy):
    program = "haproxy"
    command = ("-db", "-f", "config")
    careful = "http-request disable-l7-retry if METH_POST"
    careless = ""
    config = """
defaults
    mode http
    timeout connect {timeout}ms
    timeout client 30s
    timeout server {timeout}ms
    option redispatch
    retries 3
    retry-on all-retryable-errors

frontend front
    bind 127.0.0.1:{port}
    default_backend service

backend service
    {line}
    server one 127.0.0.1:{service}
    server two 127.0.0.1:{service}
"""


class Nginx(Proxy):
    program = "nginx"
    command = ("-p", ".", "-c", "config", "-e", "stderr")
    careful = ""
    careless = "non_idempotent"
    config = """
daemon off;
master_process off;
pid nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream service {{
        server 127.0.0.1:{service} max_fails=0;
        server 127.0.0.1:{service} max_fails=0;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout {timeout}ms;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504 {line};
        }}
    }}
}}
"""
