"""Runs one command whose processes cannot outlive its parent. Stand-alone: `python -I -S supervisor.py FD ARGV...`

The parent holds the other end of the pipe FD. When it closes - the parent was interrupted, crashed or was
killed with SIGKILL - the command's whole process group is killed. A parent-death signal alone would not
do: compilers start children of their own, and those do not inherit it.

Commands run without address space randomization, where the system allows that: TPU-MLIR iterates over some sets in
the order of their elements' addresses, so with it two instructions are now and then emitted in the other order, and
the build is not reproducible.
"""

import contextlib
import os
import select
import signal
import sys

ADDR_NO_RANDOMIZE = 0x0040000  # of personality(2)
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str]) -> int:
    lifeline, command = int(argv[0]), argv[1:]
    os.set_inheritable(lifeline, False)
    # A signal between the fork and the handler would end this process and orphan the command, so it is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        for number in (*ENDINGS, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        _fix_addresses()
        try:
            os.execvpe(command[0], command, os.environ)  # noqa: S606  # no shell is the point
        except OSError as error:
            os.write(2, f"bmzoo: cannot start {command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    with contextlib.suppress(OSError):  # the child may have done it first, or be gone already
        os.setpgid(child, child)
    for number in ENDINGS:
        signal.signal(number, lambda *_: _kill(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([ended, lifeline], [], [])
    if ended not in ready:
        _kill(child)
    _, status = os.waitpid(child, 0)
    _kill(child)  # what the command left running in its group
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _fix_addresses() -> None:
    """Disable address space randomization for child processes; not all containers allow that."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        from ctypes import CDLL

        CDLL(None).personality(ADDR_NO_RANDOMIZE)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
