"""From an image file to class logits, step by step: what every training, test and search of this project does.

    uv run python examples/image_to_logits.py [IMAGE]

The network is untrained, so its answer means nothing; `das.engine.checkpoint.load_model` gives a trained one, in which
all of these steps are one call: `model(images)`.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from das.models import Normalize, video_model
from das.video.policy import Choice, Edge, Policy
from das.video.transform import ImageToVideo

ROOT = Path(__file__).parents[1]


def main(path: Path) -> None:
    # 1. An image: float pixels in [0, 1], shape (B, C, H, W).
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((64, 64)))
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    print(f"image   {tuple(images.shape)} from {path.name}")

    # 2. A policy: a small graph of operations. Node 0 is the mean of the image turned and the image shifted; node 1,
    #    the video, zooms into node 0. Magnitudes are per step; frame t of T is transformed by t - T//2 steps
    #    ("signed"), so the frame in the middle is the untouched image. `das search` finds such graphs and writes YAML.
    turned = Edge("image", (Choice("rotate", (8.0,)),))
    shifted = Edge("image", (Choice("translate_x", (0.05,)),))
    zoomed = Edge(0, (Choice("zoom", (1.1,)),))
    policy = Policy(frames=4, nodes=((turned, shifted), (zoomed,)), schedule="signed")
    print(f"policy  {policy.describe()}")

    # 3. The image becomes a video: (B, T, C, H, W). What lies outside the image is black, so normalization comes after.
    video = ImageToVideo(policy)(images)
    assert torch.equal(video[:, policy.frames // 2], images)
    video = Normalize(mean=[0.5] * 3, std=[0.25] * 3)(video)
    print(f"video   {tuple(video.shape)}")

    # 4. A 2D network reads all frames as one batch of B * T images; temporal shift (TSM) moves an eighth of the
    #    channels to the next frame and an eighth to the previous one before the convolutions named here.
    torch.manual_seed(0)
    network = video_model("resnet8", num_classes=10, frames=policy.frames, fusion="tsm", consensus="mean_logits").eval()
    print(f"fusion  before {', '.join(network.places)}")

    # 5. Each frame has logits (B, T, K); their mean is the prediction (B, K).
    with torch.no_grad():
        each, logits = network.frame_logits(video), network(video)
    assert torch.allclose(each.mean(1), logits)
    print(f"logits  {tuple(each.shape)} -> {tuple(logits.shape)}: {[round(value, 3) for value in logits[0].tolist()]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images/film_strip.png")
