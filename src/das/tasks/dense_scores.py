"""Scores of label maps: everything from one confusion matrix on the device, and how well boundaries are met."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from das.data.crops import IGNORE

BOUNDARY = 0.02  # of the image's diagonal: the width of a boundary in boundary IoU (Cheng et al. 2021, section 4)


class DenseScore:
    """Adds up predictions batch by batch; its memory does not grow with the set.

    Attributes: ``confusion`` int64 (K, K), pixels by label (row) and prediction (column), ignored ones left out.
    """

    def __init__(self, classes: Sequence[str], device: torch.device | str = "cpu"):
        self.classes = tuple(classes)
        count = len(self.classes)
        self.confusion = torch.zeros(count, count, dtype=torch.int64, device=device)
        # Pixels of intersection and union, ignored ones left out before boundaries are drawn, and after.
        self.boundaries = torch.zeros(2, 2, count, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K, H, W), label maps int64 (B, H, W) with 255 where nothing counts."""
        self.loss += cross_entropy(logits.float(), labels, reduction="sum").double()
        predicted, counts, number = logits.argmax(1), labels != IGNORE, len(self.classes)
        cells = labels[counts] * number + predicted[counts]
        self.confusion += torch.bincount(cells, minlength=number * number).view(number, number)
        width = max(1, round(BOUNDARY * (labels.shape[1] ** 2 + labels.shape[2] ** 2) ** 0.5))
        for label in range(number):
            theirs = boundary(labels == label, width)
            before, after = boundary((predicted == label) & counts, width), boundary(predicted == label, width) & counts
            for found, ours in zip(self.boundaries, (before, after), strict=True):
                found[0, label] += (ours & theirs).sum()
                found[1, label] += (ours | theirs).sum()

    def result(self) -> dict:
        """`miou`, `loss` (mean cross-entropy of a pixel), `pixel_accuracy`, `boundary_iou`, `boundary_iou_published`,
        `class_iou` by name.

        All but the loss are in [0, 1]. A class that neither labels nor predictions hold has no IoU (None) and no part
        in the means. Of a prediction, `boundary_iou` takes ignored pixels away before its boundary is drawn, as the
        label map has them: where labels end at an ignored rim, both have a boundary. `boundary_iou_published` draws
        the boundary of the whole prediction and takes ignored pixels away after that (bowenc0221/boundary-iou-api,
        coco_panoptic_api/evaluation.py), so labels have boundaries along a rim that no prediction meets. Without
        ignored pixels the two are the same.
        """
        confusion, (before, after) = self.confusion.double().cpu(), self.boundaries.double().cpu()
        right = confusion.diag()
        iou = _ratios(right, confusion.sum(0) + confusion.sum(1) - right)
        pixels = float(confusion.sum())
        return {
            "miou": _mean(iou),
            "loss": float(self.loss) / max(pixels, 1),
            "pixel_accuracy": float(right.sum()) / max(pixels, 1),
            "boundary_iou": _mean(_ratios(*before)),
            "boundary_iou_published": _mean(_ratios(*after)),
            "class_iou": dict(zip(self.classes, iou, strict=True)),
        }


def cross_entropy(logits: Tensor, labels: Tensor, **options) -> Tensor:
    """Cross-entropy of logits (B, K, H, W) by pixel, ignored ones left out; ``options`` of torch's ``cross_entropy``.

    Pixels are rows: torch's loss for images is not deterministic on CUDA.
    """
    rows = logits.permute(2, 3, 0, 1).flatten(0, 2)
    return F.cross_entropy(rows, labels.permute(1, 2, 0).flatten(), ignore_index=IGNORE, **options)


def boundary(mask: Tensor, width: int) -> Tensor:
    """The pixels of masks (B, H, W) bool that lie within ``width`` pixels of the mask's outside, the image's included.

    (Cheng et al. 2021, arXiv 2103.16562, as in their reference code: what ``width`` erosions by 3 x 3 take away.)
    """
    outside = F.pad((~mask).float()[:, None], (width,) * 4, value=1)
    side = 2 * width + 1
    near = F.max_pool2d(F.max_pool2d(outside, (side, 1), stride=1), (1, side), stride=1)  # a square, side by side
    return mask & (near[:, 0] > 0)


def _ratios(parts: Tensor, wholes: Tensor) -> list[float | None]:
    return [float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
