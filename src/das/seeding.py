"""Every random draw of the project derives from an identity, through this module. Importing it costs no torch."""

import hashlib


def derive(*identity: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on nothing but the parts of ``identity``, on every machine.

    >>> derive("fashion", "resnet8", "das", 0, "epoch", 3) == derive("fashion", "resnet8", "das", 0, "epoch", 3)
    True
    """
    text = "\x1f".join(str(part) for part in identity)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*identity: str | int, device: str = "cpu"):
    """Return a ``torch.Generator`` seeded with ``derive(*identity)``."""
    import torch

    return torch.Generator(device).manual_seed(derive(*identity))
