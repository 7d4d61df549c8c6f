"""A 2D network that reads videos."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from das.errors import DasError
from das.models.backbones import build_backbone
from das.models.consensus import build_consensus
from das.models.fusion import TemporalFusion
from das.models.heads import Classifier, replace_classifier
from das.models.places import insert_fusion
from das.study import registry


class FrameNetwork(nn.Module):
    """A 2D ``network`` over every frame of a video, with temporal fusion at ``places`` inside it.

    Attributes: ``network``, ``frames`` T, ``in_channels`` C, ``places`` (names of the network's convolutions that have
    temporal fusion).
    """

    def __init__(self, network: nn.Module, frames: int, in_channels: int, places: Sequence[str]):
        super().__init__()
        self.network = network
        self.frames = frames
        self.in_channels = in_channels
        self.places = list(places)
        self._across = [module for module in network.modules() if isinstance(module, TemporalFusion | Classifier)]

    def laid_out(self, videos: Tensor) -> Tensor:
        """What the 2D network reads of videos (B, T, C, H, W): every frame, (B*T, C, H, W)."""
        return videos.flatten(0, 1)

    def read(self, videos: Tensor, frames: int):
        """The network's output for videos (B, T, C, H, W) folded to frames (B*T, C, H, W), with fusion across T.

        DasError for another shape than announced, for integers, and in training for a single frame so small that a
        batch norm would see one value per channel. Otherwise any H and W do: all convolutions are padded.
        """
        if videos.dim() != 5 or videos.shape[1:3] != (frames, self.in_channels) or 0 in videos.shape:
            raise DasError(
                f"video model: videos of shape {tuple(videos.shape)}; it reads (B, T, C, H, W) "
                f"with T = {frames} and C = {self.in_channels}"
            )
        if not videos.is_floating_point():
            raise DasError(f"video model: videos of {videos.dtype}; it reads floating-point numbers")
        for module in self._across:
            module.frames = frames
        try:
            return self.network(self.laid_out(videos).contiguous(memory_format=torch.channels_last))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise DasError(
                f"video model: videos of shape {tuple(videos.shape)} leave a batch norm one value per channel, which "
                "has no variance to train with; take more videos, more frames or larger images"
            ) from None


class VideoModel(FrameNetwork):
    """A 2D network over every frame (frames (N, C, H, W) -> logits (N, K)) and ``consensus`` over its predictions."""

    def __init__(self, network: nn.Module, frames: int, in_channels: int, places: Sequence[str], consensus: nn.Module):
        super().__init__(network, frames, in_channels, places)
        self.consensus = consensus

    def forward(self, videos: Tensor, frames: int | None = None) -> Tensor:
        """Videos (B, T, C, H, W) -> logits (B, K).

        ``frames`` reads another number of frames than the T the model was made for: test-time augmentation is a
        single-frame model without fusion called with ``frames`` > 1. DasError as in ``read``.
        """
        return self.consensus(self.frame_logits(videos, frames))

    def frame_logits(self, videos: Tensor, frames: int | None = None) -> Tensor:
        """Videos (B, T, C, H, W) -> logits of each frame (B, T, K); ``frames`` and errors as in ``forward``."""
        return self.read(videos, self.frames if frames is None else frames).unflatten(0, (videos.shape[0], -1))


class TiledModel(VideoModel):
    """The frames side by side as one larger image (Fan et al. 2021, arXiv 2106.14104): spatial in place of temporal
    fusion. There is one prediction, so ``frame_logits`` are (B, 1, K)."""

    def laid_out(self, videos: Tensor) -> Tensor:
        return tiled(videos)


def tiled(videos: Tensor) -> Tensor:
    """Videos (B, T, C, H, W) as images (B, C, rows * H, columns * W), frames row by row.

    There are as many columns as the root of T, rounded up, and as few rows as hold the frames; places without a frame
    are zero.
    """
    frames = videos.shape[1]
    columns = math.isqrt(frames - 1) + 1
    rows = -(-frames // columns)
    empty = videos.new_zeros(videos.shape[0], rows * columns - frames, *videos.shape[2:])
    grid = torch.cat([videos, empty], 1).unflatten(1, (rows, columns))
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def video_model(
    network: str | nn.Module,
    num_classes: int,
    frames: int,
    *,
    fusion: str = "none",
    fusion_options: Mapping | None = None,
    places: Sequence[str] | None = None,
    in_channels: int = 3,
    consensus: str = "mean_logits",
    pretrained: bool = False,
    dropout: float = 0.0,
    backbone_options: Mapping | None = None,
) -> VideoModel:
    """Make a video model of a 2D ``network``: a name (`das.models.components`), or a module from images
    (N, in_channels, H, W) to logits that ends in a linear layer; it is changed in place.

    Weights are drawn from torch's global generator. ``places`` overrides where fusion goes (``VideoModel.places``
    shows the default). DasError for unknown names, options that nothing takes, and networks without a place.
    """
    if frames < 1:
        raise DasError(f"frames: {frames}; a video has at least 1")
    if not 0 <= dropout < 1:
        raise DasError(f"dropout: {dropout} is outside [0, 1)")
    if isinstance(network, str):
        network = build_backbone(network, in_channels, pretrained=pretrained, options=backbone_options or {})
    fused = build_consensus(consensus, frames)
    replace_classifier(network, num_classes, dropout, getattr(fused, "pool", None))
    places = insert_fusion(network, fusion, frames, fusion_options or {}, places)
    kind = TiledModel if registry.lookup("fusion", fusion).facts.get("tiled") else VideoModel
    model = kind(network, frames, in_channels, places, fused)
    return model.to(memory_format=torch.channels_last)
