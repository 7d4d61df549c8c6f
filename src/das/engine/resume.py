"""Interrupted work, kept until it is published.

A state belongs to the settings that made it: its file name carries their digest, so a run never continues one that
had other settings. It lies outside the declared outputs, in results/work.
"""

import io
from pathlib import Path
from typing import Any

import torch

from das.files import publish

WORK = Path("results/work")


class ResumeState:
    """The state of one piece of work; ``identity`` names it and ``digest`` is the hash of all it depends on."""

    def __init__(self, *identity: str, digest: str):
        self.path = WORK.joinpath(*identity).with_suffix(f".{digest}.pt")

    def load(self) -> dict[str, Any] | None:
        """The last state saved; None if there is none or if it cannot be read (then the work starts afresh)."""
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # any damage that torch.load meets in a half-written or foreign file
            print(f"{self.path}: cannot be read ({error}); starting afresh", flush=True)
            return None

    def save(self, state: dict[str, Any]) -> None:
        publish(self.path, torch_bytes(state))

    def discard(self) -> None:
        """Forget the state, once what it led to is published."""
        self.path.unlink(missing_ok=True)


def torch_bytes(content: Any) -> bytes:
    """``torch.save`` to bytes: unlike saving to a path, independent of the file's name."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def random_state() -> dict[str, torch.Tensor]:
    """The state of torch's global generators, which initialisation and dropout draw from."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
