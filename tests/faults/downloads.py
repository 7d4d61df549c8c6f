"""A server on the loopback interface that does what servers, proxies and their attackers do, and what must happen."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from das.data.download import Source, obtain
from das.errors import DasError

CONTENT = np.random.default_rng(0).bytes(60_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
Connection = socket.socket
Answer = Callable[[Connection, int], None]


def wait(seconds: float) -> None:
    """Sleep, also where a test has put something else in the place of time.sleep."""
    threading.Event().wait(seconds)


@contextmanager
def serving(*answers: Answer) -> Iterator[str]:
    """The address of a server that gives one answer to each connection, and the last one to all later ones."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve() -> None:
        for turn in range(100):
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection, turn), daemon=True).start()

    def answer(connection: Connection, turn: int) -> None:
        try:
            connection.settimeout(5)
            request = b""
            while b"\r\n\r\n" not in request:
                if not (piece := connection.recv(4096)):
                    return
                request += piece
            asked = request.partition(b"Range: bytes=")[2].partition(b"-")[0]
            answers[min(turn, len(answers) - 1)](connection, int(asked or 0))
            connection.close()
        except OSError:  # the client has gone
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/set.tar"
    finally:
        listening.close()


def raw(*parts: bytes, pause: float = 0.0) -> Answer:
    """These very bytes, whatever was asked."""

    def answer(connection: Connection, _: int) -> None:
        for part in parts:
            connection.sendall(part)
            wait(pause)

    return answer


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def good(connection: Connection, start: int) -> None:
    """What was asked for."""
    status = "206 Partial Content" if start else "200 OK"
    rest = CONTENT[start:]
    headers = {"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
    connection.sendall(head(status, Content_Length=len(rest), **headers) + rest)


def reset(after: int) -> Answer:
    """That many bytes, then the connection is reset."""

    def answer(connection: Connection, start: int) -> None:
        connection.sendall(head(Content_Length=len(CONTENT)) + CONTENT[:after])
        wait(0.1)  # so that they arrive
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return answer


def drip(first: bytes, each: bytes = b"x", body: bytes = b"") -> Answer:
    """A byte now and then (of ``body``, where there is one), without end."""

    def answer(connection: Connection, _: int) -> None:
        connection.sendall(first)
        for place in range(200):
            connection.sendall(body[place : place + 1] or each)
            wait(0.05)

    return answer


def endless(*first: bytes, chunked: bool = False) -> Answer:
    """As many bytes as are taken, to 400 MB."""

    def answer(connection: Connection, _: int) -> None:
        connection.sendall(b"".join(first))
        piece = bytes(1 << 20)
        for _ in range(400):
            connection.sendall(b"100000\r\n" + piece + b"\r\n" if chunked else piece)

    return answer


def chunks(*parts: bytes) -> Answer:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return raw(head(Transfer_Encoding="chunked") + body + b"0\r\n\r\n")


def redirect(to: str) -> Answer:
    return raw(head("302 Found", Location=to, Content_Length=0))


WHOLE = head(Content_Length=len(CONTENT))
#: what the server does: (its answers, words of the refusal; none: the file is whole in the end)
CASES: dict[str, tuple[tuple[Answer, ...], str]] = {
    # served in the end
    "as it should be": ((good,), ""),
    "no length": ((raw(head() + CONTENT),), ""),
    "chunks": ((chunks(CONTENT[:7], CONTENT[7:]),), ""),
    "a reset after 20 kB, then the rest": ((reset(20_000), good), ""),
    "a reset after 20 kB, twice": ((reset(20_000), reset(20_000), good), ""),
    "closed at half": ((raw(WHOLE + CONTENT[:30_000]), good), ""),
    "chunks cut at half": ((raw(head(Transfer_Encoding="chunked") + b"7530\r\n" + CONTENT[:30_000]), good), ""),
    "503, then the file": ((raw(head("503 Busy", Content_Length=0)), good), ""),
    "429, then the file": ((raw(head("429 Slow down", Content_Length=0)), good), ""),
    "closed without a word, then the file": ((raw(), good), ""),
    "a length that is no number": ((raw(head(Content_Length="many") + CONTENT),), ""),
    "a negative length": ((raw(head(Content_Length=-5) + CONTENT),), ""),
    "a length of 400 digits": ((raw(head(Content_Length="9" * 400) + CONTENT),), ""),
    "a length in Arabic digits": ((raw(head(Content_Length="\xb2\xb3") + CONTENT),), ""),
    "an empty length": ((raw(head(Content_Length="") + CONTENT),), ""),
    "more than it states": ((raw(WHOLE + CONTENT + b"more"),), ""),
    "400 MB for 60 kB, no length": ((endless(head() + CONTENT),), ""),
    "400 MB for 60 kB, in chunks": (
        (endless(head(Transfer_Encoding="chunked"), b"ea60\r\n", CONTENT, b"\r\n", chunked=True),),
        "",
    ),
    "another part than asked for, then the rest": (
        (reset(20_000), raw(head("206 Partial Content", Content_Range="bytes 5-9/60000") + CONTENT[5:10]), good),
        "",
    ),
    "a part without its range, then the rest": ((reset(20_000), raw(head("206 Partial Content") + CONTENT), good), ""),
    "a header that is slow, then the file": ((drip(b"HTTP/1.1 200 OK\r\nX: "), good), ""),
    "a body that is slow, then the file": ((drip(WHOLE, body=CONTENT), good), ""),
    # refused
    "other bytes": ((raw(WHOLE + bytes(60_000)),), "expected " + MD5),
    "other bytes without a length": ((endless(head()),), "expected " + MD5),
    "less than it should be": ((raw(head(Content_Length=9) + b"too short"),), "offers 9 bytes, expected 60000"),
    "more than it should be": ((raw(head(Content_Length=99_999) + CONTENT),), "offers 99999 bytes, expected 60000"),
    "a length of 0": ((raw(head(Content_Length=0)),), "offers 0 bytes, expected 60000"),
    "a page instead": ((raw(head(Content_Length=9, Content_Type="text/html") + b"<html>404"),), "offers 9 bytes"),
    "204": ((raw(head("204 No Content")),), "failed 2 times"),
    "404": ((raw(head("404 Not Found", Content_Length=0)),), "HTTP 404"),
    "401": ((raw(head("401 Unauthorized", Content_Length=0)),), "HTTP 401"),
    "503 for ever": ((raw(head("503 Busy", Content_Length=0)),), "failed 2 times"),
    "a reset at once, for ever": ((reset(0),), "failed 2 times"),
    "closed without a word, for ever": ((raw(),), "failed 2 times"),
    "silence": ((lambda connection, _: wait(2),), "failed 2 times"),
    "headers that drip": ((drip(b"HTTP/1.1 200 OK\r\nX: "),), "failed 2 times"),
    "headers that drip, line by line": ((drip(b"HTTP/1.1 200 OK\r\n", each=b"X: y\r\n"),), "failed 2 times"),
    "a body that drips": ((drip(WHOLE),), "failed 2 times"),
    "a body that drips in chunks": ((drip(head(Transfer_Encoding="chunked"), each=b"1\r\nx\r\n"),), "failed 2 times"),
    "no HTTP": ((raw(b"SSH-2.0-OpenSSH_9.6\r\n"),), "failed 2 times"),
    "a header of 100 kB": ((raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),), "failed 2 times"),
    "a thousand headers": ((raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),), "failed 2 times"),
    "chunks without a size": ((raw(head(Transfer_Encoding="chunked") + b"zz\r\n"),), "failed 2 times"),
    "a circle of redirections": ((redirect("/set.tar"),), "HTTP 302"),
    "redirected to a file": ((redirect("file:///etc/hostname"),), "HTTP 302"),
    "redirected to ftp": ((redirect("ftp://127.0.0.1/x"),), "HTTP 302 leads from http to ftp:"),
    "redirected to no address": ((redirect("http://[/"),), "cannot be had"),
}  # fmt: skip


def attempt(case: str, folder: Path) -> tuple[str, float]:
    """The refusal, empty where the file arrived whole, and the seconds; no half file may have its name."""
    answers, _ = CASES[case]
    start = time.monotonic()
    with serving(*answers) as url:
        source = Source("set.tar", url=url, size=len(CONTENT), md5=MD5)
        try:
            path = obtain(source, folder, attempts=2, pause=0.001, timeout=0.5)
            assert path.read_bytes() == CONTENT
            said = ""
        except DasError as error:
            said = str(error)
            assert not (folder / "set.tar").exists()
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert max(sizes, default=0) <= len(CONTENT)
    return said, time.monotonic() - start
