"""Slow definitions of the image-to-video step: explicit loops over pixels, in float64, one image plane at a time."""

from math import ceil, cos, floor, pi, radians, sin
from types import SimpleNamespace

import numpy as np
import pytest
import torch


def forward_map(operation, magnitudes, strength, height, width):
    """Where a point (x, y) of the content goes, as a 3x3 matrix in pixels about the center, y down."""
    total = np.eye(3)
    for name, m in zip(operation.split("+"), magnitudes, strict=True):
        angle = radians(m * strength)
        total = {
            "translate_x": np.array([[1, 0, m * strength * width], [0, 1, 0], [0, 0, 1.0]]),
            "translate_y": np.array([[1, 0, 0], [0, 1, m * strength * height], [0, 0, 1.0]]),
            "zoom": np.diag([float(m) ** strength, float(m) ** strength, 1.0]),
            "rotate": np.array([[cos(angle), sin(angle), 0], [-sin(angle), cos(angle), 0], [0, 0, 1.0]]),
            "shear_x": np.array([[1, m * strength, 0], [0, 1, 0], [0, 0, 1.0]]),
            "shear_y": np.array([[1, 0, 0], [m * strength, 1, 0], [0, 0, 1.0]]),
        }[name] @ total
    return total


def pixel(plane, row, column, padding):
    height, width = plane.shape
    if padding == "zeros":
        return plane[row, column] if 0 <= row < height and 0 <= column < width else 0.0
    if padding == "border":
        return plane[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    mirrored = [*range(height), *reversed(range(height))][row % (2 * height)]
    return plane[mirrored, [*range(width), *reversed(range(width))][column % (2 * width)]]


def bilinear(plane, x, y, padding):
    """Read a plane at (x, y) in pixels about its center."""
    row, column = y + (plane.shape[0] - 1) / 2, x + (plane.shape[1] - 1) / 2
    if abs(row - round(row)) < 1e-9:
        row = float(round(row))
    if abs(column - round(column)) < 1e-9:
        column = float(round(column))
    total = 0.0
    for r in {floor(row), ceil(row)}:
        for c in {floor(column), ceil(column)}:
            total += (1 - abs(row - r)) * (1 - abs(column - c)) * pixel(plane, r, c, padding)
    return total


def source_of(choice, strength, x, y, height, width):
    inverse = np.linalg.inv(forward_map(choice.operation, choice.magnitudes, strength, height, width))
    return (inverse @ [x, y, 1.0])[:2]


def warp(plane, choice, strength, padding):
    """One operation on one plane (H, W), pixel by pixel."""
    if choice.operation == "identity" or strength == 0:
        return plane.copy()
    height, width = plane.shape
    result = np.zeros_like(plane)
    for row in range(height):
        for column in range(width):
            x, y = column - (width - 1) / 2, row - (height - 1) / 2
            result[row, column] = bilinear(plane, *source_of(choice, strength, x, y, height, width), padding)
    return result


def frame_step_by_step(plane, policy, strength):
    """A frame of a policy as a cell makes it: every operation warps the plane before it."""
    nodes = {"image": plane}
    for index, edges in enumerate(policy.nodes):
        parts = [
            sum(choice.weight * warp(nodes[edge.source], choice, strength, policy.padding) for choice in edge.mixture)
            for edge in edges
        ]
        nodes[index] = sum(parts) / (len(parts) if policy.node_reduce == "mean" else 1)
    return nodes[len(policy.nodes) - 1]


def inside(x, y, padding, height, width):
    """Move a point into the image where the padding rule does so, by walking."""
    point = []
    for value, side in ((x, width), (y, height)):
        if padding == "reflection":
            while abs(value) > side / 2:
                value = (side if value > 0 else -side) - value
        if padding != "zeros":
            value = min(max(value, -(side - 1) / 2), (side - 1) / 2)
        point.append(value)
    return point


def frame_along_paths(plane, policy, strength):
    """A frame of a policy as it is defined: coordinates are pushed along each path, the image is read once."""
    height, width = plane.shape
    ones = np.ones_like(plane)

    def value(node, x, y):
        if node == "image":
            return bilinear(plane, x, y, policy.padding)
        total, edges = 0.0, policy.nodes[node]
        for edge in edges:
            for choice in edge.mixture:
                if choice.operation == "identity" or strength == 0:
                    part = value(edge.source, x, y)
                else:
                    moved = inside(*source_of(choice, strength, x, y, height, width), policy.padding, height, width)
                    part = bilinear(ones, x, y, "zeros") * value(edge.source, *moved)
                total += choice.weight * part / (len(edges) if policy.node_reduce == "mean" else 1)
        return total

    last = len(policy.nodes) - 1
    rows, columns = range(height), range(width)
    return np.array([[value(last, c - (width - 1) / 2, r - (height - 1) / 2) for c in columns] for r in rows])


def video(images, policy, strengths, frame):
    """All frames of images (B, C, H, W) by one of the frame definitions: (B, T, C, H, W)."""
    by_strength = {}
    for s in set(strengths):
        planes = [frame(plane.numpy(), policy, s) for plane in images.double().flatten(0, 1)]
        by_strength[s] = torch.from_numpy(np.stack(planes)).view(images.shape)
    return torch.stack([by_strength[s] for s in strengths], 1)


def smooth(height, width, x=None, y=None):
    """An analytic image that vanishes with its slope at the borders, at coordinates in pixels about the center."""
    if x is None:
        y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    u, v = x / width, y / height
    window = np.where((abs(u) < 0.5) & (abs(v) < 0.5), (np.cos(pi * u) * np.cos(pi * v)) ** 2, 0)
    return window * (0.6 + 0.4 * np.sin(2 * pi * (u + 0.7 * v) + 0.5))


@pytest.fixture(scope="session")
def slow():
    """The slow definitions of this file."""
    return SimpleNamespace(**{name: thing for name, thing in globals().items() if callable(thing)})
