"""YAML as people write it, read with a guard: nothing in a file can hang the reader or end in a traceback."""

import re
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from das.errors import DasError

LARGEST = 4 << 20  # bytes
DEEPEST = 50  # mappings and lists in each other
MOST_VALUES = 200_000  # with all aliases written out


def read(path: Path) -> Any:
    """The content of a YAML file. Raises DasError naming the file, and the line where there is one, for a file that is
    missing, too large, no UTF-8, no YAML, or holds a key twice, a date, or aliases that refer to themselves."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DasError(f"{path}: is no file; should be a YAML file")
        if found.st_size > LARGEST:
            raise DasError(f"{path}: has {found.st_size} bytes; at most {LARGEST} are read")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DasError(f"{path}: cannot be read ({error.strerror}); should be a YAML file") from None
    except UnicodeDecodeError:
        raise DasError(f"{path}: is not UTF-8 text") from None
    except ValueError as error:  # a name that no file can have
        raise DasError(f"{str(path)!r}: cannot be read ({error}); should be a YAML file") from None
    try:
        return loads(text)
    except DasError as error:
        raise DasError(f"{path}: {error}") from None


def loads(text: str) -> Any:
    """The content of a YAML text; DasError as in `read`."""
    try:
        _count(text)
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return None
        _measure(node)
        return _Loader("").construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise DasError(f"{line}is not valid YAML: {problem}") from None
    except (RecursionError, ValueError, OverflowError, TypeError, LookupError, AttributeError) as error:
        raise DasError(f"is not valid YAML: {type(error).__name__}: {str(error)[:100]}") from None


def _count(text: str) -> None:
    """Refuse what is too deep or too large before it is composed, in a recursion that knows no limit."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Parser):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST + 1:
            raise _refused(event, f"is deeper than {DEEPEST} levels")
        if values > MOST_VALUES:
            raise _refused(event, f"holds more than {MOST_VALUES} values")


def _measure(root: yaml.Node) -> None:
    """Refuse what is too deep, too large once aliases are written out, or refers to itself."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        if id(node) in open_nodes:
            raise _refused(node, "an alias refers to what it stands in")
        if depth > DEEPEST:
            raise _refused(node, f"is deeper than {DEEPEST} levels")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            children = (
                [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            )
            count = 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(size(child, depth + 1) for child in children)
            open_nodes.remove(id(node))
            sizes[id(node)] = count
        if sizes[id(node)] > MOST_VALUES:
            raise _refused(node, f"holds more than {MOST_VALUES} values")
        return sizes[id(node)]

    size(root, 0)


def _refused(node: yaml.Node | yaml.Event, why: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


_Parser: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built


class _Loader(_Parser):  # type: ignore[misc, valid-type]
    """Refuses a key that stands twice in one mapping, of which YAML readers otherwise take the last; reads numbers such
    as 3e-4, which YAML 1.1 takes for text, and dates as text."""

    def construct_mapping(self, node, deep=False):
        if isinstance(node, yaml.MappingNode):
            seen: set[Hashable] = set()
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, Hashable):
                    raise _refused(key_node, f"a key is {key!r}; should be a name")
                if key in seen:
                    raise _refused(key_node, f"key {key!r} stands twice")
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node):
        """A number of at most 64 bits; YAML 1.1 knows numbers in base 60, which take a time that no line should."""
        if len(node.value) <= 100:
            read = self.construct_yaml_int if node.tag.endswith("int") else self.construct_yaml_float
            value = read(node)
            if isinstance(value, float) or abs(value) < 1 << 63:
                return value
        raise _refused(node, f"a number is {str(node.value)[:20]}..., larger than 64 bits hold")


_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
}
for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
