"""Temporal fusion: training steps of two residual networks, ours beside the published formulations, in one run.

``uv run python -m benchmarks.fusion [--threads N] [--device cuda]`` writes results/benchmarks/fusion.{csv,md}, with
ratios to the network without fusion. Every published formulation shares our module's weights, and its output is
compared with ours before anything is timed. Published code runs channels first; ours channels last.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._measure import fastest, write
from das.analysis.profile import training_step
from das.models import VideoModel, video_model
from das.models.fusion import GSF, TSM

FRAMES, SIDE = 8, 32
BATCHES = {"resnet20": 16, "resnet18_cifar": 4}


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


class ChannelsFirst(nn.Module):
    """``model`` as it would be without our channels-last memory format."""

    def __init__(self, model: VideoModel):
        super().__init__()
        self.model = model.to(memory_format=torch.contiguous_format)

    def forward(self, videos: Tensor) -> Tensor:
        return self.model.consensus(self.model.network(videos.flatten(0, 1)).unflatten(0, (-1, FRAMES)))


def network(backbone: str, fusion: str, **options) -> VideoModel:
    torch.manual_seed(0)
    return video_model(backbone, 10, FRAMES, fusion=fusion, fusion_options=options)


def published(backbone: str, fusion: str, **options) -> VideoModel:
    wrapper = {"tsm": PublishedTSM, "gsf": PublishedGSF}[fusion]
    model = network(backbone, fusion, **options)
    for place in model.places:
        part = model.network.get_submodule(place)
        part.set_submodule(fusion, wrapper(part.get_submodule(fusion)))
    return model


def cases(backbone: str) -> dict[str, nn.Module]:
    return {
        "no fusion": network(backbone, "none"),
        "single images, as many": video_model(backbone, 10, 1),
        "TSM": network(backbone, "tsm"),
        "TSM as published": published(backbone, "tsm"),
        "GSF, 1/4 of the channels": network(backbone, "gsf", ratio=0.25),
        "GSF, 1/4, as published": published(backbone, "gsf", ratio=0.25),
        "GSF, all channels": network(backbone, "gsf", ratio=1.0),
        "GSF, all, as published": published(backbone, "gsf", ratio=1.0),
        "GSM": network(backbone, "gsm"),
        "GST": network(backbone, "gst"),
        "no fusion, channels first": ChannelsFirst(network(backbone, "none")),
        "TSM as published, channels first": ChannelsFirst(published(backbone, "tsm")),
        "GSF, all, as published, channels first": ChannelsFirst(published(backbone, "gsf", ratio=1.0)),
    }


def measure(backbone: str, repetitions: int, device: str) -> list[dict[str, object]]:
    models = {name: model.to(device) for name, model in cases(backbone).items()}
    videos = torch.rand(BATCHES[backbone], FRAMES, 3, SIDE, SIDE, device=device)
    for name in ("no fusion", "TSM", "GSF, 1/4", "GSF, all"):
        ours, *others = (model for key, model in models.items() if key.startswith(name))
        for theirs in others:
            torch.testing.assert_close(ours(videos), theirs(videos), rtol=1e-3, atol=1e-4)

    images = videos.flatten(0, 1).unsqueeze(1)
    inputs = {name: images if name.startswith("single images") else videos for name in models}
    seconds = fastest({name: training_step(model, inputs[name]) for name, model in models.items()}, repetitions)
    return [
        {
            "network": backbone,
            "fusion": name,
            "ms a step": 1e3 * took,
            "to no fusion": took / seconds["no fusion"],
            "to no fusion, channels first": took / seconds["no fusion, channels first"],
        }
        for name, took in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rows = [row for name in BATCHES for row in measure(name, arguments.repetitions, arguments.device)]
    batches = ", ".join(f"{name} with batches of {batch}" for name, batch in BATCHES.items())
    write("fusion", f"Training steps on {arguments.device}: {batches} videos of {FRAMES} frames, {SIDE}x{SIDE}", rows)


if __name__ == "__main__":
    main()
