"""A policy: the discretized cell, in one small readable file that search, retraining and pictures all read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from das import yamlfile
from das.errors import DasError
from das.files import publish
from das.study import registry
from das.video.operations import operation_named
from das.video.schedule import strengths

FORMAT = "das-policy"
VERSION = 1
IMAGE = "image"
PADDINGS = ("zeros", "border", "reflection")
NODE_REDUCES = ("mean", "sum")
FRAME_LAYOUTS = ("frames", "scrambled")


@dataclass(frozen=True)
class Choice:
    """An operation with its per-step magnitudes (see ``operations`` for their units) and its part in its edge."""

    operation: str
    magnitudes: tuple[float, ...] = ()
    weight: float = 1.0

    def describe(self) -> str:
        text = " ".join([self.operation, *(f"{magnitude:g}" for magnitude in self.magnitudes)])
        return text if self.weight == 1 else f"{self.weight:.2g} {text}"


@dataclass(frozen=True)
class Edge:
    """What a node receives: ``source`` ("image" or an earlier node's index) through a mixture of operations."""

    source: str | int
    mixture: tuple[Choice, ...]


@dataclass(frozen=True)
class Policy:
    """How an image becomes a video of ``frames`` frames. Nodes reduce their edges in order; the last is the video.

    ``frames`` T >= 1; ``schedule`` mirrored or signed; ``padding`` what lies outside the image: zeros, border (clamped)
    or reflection; ``node_reduce`` mean or sum; ``frame_layout`` frames or scrambled (casarinsof/TRAS views
    (C, T, H, W) as (T, C, H, W) without a permute); ``canvas`` the side in pixels of a larger zero canvas on which
    images are centered first, or None; ``space`` the search space it was taken from, or None. ``provenance`` says
    where the policy comes from and changes nothing.

    Raises:
        DasError: when a field does not describe a video; the message names the key, the value and what is allowed.
    """

    frames: int
    nodes: tuple[tuple[Edge, ...], ...]
    schedule: str = "mirrored"
    padding: str = "zeros"
    node_reduce: str = "mean"
    frame_layout: str = "frames"
    canvas: int | None = None
    space: str | Sequence[str] | None = None
    provenance: Mapping = field(default_factory=dict, compare=False)

    def __post_init__(self):
        check_settings(self)
        if not self.nodes:
            raise DasError("nodes: [] is empty; a policy needs at least one node")
        for index, edges in enumerate(self.nodes):
            if not edges:
                raise DasError(f"nodes[{index}].edges: [] is empty; a node needs at least one edge")
            for position, edge in enumerate(edges):
                _check_edge(edge, index, len(self.nodes), f"nodes[{index}].edges[{position}]")
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        if isinstance(self.space, list):
            object.__setattr__(self, "space", tuple(self.space))

    def __reduce__(self):  # a mapping proxy cannot be pickled or deep-copied
        return _from_document, (self.document(),)

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """Read a policy file; raises DasError naming the file, the key (or line) and the reason."""
        path = Path(path)
        content = yamlfile.read(path)
        try:
            return _from_document(content)
        except DasError as error:
            raise DasError(f"{path}: {error}") from None

    @classmethod
    def loads(cls, text: str) -> "Policy":
        """Read the text of a policy file; raises DasError naming the key (or line) and the reason."""
        return _from_document(yamlfile.loads(text))

    def save(self, path: str | Path) -> None:
        """Write the policy file whole or not at all; equal policies and provenance give equal bytes."""
        publish(path, self.dumps())

    def dumps(self) -> str:
        """Return the policy file's text."""
        try:
            return yaml.safe_dump(self.document(), sort_keys=False, default_flow_style=None, width=100)
        except yaml.representer.RepresenterError as error:
            raise DasError(f"provenance: {error.args[-1]!r} cannot be written; use plain values") from None

    def document(self) -> dict:
        """Return the policy as the plain mapping that its file holds."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "frames": self.frames,
            "schedule": self.schedule,
            "padding": self.padding,
            "node_reduce": self.node_reduce,
            "frame_layout": self.frame_layout,
            "canvas": self.canvas,
            "space": self.space if isinstance(self.space, str | None) else list(self.space),
            "nodes": [{"edges": [_edge_document(edge) for edge in edges]} for edges in self.nodes],
            "provenance": dict(self.provenance),
        }

    def digest(self) -> str:
        """Return the SHA-256 (hex) of what determines the video: everything but space and provenance."""
        document = {key: value for key, value in self.document().items() if key not in ("space", "provenance")}
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def reaching(self) -> list[int]:
        """The nodes that reach the video, in order: the last one and all that it reads, directly or not."""
        found, waiting = set(), [len(self.nodes) - 1]
        while waiting:
            node = waiting.pop()
            found.add(node)
            read = (edge.source for edge in self.nodes[node])
            waiting += [source for source in read if isinstance(source, int) and source not in found]
        return sorted(found)

    def describe(self) -> str:
        """Return one line of text, as ``4 frames, mirrored: 0 = mean(image > rotate 7, image > zoom 1.1)``."""
        nodes = "; ".join(
            f"{index} = {self.node_reduce}(" + ", ".join(_describe_edge(edge) for edge in edges) + ")"
            for index, edges in enumerate(self.nodes)
        )
        return f"{self.frames} frames, {self.schedule}: {nodes}"

    @classmethod
    def single(cls, operation: str, magnitude: float | Sequence[float] | None, frames: int, **settings) -> "Policy":
        """One operation at one per-step magnitude; ``settings`` are the remaining fields."""
        magnitudes = () if magnitude is None else magnitude if isinstance(magnitude, Sequence) else (magnitude,)
        return cls(frames, ((Edge(IMAGE, (Choice(operation, tuple(magnitudes)),)),),), **settings)

    @classmethod
    def replicate(cls, frames: int, **settings) -> "Policy":
        """The image ``frames`` times: the control without any transformation."""
        return cls.single("identity", None, frames, **settings)


def check_settings(settings) -> None:
    """Check the fields that policies and cells share; raises DasError."""
    if type(settings.frames) is not int or settings.frames < 1:
        raise DasError(f"frames: {settings.frames!r} is not a whole number of at least 1")
    for key, allowed in {"padding": PADDINGS, "node_reduce": NODE_REDUCES, "frame_layout": FRAME_LAYOUTS}.items():
        value = getattr(settings, key)
        if value not in allowed:
            raise DasError(f"{key}: {value!r} is unknown; choose one of {', '.join(allowed)}")
    if type(settings.schedule) is not str:
        raise DasError(f"schedule: {settings.schedule!r} is no name")
    strengths(settings.schedule, settings.frames)
    _check_space(settings.space, allowed_none=isinstance(settings, Policy))
    if settings.canvas is not None and (type(settings.canvas) is not int or settings.canvas < 1):
        raise DasError(f"canvas: {settings.canvas!r} is not null or a side of at least 1 pixel")


def _check_space(space, allowed_none: bool) -> None:
    if space is None and allowed_none:
        return
    listed = isinstance(space, list | tuple)
    try:
        for name in space if listed else (space,):
            registry.lookup("operation" if listed else "space", name if isinstance(name, str) else repr(name))
    except DasError as problem:
        raise DasError(f"space: {problem}") from None
    if listed and len(set(space)) < max(len(space), 2):
        raise DasError(f"space: {list(space)} should list two or more operations, each once")


def _check_edge(edge: Edge, node: int, nodes: int, key: str) -> None:
    if edge.source != IMAGE:
        if type(edge.source) is not int:
            raise DasError(f"{key}.source: {edge.source!r} is neither {IMAGE!r} nor the index of a node")
        if not 0 <= edge.source < nodes:
            raise DasError(f"{key}.source: node {edge.source} is missing; there are nodes 0 to {nodes - 1}")
        if edge.source >= node:
            raise DasError(f"{key}.source: node {edge.source} makes a cycle; node {node} can only read earlier nodes")
    if not edge.mixture:
        raise DasError(f"{key}.mixture: [] is empty; an edge needs at least one operation")
    for index, choice in enumerate(edge.mixture):
        _check_choice(choice, key if len(edge.mixture) == 1 else f"{key}.mixture[{index}]")
    total = sum(choice.weight for choice in edge.mixture)
    if abs(total - 1) > 1e-6:
        raise DasError(f"{key}.mixture: the weights sum to {total:g}, not to 1")


def _check_choice(choice: Choice, key: str) -> None:
    try:
        ranges = operation_named(str(choice.operation)).ranges
    except DasError as problem:
        raise DasError(f"{key}.operation: {problem}") from None
    if len(choice.magnitudes) != len(ranges):
        given = list(choice.magnitudes)
        raise DasError(f"{key}.magnitude: {choice.operation} takes {len(ranges)} magnitudes, not {given}")
    for magnitude, values in zip(choice.magnitudes, ranges, strict=True):
        low, high = values.allowed
        if not _is_number(magnitude):
            raise DasError(f"{key}.magnitude: {magnitude!r} is not a number")
        if not low <= magnitude <= high:
            raise DasError(
                f"{key}.magnitude: {magnitude!r} is out of range; "
                f"{choice.operation} takes {low} to {high} {values.unit}"
            )
    if not _is_number(choice.weight) or not 0 < choice.weight <= 1 + 1e-6:
        raise DasError(f"{key}.weight: {choice.weight!r} is not a number above 0 and at most 1")


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _describe_edge(edge: Edge) -> str:
    text = " + ".join(choice.describe() for choice in edge.mixture)
    return f"{edge.source} > {text}" if len(edge.mixture) == 1 else f"{edge.source} > ({text})"


def _choice_document(choice: Choice) -> dict:
    document: dict = {"operation": choice.operation}
    if len(choice.magnitudes) == 1:
        document["magnitude"] = choice.magnitudes[0]
    elif choice.magnitudes:
        document["magnitude"] = list(choice.magnitudes)
    return document


def _edge_document(edge: Edge) -> dict:
    if len(edge.mixture) == 1:
        return {"source": edge.source, **_choice_document(edge.mixture[0])}
    mixture = [{**_choice_document(choice), "weight": choice.weight} for choice in edge.mixture]
    return {"source": edge.source, "mixture": mixture}


def _from_document(document) -> Policy:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DasError(f"format: this is not a policy; its first key must be 'format: {FORMAT}'")
    if document.get("version") != VERSION:
        raise DasError(f"version: {document.get('version')!r} cannot be read here; this release reads {VERSION}")
    settings = _mapping(
        document,
        "",
        required=("format", "version", "frames", "nodes"),
        optional=("schedule", "padding", "node_reduce", "frame_layout", "canvas", "space", "provenance"),
    )
    del settings["format"], settings["version"]
    settings["nodes"] = tuple(
        _read_node(node, f"nodes[{index}]") for index, node in enumerate(_list(settings["nodes"], "nodes"))
    )
    if not isinstance(settings.get("provenance", {}), dict):
        raise DasError(f"provenance: {settings['provenance']!r} is not a mapping")
    return Policy(**settings)


def _read_node(node, key: str) -> tuple[Edge, ...]:
    edges = _list(_mapping(node, key, required=("edges",))["edges"], f"{key}.edges")
    return tuple(_read_edge(edge, f"{key}.edges[{index}]") for index, edge in enumerate(edges))


def _read_edge(edge, key: str) -> Edge:
    """An edge is ``{source, operation, magnitude}``, or ``{source, mixture: [{operation, magnitude, weight}, …]}``."""
    if isinstance(edge, dict) and "mixture" in edge:
        _mapping(edge, key, required=("source", "mixture"))
        choices = tuple(
            _read_choice(_mapping(choice, f"{key}.mixture[{index}]", ("operation", "weight"), ("magnitude",)))
            for index, choice in enumerate(_list(edge["mixture"], f"{key}.mixture"))
        )
        return Edge(edge["source"], choices)
    plain = _mapping(edge, key, ("source", "operation"), ("magnitude",))
    return Edge(plain["source"], (_read_choice(plain),))


def _read_choice(choice: dict) -> Choice:
    magnitude = choice.get("magnitude", ())
    magnitudes = tuple(magnitude) if isinstance(magnitude, list | tuple) else (magnitude,)
    return Choice(choice["operation"], magnitudes, choice.get("weight", 1.0))


def _list(value, key: str) -> list:
    if not isinstance(value, list):
        raise DasError(f"{key}: {value!r} is not a list")
    return value


def _mapping(value, key: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict:
    where = f"{key}: " if key else ""
    if not isinstance(value, dict):
        raise DasError(f"{where}{value!r} is not a mapping")
    for name in required:
        if name not in value:
            raise DasError(f"{where}the key '{name}' is missing")
    for name in value:
        if name not in (*required, *optional):
            raise DasError(f"{where}the key {name!r} is unknown; known are {', '.join((*required, *optional))}")
    return dict(value)
