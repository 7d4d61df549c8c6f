"""Interrupted work, kept until it is published.

A state belongs to all that the work depends on: its file name and its first line carry their digest, so a run never
continues one that had other settings, inputs or code; the SHA-256 in that line vouches for the rest. It lies outside
the declared outputs, in results/work.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from das.files import publish

WORK = Path("results/work")
FORMAT = b"das-resume-1"


class ResumeState:
    """The state of one piece of work; ``identity`` names it and ``digest`` is the hash of all it depends on
    (`das.study.results.key`)."""

    def __init__(self, *identity: str, digest: str):
        self.digest = digest
        self.path = WORK.joinpath(*identity).with_suffix(f".{digest[:16]}.pt")

    def load(self) -> dict[str, Any] | None:
        """The last state saved; None if there is none. One that is damaged or belongs to other work is moved aside,
        with one line printed, and the work starts afresh."""
        try:
            head, _, content = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(f"cannot be read ({error.strerror})")
            return None
        named = head.split(b" ")
        if len(named) != 3 or named[0] != FORMAT:
            self._refuse("is no state of an interrupted run")
            return None
        if named[1].decode("ascii", "replace") != self.digest:
            self._refuse("belongs to other work")
            return None
        if hashlib.sha256(content).hexdigest().encode() != named[2]:
            self._refuse("is damaged (its SHA-256 does not fit)")
            return None
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)

    def _refuse(self, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.refused")
        print(f"{self.path}: {why}; starting afresh, and it lies in {aside.name}", flush=True)
        try:
            self.path.replace(aside)
        except OSError:  # then the next state takes its place
            return

    def save(self, state: dict[str, Any]) -> None:
        content = torch_bytes(state)
        head = b" ".join([FORMAT, self.digest.encode(), hashlib.sha256(content).hexdigest().encode()])
        publish(self.path, head + b"\n" + content)

    def discard(self) -> None:
        """Forget the state, once what it led to is published."""
        self.path.unlink(missing_ok=True)


def torch_bytes(content: Any) -> bytes:
    """``torch.save`` to bytes: unlike saving to a path, independent of the file's name."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def random_state() -> dict[str, torch.Tensor]:
    """The state of torch's global generators, which initialization and dropout draw from."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
