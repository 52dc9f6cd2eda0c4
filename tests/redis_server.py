"""A redis-server of one's own, on a free port of loopback, that forgets all when it is stopped."""

import shutil
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class RedisServer:
    """Started with `start`, ended with `stop`, on the same port each time.

    `options` are those of the command: `"--maxmemory-policy", "allkeys-lru"`.
    """

    program = shutil.which("redis-server") or shutil.which("valkey-server")

    def __init__(self, *options):
        self.port = free_port()
        self._options = options
        self._process = None

    def start(self):
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen(
            [self.program, "--bind", "127.0.0.1", *options], stdout=subprocess.DEVNULL
        )
        self._wait_until_it_answers()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self):
        """It stands still: it accepts connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        """It goes on, with what was sent meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def _wait_until_it_answers(self):
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError
