"""A trained model in operations that every exporter knows.

What the package computes by kernels of its own (sparse products, in-place temporal fusion, counting by sorting) is here
the same function, of gathers, concatenations and sums; all else of the model is taken as it is. Weights are shared with
the model; nothing here is trained.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from das.models.fusion import GSF, GSM, GST, TSM, TemporalFusion
from das.models.heads import SpatialPyramidPooling
from das.tasks.classification import DasModel
from das.tasks.segmentation import SegmentationModel
from das.video.compiled import CompiledPolicy, Path
from das.video.photometric import LEVELS, blend, share
from das.video.policy import Choice, Policy
from das.video.registration import DenseConsensus
from das.video.warp import Pattern


class PlainModel(nn.Module):
    """``model`` in evaluation, for images of one size: (B, C, height, width) in [0, 1] -> logits, of any batch.

    Logits are (B, K), or (B, K, height, width) of a segmentation. Raises DasError for a size that the policy's canvas
    does not hold.
    """

    def __init__(self, model: DasModel, height: int, width: int):
        super().__init__()
        model = copy.deepcopy(model).cpu().eval()
        for name, module in list(model.network.named_modules()):
            if type(module) in PLAIN:
                model.network.set_submodule(name, PlainFusion(module))
            elif isinstance(module, SpatialPyramidPooling):
                model.network.set_submodule(name, PlainPyramid())
        self.video = PlainVideo(model.policy, height, width)
        self.normalize, self.network = model.normalize, model.network
        with torch.no_grad():
            videos = self.normalize(self.video(torch.zeros(1, len(model.mean), height, width)))
            output = self.network(videos)
        self.consensus: nn.Module | None = None
        if isinstance(model, SegmentationModel):
            self.consensus = PlainConsensus(model.consensus, output[0], height, width)

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(self.normalize(self.video(images)))
        return output if self.consensus is None else self.consensus(output[0])


class PlainPyramid(nn.Module):
    """What `das.models.heads.SpatialPyramidPooling` makes of maps (N, C, H, W): each cell's maximum, cut out."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        levels = []
        for side in SpatialPyramidPooling.sides:
            rows, columns = ([_cell(place, side, length) for place in range(side)] for length in (height, width))
            cells = [x[:, :, row, column].amax((2, 3)) for row in rows for column in columns]
            levels.append(torch.stack(cells, 2).flatten(1))
        return torch.cat(levels, dim=1)[..., None, None]


def _cell(place: int, cells: int, side: int) -> slice:
    """The pixels of a cell, as `torch.nn.functional.adaptive_max_pool2d` takes them."""
    return slice(place * side // cells, -(-(place + 1) * side // cells))


class Gathered(nn.Module):
    """A sparse map by gathers: of a table (columns, N) the first entries of all rows, then the second, … -> (rows, N).

    Rows with fewer entries than the fullest one read row 0 with weight 0.
    """

    index: Tensor
    weights: Tensor

    def __init__(self, pattern: Pattern, values: Tensor):
        super().__init__()
        starts = pattern.starts.long()
        lengths = starts.diff()
        rows = torch.arange(len(lengths)).repeat_interleave(lengths)
        turns = torch.arange(len(rows)) - starts[:-1].repeat_interleave(lengths)
        shape = (max(lengths.tolist(), default=0), len(lengths))
        index, weights = torch.zeros(shape, dtype=torch.int32), torch.zeros(*shape, 1)
        index[turns, rows], weights[turns, rows, 0] = pattern.index.int(), values.float()
        self.register_buffer("index", index)
        self.register_buffer("weights", weights)

    def forward(self, table: Tensor) -> Tensor:
        total = table.new_zeros(self.index.shape[1], table.shape[1])
        for index, weights in zip(self.index, self.weights, strict=True):
            total = total + weights * table.index_select(0, index)
        return total


class PlainVideo(nn.Module):
    """What a `das.video.transform.ImageToVideo` does with images (B, C, height, width): videos (B, T, C, H, W)."""

    def __init__(self, policy: Policy, height: int, width: int):
        super().__init__()
        self._policy = _Gathering(policy, height, width)
        self.maps = nn.ModuleList(compiled for compiled in self._policy.maps if compiled is not None)

    def forward(self, images: Tensor) -> Tensor:
        return self._policy(images)


class _Gathering(CompiledPolicy):
    @property
    def maps(self) -> list[Gathered | None]:
        return self._maps

    def _compile(self, paths: tuple[Path, ...]) -> Gathered:
        return Gathered(*super()._compile(paths))

    def _product(self, compiled: Gathered, *tables: Tensor) -> Tensor:
        return compiled(torch.cat(tables))

    def _recolor(self, choice: Choice, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        if choice.operation != "equalize":
            return super()._recolor(choice, parts)
        amounts = [share(choice.magnitudes[0], strength) for strength in self._frames.moving]
        return [blend(part, equalized(part), amount) for part, amount in zip(parts, amounts, strict=True)]


def equalized(images: Tensor) -> Tensor:
    """PIL's histogram equalization of each channel of (B, C, H, W) at 8 bits, by counting."""
    values = torch.round(images.clamp(0, 1) * LEVELS).flatten(2).long()
    counts = images.new_zeros(*values.shape[:2], LEVELS + 1).scatter_add(2, values, torch.ones_like(values).to(images))
    levels = torch.arange(LEVELS + 1)
    last = (counts > 0).to(images) * levels
    below = (counts.cumsum(2) - counts).long()
    step = (values.shape[2] - counts.gather(2, last.argmax(2, keepdim=True))).long() // LEVELS
    table = torch.where(step > 0, (below + step // 2) // step.clamp(min=1), levels).clamp(0, LEVELS)
    return table.gather(2, values).to(images).reshape(images.shape) / LEVELS


class PlainConsensus(nn.Module):
    """What a `das.video.registration.DenseConsensus` does with logits like ``example`` (B, T, K, h, w)."""

    def __init__(self, consensus: DenseConsensus, example: Tensor, height: int, width: int):
        super().__init__()
        self.size = height, width
        self.map = Gathered(*consensus.map(example.shape[3:], self.size, torch.device("cpu")))

    def forward(self, logits: Tensor) -> Tensor:
        batch, _, classes = logits.shape[:3]
        fused = self.map(logits.permute(1, 3, 4, 0, 2).reshape(-1, batch * classes))
        return fused.view(*self.size, batch, classes).permute(2, 3, 0, 1)


# -- temporal fusion: frames (B*T, C, H, W), as das.models.fusion defines it ----------------------------------------


def _from_next(x: Tensor) -> Tensor:
    """Frame t + 1 of (B, T, …) at t; zero at the end."""
    return torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], 1)


def _from_previous(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


def _moved(halves: Tensor) -> Tensor:
    """Of (B, T, 2, …), the first half from the next frame, the second from the previous one."""
    return torch.stack([_from_next(halves[:, :, 0]), _from_previous(halves[:, :, 1])], 2)


def _three_frames(previous: Tensor, here: Tensor, following: Tensor) -> Tensor:
    """The sum of three frames' shares (B, T, …), each made by the frame that it comes from."""
    return here + _from_previous(previous) + _from_next(following)


def _interleaved(halves: Tensor) -> Tensor:
    """The quarters of each half in turns: (B, T, 2, C/2, H, W) -> (B, T, C, H, W)."""
    return halves.unflatten(3, (2, -1)).transpose(3, 4).flatten(2, 4)


def _gated(fusion: GSM | GSF, x: Tensor) -> tuple[Tensor, Tensor]:
    """The gated part and the rest of (B*T, C, H, W), each (B, T, 2, C/2, H, W)."""
    shares = fusion.gate(torch.relu(fusion.norm(x))).unflatten(0, (-1, fusion.frames)).unflatten(2, (2, 3))
    gate = torch.tanh(_three_frames(*shares.unbind(3)) + fusion.gate_bias[:, None, None]).unsqueeze(3)
    halves = x.unflatten(0, (-1, fusion.frames)).unflatten(2, (2, -1))
    return gate * halves, halves - gate * halves


def tsm(fusion: TSM, x: Tensor) -> Tensor:
    video, fold = x.unflatten(0, (-1, fusion.frames)), fusion.fold
    ahead, behind, rest = video[:, :, :fold], video[:, :, fold : 2 * fold], video[:, :, 2 * fold :]
    return torch.cat([_from_next(ahead), _from_previous(behind), rest], 2).flatten(0, 1)


def gsm(fusion: GSM, x: Tensor) -> Tensor:
    moving, rest = _gated(fusion, x)
    return _interleaved(rest + _moved(moving)).flatten(0, 1)


def gsf(fusion: GSF, x: Tensor) -> Tensor:
    moving, rest = _gated(fusion, x[:, : fusion.channels])
    moved = _moved(moving)
    means = torch.stack([moved.mean((4, 5)), rest.mean((4, 5))], 3)  # (B, T, half, which, channel)
    weights = fusion.weigh(means.permute(0, 2, 3, 4, 1).flatten(1, 2)).sigmoid()  # (B, half, channel, T)
    weights = weights.permute(0, 3, 1, 2)[..., None, None]
    fused = _interleaved(weights * moved + (1 - weights) * rest).flatten(0, 1)
    return torch.cat([fused, x[:, fusion.channels :]], 1)


def gst(fusion: GST, x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1) if fusion.split else (x, x)
    shares = fusion.temporal(second).unflatten(0, (-1, fusion.frames)).chunk(3, 2)
    return torch.cat([fusion.spatial(first), _three_frames(*shares).flatten(0, 1)], 1)


PLAIN: dict[type, Callable] = {TSM: tsm, GSM: gsm, GSF: gsf, GST: gst}


class PlainFusion(nn.Module):
    """A fusion of the package by its plain function. One of somebody's own is exported as it is."""

    def __init__(self, fusion: TemporalFusion):
        super().__init__()
        self.fusion = fusion

    def forward(self, x: Tensor) -> Tensor:
        return PLAIN[type(self.fusion)](self.fusion, x)
