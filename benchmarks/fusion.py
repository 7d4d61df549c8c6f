"""Temporal fusion: training steps of a ResNet-20, ours beside the published formulations, in one run.

``uv run python -m benchmarks.fusion [--threads N] [--device cuda]`` prints the ratios to the network without fusion
and writes results/benchmarks/fusion.{csv,md}. Every published formulation shares our module's weights, and its output
is compared with ours before anything is timed.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.analysis.profile import shortest_seconds, training_step
from das.models import VideoModel, video_model
from das.models.fusion import GSF, TSM

FRAMES, BATCH, SIDE = 8, 16, 32


class PublishedTSM(nn.Module):
    """Shift by assignment into zeros (temporal-shift-module, ops/temporal_shift.py)."""

    def __init__(self, ours: TSM):
        super().__init__()
        self.ours = ours

    def forward(self, x: Tensor) -> Tensor:
        fold = self.ours.fold
        video = x.view(-1, FRAMES, *x.shape[1:])
        out = torch.zeros_like(video)
        out[:, :-1, :fold] = video[:, 1:, :fold]
        out[:, 1:, fold : 2 * fold] = video[:, :-1, fold : 2 * fold]
        out[:, :, 2 * fold :] = video[:, :, 2 * fold :]
        return out.view(x.shape)


class PublishedGSF(nn.Module):
    """Gate by Conv3d on a (B, C, T, H, W) copy, fusion step by step (swathikirans/GSF, gsf.py)."""

    def __init__(self, ours: GSF):
        super().__init__()
        self.ours = ours

    def forward(self, x: Tensor) -> Tensor:
        ours, channels = self.ours, self.ours.channels
        video = x[:, :channels].unflatten(0, (-1, FRAMES)).transpose(1, 2).contiguous()
        norm, weight = ours.norm, ours.gate.weight.view(2, 3, channels // 2, 3, 3).transpose(1, 2)
        active = F.relu(F.batch_norm(video, None, None, norm.weight, norm.bias, training=True, eps=norm.eps))
        gate = torch.tanh(F.conv3d(active, weight, ours.gate_bias, padding=1, groups=2))
        halves = []
        for i, step in ((0, -1), (1, 1)):
            half = video[:, i * channels // 2 : (i + 1) * channels // 2]
            y = gate[:, i : i + 1] * half
            r = half - y
            y = torch.roll(y, step, dims=2)
            y[:, :, -1 if i == 0 else 0] = 0
            means = torch.stack([y.mean((3, 4)), r.mean((3, 4))], dim=1)
            w = F.conv2d(means, ours.weigh.weight[i : i + 1], ours.weigh.bias[i : i + 1], padding=1).sigmoid()
            w = w.squeeze(1)[..., None, None]
            halves.append((y * w + r * (1 - w)).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2))
        out = torch.cat(halves, dim=1).transpose(1, 2).contiguous().flatten(0, 1)
        return torch.cat([out, x[:, channels:]], dim=1)


def network(fusion: str, **options) -> VideoModel:
    torch.manual_seed(0)
    return video_model("resnet20", 10, FRAMES, fusion=fusion, fusion_options=options)


def published(fusion: str, wrapper: type[nn.Module], **options) -> VideoModel:
    model = network(fusion, **options)
    for place in model.places:
        part = model.network.get_submodule(place)
        part.set_submodule(fusion, wrapper(part.get_submodule(fusion)))
    return model


def cases() -> dict[str, VideoModel]:
    return {
        "no fusion": network("none"),
        "single images, as many": video_model("resnet20", 10, 1),
        "TSM": network("tsm"),
        "TSM as published": published("tsm", PublishedTSM),
        "GSF, 1/4 of the channels": network("gsf", ratio=0.25),
        "GSF, 1/4, as published": published("gsf", PublishedGSF, ratio=0.25),
        "GSF, all channels": network("gsf", ratio=1.0),
        "GSF, all, as published": published("gsf", PublishedGSF, ratio=1.0),
        "GSM": network("gsm"),
        "GST": network("gst"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    models = {name: model.to(arguments.device) for name, model in cases().items()}
    videos = torch.rand(BATCH, FRAMES, 3, SIDE, SIDE, device=arguments.device)
    for name in ("TSM", "GSF, 1/4", "GSF, all"):
        ours, theirs = (model for key, model in models.items() if key.startswith(name))
        torch.testing.assert_close(ours(videos), theirs(videos), rtol=1e-3, atol=1e-4)

    images = videos.flatten(0, 1).unsqueeze(1)
    steps = {name: training_step(model, images if model.frames == 1 else videos) for name, model in models.items()}
    seconds = pd.Series(shortest_seconds(steps, arguments.repetitions, arguments.device))
    table = pd.DataFrame({"step_ms": 1e3 * seconds, "vs_no_fusion": seconds / seconds["no fusion"]}).round(3)
    table.index.name = f"ResNet-20, T = {FRAMES}, batch {BATCH}, {SIDE}x{SIDE}, {arguments.device}, channels last"

    folder = Path("results/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "fusion.csv")
    rows = [f"| {name} | {row.step_ms} | {row.vs_no_fusion} |" for name, row in table.iterrows()]
    heading = [f"| {table.index.name} | ms a step | to no fusion |", "|---|---|---|"]
    (folder / "fusion.md").write_text("\n".join([*heading, *rows, ""]))
    print(table.to_string())


if __name__ == "__main__":
    main()
