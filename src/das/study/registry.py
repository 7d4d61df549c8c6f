"""What a study may name: every component of the package, and everybody else's.

A component stands in one `Entry` of its package's ``components.py``: name, target, options with types and defaults, and
the facts that must be known before it is imported. Nothing here imports torch. Three doors lead to components of one's
own:

* ``package.module:attribute`` wherever a study takes a name, with the study's folder or PYTHONPATH to find it;
* ``FAMILY:NAME`` where an entry ``FAMILY:*`` serves all names of another library (``timm:convnext_tiny``);
* an installed package whose entry point in the group ``das.plugins`` is a list of entries.
"""

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from das.errors import DasError

REQUIRED = ...
PLUGINS = "das.plugins"
COMPONENTS = tuple(
    f"das.{package}.components" for package in ("data", "video", "models", "augment", "tasks", "engine", "search")
)

#: What a component of each kind is: the arguments it is called with before its options, and what it gives.
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "reader": (("reader", "root", "options"), "a das.data.sets.Dataset"),
    "network": (("in_channels",), "a torch.nn.Module from images (N, C, H, W) to logits"),
    "head": (("body", "num_classes", "dropout"), "a torch.nn.Module from the body's features to logits (N, K, h, w)"),
    "fusion": (("conv", "frames"), "the torch.nn.Module that stands in place of a convolution"),
    "consensus": (("frames",), "a torch.nn.Module from logits (B, T, K) to (B, K)"),
    "dense_consensus": (
        ("policy", "pixels", "size", "image", "passing"),
        "where each frame shows each pixel, and whether it counts there",
    ),
    "operation": ((), "a das.video.operations.Operation"),
    "space": ((), "a tuple of names of operations"),
    "schedule": (("frame", "middle"), "a frame's strength, a whole number of steps, 0 at the middle"),
    "augmentation": ((), "a callable (images, labels, generator) -> (images, labels)"),
    "objective": (("model", "criterion", "arithmetic"), "a das.augment.objective.Objective"),
    "task": ((), "a das.tasks.classification.DasModel"),
    "lr_schedule": (("recipe", "epochs", "epoch"), "a factor of the learning rate"),
    "optimizer": (("parameters", "recipe", "factors"), "an optimizer with zero_grad, step, lr and its state"),
    "relaxation": (("family", "alpha", "noise"), "the weights (edges, candidates) that a step uses"),
    "selection": (("search", "provenance"), "a das.video.policy.Policy"),
}


@dataclass(frozen=True)
class Option:
    """An option of a component: its type (as pydantic reads it), its default or REQUIRED, and what it means."""

    type: Any
    default: Any = REQUIRED
    meaning: str = ""


@dataclass(frozen=True)
class Entry:
    """A component: where its code is (``module:attribute``), what it is, its options, and facts known without it."""

    kind: str
    name: str
    target: str
    meaning: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Any:
        """Import the component. Raises DasError where that fails."""
        return _imported(self.target, f"{self.kind} {self.name!r}")

    def make(self, *arguments: Any, **options: Any) -> Any:
        """Call the component with its kind's arguments and checked ``options``."""
        return self.load()(*arguments, **self.check(options))

    def check(self, given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """Return ``given`` with its values checked; DasError names a wrong key or value (below ``where``, by default
        the component's name) and what would be right.

        Options that are not given keep the component's own defaults and are left out; see `complete`.
        """
        where = where or self.name
        for key in given:
            if key not in self.options:
                raise DasError(f"{where}.{key}: unknown option; allowed here: {', '.join(self.options) or 'none'}")
        try:
            _options_model(self).model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(map(str, (where, *first["loc"])))
            raise DasError(
                f"{path}: is missing" if first["type"] == "missing" else f"{path}: {wanted(first)}"
            ) from None
        return dict(given)

    def complete(self, given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """`check`, with the defaults of what is not given."""
        return {key: option.default for key, option in self.options.items()} | self.check(given, where)

    @property
    def own(self) -> bool:
        """Whether the component comes from outside this package."""
        return not self.target.startswith("das.")

    def source_digest(self) -> str:
        """SHA-256 of the source file of the target's module; DasError where there is none."""
        module = self.target.partition(":")[0]
        _see_working_folder()
        try:
            spec = find_spec(module)
        except (ImportError, ValueError) as error:
            raise DasError(f"{self.kind} {self.name!r}: module {module!r} cannot be found ({error})") from None
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            raise DasError(
                f"{self.kind} {self.name!r}: module {module!r} is not found in the study's folder or PYTHONPATH"
            )
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def names(kind: str) -> tuple[str, ...]:
    """The registered names of a kind, in their order; a family's is ``FAMILY:*``."""
    return tuple(_registered()[kind])


def entries(kind: str) -> Iterator[Entry]:
    """The registered components of a kind, in their order."""
    return iter(_registered()[kind].values())


def lookup(kind: str, name: str) -> Entry:
    """Return the component that a study means by ``name``. Raises DasError naming the known ones, or what is wrong
    with a component of one's own."""
    known = _registered()[kind]
    if name in known:
        return known[name]
    first, colon, rest = name.partition(":")
    if colon and f"{first}:*" in known:
        family = known[f"{first}:*"]
        return replace(family, name=name, facts={**family.facts, "member": rest})
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        return _own(kind, name)
    raise DasError(f"{name!r} is unknown; should be one of {', '.join(known)}, or package.module:attribute of your own")


def wanted(problem: Mapping[str, Any]) -> str:
    """What pydantic found and would allow, as in ``is -1; should be greater than 0``."""
    text = problem["msg"].removeprefix("Value error, ")
    for pattern, plain in _PLAIN.items():
        text = re.sub(pattern, plain, text)
    return f"is {shortened(problem['input'])}; {text[0].lower()}{text[1:]}"


#: What pydantic calls things, and what a writer of YAML calls them.
_PLAIN = {
    r"^(Input|String|List|Tuple|Dictionary|Value) should": "should",
    r"match pattern '\^\[a-z0-9\].*'": "be made of a-z, 0-9 and _, as paths are made of it",
    r"match pattern '\^\[0-9a-f\]\{(\d+)\}\$'": r"be \1 hexadecimal digits",
    r"a valid dictionary( or (instance|object) .*)?$": "a mapping",
    r"a valid (list|tuple|array)": "a list",
    r"a valid string": "text",
    r"a valid integer.*": "a whole number",
    r"a valid number.*": "a number",
    r"a valid boolean.*": "true or false",
    r"have at (least|most) (\d+) items? after validation, not \d+": r"hold at \1 \2",
    r"Keys should be strings": "keys should be names",
}


def shortened(value: Any) -> str:
    """A value as it is written in messages: on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


@cache
def _registered() -> dict[str, dict[str, Entry]]:
    found: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
    listed = [entry for module in COMPONENTS for entry in importlib.import_module(module).COMPONENTS]
    for point in entry_points(group=PLUGINS):
        try:
            listed += point.load()
        except Exception as error:  # whatever a foreign package raises must name it
            raise DasError(f"plug-in {point.name!r} ({point.value}): cannot be loaded ({error})") from None
    for entry in listed:
        if entry.name in found[entry.kind]:
            taken = found[entry.kind][entry.name].target
            raise DasError(f"{entry.kind} {entry.name!r}: {entry.target} is named as {taken} is; rename one")
        found[entry.kind][entry.name] = entry
    return found


@cache
def _own(kind: str, target: str) -> Entry:
    """The entry of a component that only its target names: options are its keyword arguments, facts its ``facts``."""
    what = f"{kind} {target!r}"
    if target.partition(":")[0].partition(".")[0] in sys.stdlib_module_names:
        # A checkpoint or policy of unknown origin may name components and their arguments, too: never Python's own.
        raise DasError(f"{what}: is Python's own; should be package.module:attribute of your own")
    component = _imported(target, what)
    arguments, gives = KINDS[kind]
    facts = dict(getattr(component, "facts", {}))
    if kind in ("operation", "space"):
        return Entry(kind, target, target, facts=facts)
    if not callable(component):
        raise DasError(f"{what}: is no function or class; should take ({', '.join(arguments)}) and give {gives}")
    parameters = list(inspect.signature(component).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(positional) < len(arguments) and not open_ended:
        found = ", ".join(p.name for p in positional)
        raise DasError(f"{what}: takes ({found}); should take ({', '.join((*arguments, '…'))}) and give {gives}")
    rest = [*positional[len(arguments) :], *(p for p in parameters if p.kind is p.KEYWORD_ONLY)]
    options = {p.name: Option(Any, REQUIRED if p.default is p.empty else p.default) for p in rest}
    return Entry(kind, target, target, options=options, facts=facts)


def _imported(target: str, what: str) -> Any:
    module, _, attribute = target.partition(":")
    _see_working_folder()
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise DasError(f"{what}: module {module!r} has no {attribute!r}") from None
    except DasError:
        raise
    except Exception as error:  # somebody else's module may raise anything
        if target.startswith("das."):
            raise
        raise DasError(f"{what}: module {module!r} cannot be imported ({type(error).__name__}: {error})") from None


def _see_working_folder() -> None:
    """Let modules beside the study be imported, as `python -m` does; the ``das`` command itself would not."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


_models: dict[tuple[str, str], type[BaseModel]] = {}


def _options_model(entry: Entry) -> type[BaseModel]:
    key = (entry.kind, entry.name)
    if key not in _models:
        fields: dict[str, Any] = {name: (option.type, option.default) for name, option in entry.options.items()}
        _models[key] = create_model(
            f"{entry.name} options", __config__=ConfigDict(extra="forbid", strict=True), **fields
        )
    return _models[key]
