"""A process that has torch imported and forks for each run of one Snakemake call: of a short run, starting torch is a
good part of the work.

Snakemake's rules name their process in the environment (`OWNER`). The first command that is told so runs as always and
starts the warm process beside it; later ones hand over what they were asked, their standard files and the signals they
get, and end as the fork ends. A run is a process and a target of its own as before, with the same bytes as result.
Whatever does not fit (another environment, changed code, another user, another system than Linux) is run as always.
"""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import das

OWNER = "DAS_WARM"  # the process, by its number, that the warm one ends with
COMMANDS = frozenset({"search", "train", "evaluate", "tune"})
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
MESSAGE = 1 << 16
HERE, STARTED = b"run it yourself", b"started"


def hand_over(arguments: list[str]) -> None:
    """Have the warm process run ``arguments`` and end as it ends. Returns where they are to be run here."""
    owner = os.environ.get(OWNER, "")
    if sys.platform != "linux" or not owner.isdigit() or not arguments or arguments[0] not in COMMANDS:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        try:
            line.connect(_address(owner))
        except OSError:
            _start(owner)
            return
        status = _asked(line, arguments)
    if status is not None:
        _end_as(status)


def _start(owner: str) -> None:
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-c", f"from das.cli import warm; warm.serve({owner})"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def _asked(line: socket.socket, arguments: list[str]) -> int | None:
    if not _own(line):
        return None
    for number in FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: line.send(str(int(number)).encode()))
    request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": _environment()}
    try:
        socket.send_fds(line, [json.dumps(request).encode()], [0, 1, 2])
        started = line.recv(MESSAGE) == STARTED
    except OSError:
        started = False
    if not started:
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        return None
    status = line.recv(MESSAGE)
    return int(status) if status else -signal.SIGKILL


def _end_as(status: int) -> NoReturn:
    """End as a process of that exit status did, or, where it is negative, as one that this signal ended."""
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def serve(owner: int) -> None:
    """Fork for whoever asks, as long as the process ``owner`` lives and the code is what was imported."""
    try:
        alive = os.pidfd_open(owner)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(_address(str(owner)))
    except OSError:
        return  # the owner is gone, or another one serves
    listener.listen()
    code = _code()
    from das.cli import main
    from das.engine import evaluate, train, tune  # noqa: F401
    from das.engine.provenance import resident_bytes
    from das.search import make  # noqa: F401

    imported = resident_bytes()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who keeps a run is waited for by nobody
    while code == _code():
        ready, _, _ = select.select([listener, alive], [], [])
        if alive in ready:
            return
        line, _ = listener.accept()
        with line:
            _answer(line, listener, code, main, imported)


def _answer(line: socket.socket, listener: socket.socket, code: str, main: Callable[[], None], imported: int) -> None:
    files: list[int] = []
    if not _own(line):
        return
    try:
        line.settimeout(10)
        message, files, _, _ = socket.recv_fds(line, MESSAGE, 3)
        request = json.loads(message)
        fits = len(files) == 3 and request["environment"] == _environment() and code == _code()
        if not fits:
            line.send(HERE)
        elif os.fork() == 0:
            listener.close()
            line.settimeout(None)
            _keep(line, request, files, main, imported)
    except (OSError, ValueError, KeyError):
        pass  # whoever asked is gone, or asked for nothing that can be run
    finally:
        for file in files:
            os.close(file)


def _keep(line: socket.socket, request: dict, files: list[int], main: Callable[[], None], imported: int) -> NoReturn:
    """Run a request in a fork of its own; pass signals on to it, and its end back; end it with whoever asked."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    run = os.fork()
    if run == 0:
        line.close()
        _run(request, files, main, imported)
    with contextlib.suppress(OSError):
        line.send(STARTED)
        ended = os.pidfd_open(run)
        while True:
            ready, _, _ = select.select([line, ended], [], [])
            if ended in ready:
                line.send(str(os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])).encode())
                os._exit(0)
            asked = line.recv(MESSAGE)
            if not asked:
                break
            os.kill(run, int(asked))
    os.kill(run, signal.SIGKILL)
    os._exit(1)


def _run(request: dict, files: list[int], main: Callable[[], None], imported: int) -> NoReturn:
    from das.engine import provenance

    status = 1
    try:
        provenance.shared_bytes = max(imported - provenance.resident_bytes(), 0)
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(request["folder"])
        del os.environ[OWNER]
        sys.argv = ["das", *request["arguments"]]
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)


def _address(owner: str) -> str:
    """An abstract name, which is gone with the process that has it."""
    place = hashlib.sha256(f"{sys.executable}\n{das.__path__[0]}".encode()).hexdigest()[:16]
    return f"\0das-{owner}-{place}"


def _own(line: socket.socket) -> bool:
    """Whether the process at the other end is this user's: an abstract name asks for no rights."""
    peer = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", peer)[1] == os.getuid()


def _environment() -> str:
    """The environment, working umask and all that libraries read once when they are imported, as a digest."""
    mask = os.umask(0)
    os.umask(mask)
    return hashlib.sha256(json.dumps([sorted(os.environ.items()), mask]).encode()).hexdigest()


def _code() -> str:
    """The package's files as they lie there, as a digest of their sizes and times."""
    files = sorted(Path(das.__path__[0]).rglob("*.py"))
    looks = [(str(file), (look := file.stat()).st_size, look.st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(looks).encode()).hexdigest()
