"""Where a policy moves things: its chains of affine operations, and what they make of label maps.

Only geometry counts here: identity and photometric operations move nothing.
"""

import torch
from torch import Tensor

from das.errors import DasError
from das.video.frames import Frames, sources
from das.video.operations import operation_named
from das.video.policy import IMAGE, Choice, Policy
from das.video.warp import centers, coverage, padded, pushed

MOST_PATHS = 64
IGNORED = 255  # the label of pixels that show nothing known

Chain = tuple[Choice, ...]  # affine operations in the order in which they are applied


def chains(policy: Policy) -> set[Chain] | None:
    """The geometry of all paths from the image to the video; None where there are more than ``MOST_PATHS``."""
    nodes: dict = {IMAGE: {()}}
    for node in policy.reaching():
        nodes[node] = {
            chain + link(choice)
            for edge in policy.nodes[node]
            for choice in edge.mixture
            for chain in nodes[edge.source]
        }
        if len(nodes[node]) > MOST_PATHS:
            return None
    return nodes[len(policy.nodes) - 1]


def link(choice: Choice) -> Chain:
    """What an operation adds to a chain."""
    if choice.operation == "identity" or operation_named(choice.operation).recolor:
        return ()
    return (Choice(choice.operation, choice.magnitudes),)


def matrix(choice: Choice, strength: int, size: tuple[int, int]) -> Tensor:
    """The inverse map (1, 3, 3) of an affine operation on images of ``size`` (H, W)."""
    magnitudes = torch.tensor(choice.magnitudes, dtype=torch.float64)
    return operation_named(choice.operation).inverse(magnitudes, torch.tensor([float(strength)]).double(), *size)


def trace(chain: Chain, positions: Tensor, strength: int, padding: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Push positions (N, 2) of a frame back through a chain to the image.

    Also return what the steps on the way keep, (N,) in [0, 1]: the product of the bilinear coverages of the positions
    between operations. The last reading is left to the caller.
    """
    kept = torch.ones(len(positions), dtype=torch.float64)
    for step, choice in enumerate(reversed(chain)):
        if step:
            kept = kept * coverage(positions, *size)
        positions = padded(pushed(positions[None], matrix(choice, strength, size)), padding, *size)[0]
    return positions, kept


class MaskToVideo:
    """Label maps of H x W images to their videos by a policy.

    Raises:
        DasError: when images of this size do not fit on the policy's canvas.
    """

    def __init__(self, policy: Policy, height: int, width: int, device: torch.device | str = "cpu"):
        self._policy, self._image, self._device = policy, (height, width), torch.device(device)
        self._frames = Frames(policy, sources(policy))
        *self._size, top, left = self._frames.window(height, width)
        self._rows, self._columns = slice(top, top + height), slice(left, left + width)
        self._chains = sorted(chains(policy) or (), key=repr)
        self._readings: Tensor | None = None

    def __call__(self, masks: Tensor) -> Tensor:
        """Label maps (B, height, width) -> their videos (B, T, H, W), in the same dtype, read from the nearest pixel.

        A pixel whose paths read different labels, or read outside the image, gets the label 255 (ignored).

        Raises:
            DasError: for masks of another size or dtype, or a policy for which labels have no place to go.
        """
        if masks.ndim != 3 or masks.shape[1:] != self._image or masks.is_floating_point() or masks.dtype == torch.bool:
            height, width = self._image
            raise DasError(
                f"masks: shape {tuple(masks.shape)}, {masks.dtype} is not (B, {height}, {width}) of whole numbers"
            )
        if self._readings is None:
            self._readings = self._nearest()
        height, width = self._size
        canvas = masks.new_full((len(masks), height, width), IGNORED)
        canvas[:, self._rows, self._columns] = masks
        outside = masks.new_full((len(masks), 1), IGNORED)
        labels = torch.cat([canvas.flatten(1), outside], 1)[:, self._readings]  # (B, T, chains, H*W)
        agreed = torch.where((labels == labels[:, :, :1]).all(2), labels[:, :, 0], IGNORED)
        return agreed.view(len(masks), -1, height, width)

    def _nearest(self) -> Tensor:
        """The pixel that each frame, chain and output pixel reads, (T, chains, H*W); H*W stands for outside."""
        if self._policy.frame_layout == "scrambled":
            raise DasError("masks: frame_layout scrambled mixes frames; labels need frame_layout frames")
        if not self._chains:
            raise DasError(f"masks: the policy superposes more than {MOST_PATHS} paths; labels need fewer")
        height, width = self._size
        sides, output = torch.tensor([width, height]), centers(height, width)
        readings = []
        for strength in self._frames.strengths:
            for chain in self._chains:
                moves = chain if strength else ()
                positions, kept = trace(moves, output, strength, self._policy.padding, (height, width))
                pixels = torch.floor(positions + sides / 2).long()
                inside = ((pixels >= 0) & (pixels < sides)).all(-1) & (kept >= 0.5)
                readings.append(torch.where(inside, pixels[:, 1] * width + pixels[:, 0], height * width))
        return torch.stack(readings).view(len(self._frames.strengths), len(self._chains), -1).to(self._device)
