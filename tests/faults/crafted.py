"""Files that people and programs could have written, each wrong in its own way: studies, policies, checkpoints."""

import copy
import io
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from das import tasks
from das.engine.checkpoint import FORMAT, VERSION, _seal, checkpoint, load_model
from das.engine.resume import torch_bytes
from das.errors import DasError
from das.study import load_study
from das.study.schema import Architecture
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


def fetched(**keys: Any) -> str:
    """A study whose data set is fetched, with more keys of it."""
    data = {"title": "x", "reader": "cifar10", "recipe": "quick", **keys}
    return yaml.safe_dump({"study": {"datasets": ["few"]}, "datasets": {"few": data}})


FILE = "cifar-10-python.tar.gz"
#: what is wrong: (text or bytes of a study file, words of the refusal)
STUDIES: dict[str, tuple[str | bytes, str]] = {
    "not UTF-8": (b"study: {name: \xff}", "is not UTF-8"),
    "UTF-16": ("study: {name: a}".encode("utf-16"), "is not UTF-8"),
    "control characters": ("study: {name: \x01}", "not valid YAML"),
    "nested 5,000 deep": ("[" * 5000, "deeper than 50"),
    "two million brackets": ("[" * 2_000_000, "deeper than 50"),
    "an alias in itself": ("study: &a {name: *a}", "refers to what it stands in"),
    "billion laughs, 9 deep": (laughs(9), "more than 200000 values"),
    "laughs of merged mappings": (
        "a0: &a0 {k0: 1}\n"
        + "\n".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}], k{i}: 1}}" for i in range(1, 30)),
        "more than 200000 values",
    ),
    "30,000 keys": ("\n".join(f"key{n}: {n}" for n in range(30_000)), "key0: unknown key"),
    "30,000 data sets": ("datasets:\n" + "\n".join(f"  k{n}: 1" for n in range(30_000)), "should be a mapping"),
    "5 MB": ("#" * (5 << 20), "at most 4194304 are read"),
    "a number of 100,000 digits": ("study: {seeds: [" + "9" * 100_000 + "]}", "larger than 64 bits"),
    "a number in base 60 with 100,000 places": ("a: " + "1:" * 100_000 + "1", "larger than 64 bits"),
    "a date as a name": ("study: {name: 2024-01-01}", "study.name: is '2024-01-01'; should be made of a-z"),
    "a date by its tag": ("study: {name: !!timestamp 2024-01-01}", "could not determine a constructor"),
    "a Python object": ("study: !!python/object/apply:os.system [touch pwned]", "could not determine a constructor"),
    "a key twice": ("study: {name: a, name: b}", "key 'name' stands twice"),
    "a list": ("[1, 2]", "holds list, not a mapping"),
    "text": ("hello", "holds str, not a mapping"),
    "a number as a key": ("1: 2", "1: is 1; keys should be names"),
    "a name with capitals": ("study: {name: Foo}", "study.name: is 'Foo'; should be made of a-z, 0-9 and _"),
    "a name of 5,000 letters": ("study: {name: " + "a" * 5000 + "}", "should have at most 64 characters"),
    "a name with a slash": ("study: {name: ../../x}", "should be made of a-z"),
    "a mapping for a list": ("study: {methods: {a: 1}}", "study.methods: is {'a': 1}; should be a list"),
    "text for a number": ("recipes: {quick: {lr: fast}}", "recipes.quick.lr: is 'fast'; should be a number"),
    "a number for text": ("backbones: {resnet8: {network: 8}}", "network: is 8; should be text"),
    "a wrong augmentation": (
        "datasets: {fashion_mnist: {augment: [3]}}",
        "augment.0: is 3; should be text or a mapping",
    ),
    "a root that is a command": (
        fetched(root="data/raw/x & touch pwned & echo "),
        "datasets.few.root: is 'data/raw/x &",
    ),
    "a root that is a pattern": (fetched(root="data/raw/{dataset}"), "datasets.few.root: is 'data/raw/{dataset}'"),
    "a root above": (fetched(root="data/raw/../../.."), "datasets.few.root: is 'data/raw/../../..'"),
    "a root with NUL": (fetched(root="data/raw/a\0b"), "should be a path"),
    "a root that is empty": (fetched(root=""), "should be a path"),
    "md5: 0": (fetched(sources={FILE: {"md5": 0}}), "md5: is 0; should be text"),
    "md5 that is short": (fetched(sources={FILE: {"md5": "abc"}}), "should be 32 hexadecimal digits"),
    "url that is a number": (fetched(sources={FILE: {"url": 3}}), "url: is 3; should be text"),
    "url of ftp": (fetched(sources={FILE: {"url": "ftp://a/b"}}), "should begin with http://"),
    "url with a wrong port": (fetched(sources={FILE: {"url": "http://a:99999/b"}}), "should begin with http://"),
    "url with a line break": (fetched(sources={FILE: {"url": "http://a/b\r\nX: y"}}), "should begin with http://"),
    "size below 0": (fetched(sources={FILE: {"size": -1}}), "size: is -1; should be greater than or equal to 1"),
    "Python's own as a component": ("backbones: {resnet8: {network: 'os:spawnv'}}", "is Python's own"),
}

POLICY = Policy.single("rotate", 15, 4).document()


def policy(**changed: Any) -> str:
    return yaml.safe_dump({**copy.deepcopy(POLICY), **changed})


def edge(**keys: Any) -> str:
    return policy(nodes=[{"edges": [{"source": "image", "operation": "rotate", "magnitude": 1, **keys}]}])


#: what is wrong: (text or bytes of a policy file, words of the refusal)
POLICIES: dict[str, tuple[str | bytes, str]] = {
    "edges: [foo]": (policy(nodes=[{"edges": ["foo"]}]), "nodes[0].edges[0]: 'foo' is not a mapping"),
    "edges: [{}]": (policy(nodes=[{"edges": [{}]}]), "nodes[0].edges[0]: the key 'source' is missing"),
    "edges: [null]": (policy(nodes=[{"edges": [None]}]), "nodes[0].edges[0]: None is not a mapping"),
    "nodes: 3": (policy(nodes=3), "nodes: 3 is not a list"),
    "a mixture of null": (policy(nodes=[{"edges": [{"source": "image", "mixture": [None]}]}]), "None is not a mapping"),
    "magnitude of nan": (edge(magnitude=float("nan")), "out of range"),
    "magnitude of text": (edge(magnitude="x"), "'x' is not a number"),
    "an operation that is a list": (edge(operation=["rotate"]), "operation"),
    "Python's own operation": (edge(operation="os:system"), "is Python's own"),
    "a cycle": (edge(source=0), "makes a cycle"),
    "frames: true": (policy(frames=True), "frames: True is not a whole number"),
    "cut short": (policy()[:120], "is"),
    "UTF-16": (policy().encode("utf-16"), "is not UTF-8"),
    "bytes": (bytes(range(256)), "is not UTF-8"),
    "billion laughs": (laughs(12), "more than 200000 values"),
    "nothing": ("", "format: this is not a policy"),
}


def model() -> Any:
    torch.manual_seed(0)
    return tasks.model(Architecture(network="resnet8"), Policy.single("rotate", 15, 4), ["a", "b", "c"], [0.5], [0.2])


def changed(**keys: Any) -> Callable[[], bytes]:
    """A checkpoint with other content (None: without the key), sealed anew as an ill-meaning writer would."""

    def make() -> bytes:
        content = torch.load(io.BytesIO(checkpoint(model())), weights_only=True)
        del content["sha256"]
        content = {key: value for key, value in {**content, **keys}.items() if keys.get(key, True) is not None}
        try:
            seal = _seal(content)
        except Exception:
            seal = "0" * 64
        return torch_bytes(content | {"sha256": seal})

    return make


def weights(make: Callable[[dict], dict]) -> Callable[[], bytes]:
    return lambda: changed(weights=make(dict(model().network.state_dict())))()


def architecture(**keys: Any) -> Callable[[], bytes]:
    return lambda: changed(architecture={**model().architecture.model_dump(), **keys})()


def empty_zip() -> bytes:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()


class Harm:
    def __reduce__(self):
        import os

        return os.system, ("touch pwned",)


FIRST = "network.conv1.weight"
#: what is wrong: (how the file's bytes are made, words of the refusal)
CHECKPOINTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "JSON": (lambda: b'{"a": 1}', "is no checkpoint"),
    "nothing": (lambda: b"", "is no checkpoint"),
    "half": (lambda: checkpoint(model())[:20_000], "is no checkpoint"),
    "an empty zip": (empty_zip, "is damaged"),
    "a plain pickle": (lambda: pickle.dumps({"a": 1}), "is no checkpoint"),
    "a pickle that runs a command": (lambda: torch_bytes({"a": Harm()}), "holds more than weights"),
    "a pickled module": (lambda: torch_bytes(torch.nn.Linear(1, 1)), "holds more than weights"),
    "a list": (lambda: torch_bytes([1]), f"is no {FORMAT}"),
    "weights alone": (lambda: torch_bytes(dict(model().network.state_dict())), f"is no {FORMAT}"),
    "another version": (changed(version=VERSION + 1), f"is no {FORMAT}"),
    "no architecture": (changed(architecture=None), "architecture: is missing"),
    "an architecture of text": (changed(architecture="resnet8"), "architecture: is missing or not a mapping"),
    "a network of number": (architecture(network=3), "architecture.network: is 3; should be text"),
    "an unknown network": (architecture(network="resnet9"), "'resnet9' is unknown"),
    "a network that is Python's own": (
        architecture(network="os:spawnv", network_options={"file": "/bin/touch", "args": ["touch", "pwned"]}),
        "is Python's own",
    ),
    "no policy": (changed(policy=None), "policy: is missing"),
    "a policy of text": (changed(policy="x"), "format: this is not a policy"),
    "classes of numbers": (changed(classes=[1, 2, 3]), "classes: is missing or not a list of names"),
    "another number of classes": (changed(classes=["a"]), "do not fit the network"),
    "mean of nan": (changed(mean=[float("nan")]), "mean: is missing or not a list of numbers"),
    "std of 0": (changed(std=[0.0]), "std: is missing or not a list of numbers above 0"),
    "weights without the first": (weights(lambda w: {k: v for k, v in w.items() if k != FIRST}), "do not fit"),
    "a weight of another shape": (weights(lambda w: {**w, FIRST: torch.zeros(1)}), "do not fit"),
    "a weight of another type": (weights(lambda w: {**w, FIRST: w[FIRST].double()}), "is torch.float64"),
    "a weight that is no tensor": (weights(lambda w: {**w, FIRST: 3}), "weights: is missing or not a mapping"),
    "a weight of 4 TB in 4 bytes": (
        weights(lambda w: {**w, FIRST: torch.zeros(1).expand(10**12)}),
        "larger than the file",
    ),
}  # fmt: skip


def refusal(read: Callable[[], Any]) -> tuple[str, float]:
    """The refusal, empty where there was none, and the processor's seconds."""
    start = time.process_time()
    try:
        read()
        said = ""
    except DasError as error:
        said = str(error)
    return said, time.process_time() - start


def of_study(content: str | bytes, folder: Path) -> tuple[str, float]:
    return refusal(lambda: load_study([ROOT / "params.yaml", written(content, folder / "x.yaml")]))


def of_policy(content: str | bytes, folder: Path) -> tuple[str, float]:
    return refusal(lambda: Policy.load(written(content, folder / "x.yaml")))


def of_checkpoint(make: Callable[[], bytes], folder: Path) -> tuple[str, float]:
    path = written(make(), folder / "x.pt")
    return refusal(lambda: load_model(path))


def written(content: str | bytes, path: Path) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


CASES = {
    f"{kind}: {what}": (of, content, words)
    for kind, of, cases in (
        ("study", of_study, STUDIES),
        ("policy", of_policy, POLICIES),
        ("checkpoint", of_checkpoint, CHECKPOINTS),
    )
    for what, (content, words) in cases.items()
}
