"""The image-to-video step as a module, for batches in a network and for single samples in a data pipeline."""

from pathlib import Path

import torch
from torch import Tensor, nn

from das.video.compiled import CompiledPolicy
from das.video.frames import check_images, remembered
from das.video.geometry import MaskToVideo
from das.video.policy import Policy


class ImageToVideo(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> videos (B, T, C, H, W) by a policy; any size, device and memory format.

    Products run in float32 (float64 for float64 images); the video has the images' dtype. There are no parameters and
    no state: what is compiled for a size is remembered here and made again elsewhere.

    As a torchvision v2 transform: a single image (C, H, W) gives (T, C, H, W), and an image with its label map
    ((H, W) or (1, H, W)) gives the pair of videos, the labels from the nearest pixel and 255 where nothing is known.
    """

    def __init__(self, policy: Policy):
        super().__init__()
        self.policy = policy
        self._made: dict = {}

    @classmethod
    def from_file(cls, path: str | Path) -> "ImageToVideo":
        """The step of a policy file; raises DasError naming the file, the key (or line) and the reason."""
        return cls(Policy.load(path))

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_made": {}}  # a worker of a DataLoader makes its own

    def extra_repr(self) -> str:
        return self.policy.describe()

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Raises DasError for images or masks that cannot work, by name and shape."""
        single = images.ndim == 3
        batch = images[None] if single else images
        check_images(batch)
        precision = torch.promote_types(images.dtype, torch.float32)
        video = self._for(CompiledPolicy, batch, precision)(batch)
        if masks is None:
            return video[0] if single else video
        labels = masks.squeeze(-3) if masks.ndim == 3 + (not single) else masks
        labels = self._for(MaskToVideo, batch)(labels[None] if single else labels)
        return (video[0], labels[0]) if single else (video, labels)

    def _for(self, kind: type, images: Tensor, *precision):
        key = (kind, *images.shape[2:], images.device, *precision)
        return remembered(self._made, key, lambda: kind(self.policy, *images.shape[2:], images.device, *precision))
