"""Runs of the command in forks of a process that has imported it: a new one takes half a second.

As a program it is that process; `Forks` starts it, and asks it for runs.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

# What the command imports when it needs it, but for what it may not have.
MODULES = ("lcphone_async._http.transport", "lcphone_async.cli.commands")

LONG = 30  # seconds


class Forks:
    """The process, for as long as the `with` block lasts."""

    def __enter__(self):
        self._ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", __file__, str(its.fileno())],
                pass_fds=[its.fileno()],
            )
        return self

    def __exit__(self, *_exc):
        self._ours.close()
        assert self._process.wait(LONG) == 0

    def run(self, arguments, environment, *files):
        """The exit code of a run that has these files for stdin, stdout and stderr."""
        told, its = os.pipe()
        request = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
        socket.send_fds(self._ours, [json.dumps(request).encode()], [*files, its])
        os.close(its)
        with os.fdopen(told) as code:
            return int(code.read())


def forked(control):
    """Forks for each request, and returns in the fork of a fork, whose end the first one tells."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the first ones
    while True:
        message, files, *_ = socket.recv_fds(control, 2**20, 4)
        if not message:
            control.close()
            sys.exit()
        if os.fork():
            for file in files:
                os.close(file)
            continue
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        *standard, told = files
        if command := os.fork():
            _, status = os.waitpid(command, 0)
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        os.close(told)
        return json.loads(message), standard


def become(request, files):
    """Takes on the files, environment, folder and arguments of a process of its own."""
    signal.alarm(LONG)  # which ends it
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:1] = [request["folder"], *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.reconfigure(encoding=os.environ["PYTHONIOENCODING"])
    sys.argv[1:] = request["arguments"]


if __name__ == "__main__":
    for module in MODULES:
        __import__(module)
    become(*forked(socket.socket(fileno=int(sys.argv[1]))))
    runpy.run_module("lcphone_async", run_name="__main__", alter_sys=True)
