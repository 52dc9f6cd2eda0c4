"""Runs the command in forks of a process that has imported it: a new process takes half a second.

Run as a program, this module is that process; `Forks` starts it and requests runs.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

# The command imports these on demand; optional dependencies are not among them.
MODULES = ("lcphone_async._http.transport", "lcphone_async.cli.commands")

LONG = 30  # seconds


class Forks:
    """The process, which runs while the `with` block does."""

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
        """Returns the exit code of a run with these files as stdin, stdout and stderr."""
        exit_code, its = os.pipe()
        request = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
        socket.send_fds(self._ours, [json.dumps(request).encode()], [*files, its])
        os.close(its)
        with os.fdopen(exit_code) as code:
            return int(code.read())


def forked(control):
    """Forks twice per request; returns in the grandchild, whose exit code the child reports."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children are not waited for
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
        *standard, exit_code = files
        if command := os.fork():
            _, status = os.waitpid(command, 0)
            os.write(exit_code, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        os.close(exit_code)
        return json.loads(message), standard


def become(request, files):
    """Takes over the files, environment, folder and arguments of the request."""
    signal.alarm(LONG)  # ends a run that hangs
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
