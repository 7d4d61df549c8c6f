import copy
import pickle

import pytest
import yaml

from das.errors import DasError
from das.video.family import Family
from das.video.policy import Choice, Edge, Policy

HAND_WRITTEN = """\
# A hand-written policy.
format: das-policy
version: 1
frames: 4
nodes:
- edges:
  - {source: image, operation: translate_x, magnitude: 0.03}
  - source: image
    mixture:
    - {operation: identity, weight: 0.25}
    - {operation: translate_x+zoom, magnitude: [0.1, 1.2], weight: 0.75}
- edges:
  - {source: 0, operation: rotate, magnitude: 45}
"""

POLICIES = {
    "replicate": Policy.replicate(5),
    "single": Policy.single("zoom", 1.1, 4, schedule="signed", padding="border", provenance={"by": "hand"}),
    "compound": Policy.single("translate_x+rotate", [0.1, 5], 4, canvas=48),
    "random": Family(frames=8, seed=3).random(1),
    "photometric": Family("full", seed=3, node_reduce="sum", frame_layout="scrambled").random(5),
    "uniform": Family("compound", kind="single", magnitudes="grid").uniform(),
    "hand": Policy.loads(HAND_WRITTEN),
}


def test_hand_written_file(tmp_path):
    (tmp_path / "policy.yaml").write_text(HAND_WRITTEN)
    policy = Policy.load(tmp_path / "policy.yaml")
    assert (policy.frames, policy.schedule, policy.padding, policy.node_reduce) == (4, "mirrored", "zeros", "mean")
    assert policy.nodes[0][0] == Edge("image", (Choice("translate_x", (0.03,)),))
    assert policy.nodes[0][1].mixture[1] == Choice("translate_x+zoom", (0.1, 1.2), 0.75)
    assert policy.nodes[1] == (Edge(0, (Choice("rotate", (45,)),)),)
    assert policy.describe() == (
        "4 frames, mirrored: 0 = mean(image > translate_x 0.03, "
        "image > (0.25 identity + 0.75 translate_x+zoom 0.1 1.2)); 1 = mean(0 > rotate 45)"
    )


@pytest.mark.parametrize("name", POLICIES)
def test_round_trip_by_value_and_by_byte(tmp_path, name):
    policy = POLICIES[name]
    policy.save(tmp_path / "new" / "a.yaml")
    again = Policy.load(tmp_path / "new" / "a.yaml")
    again.save(tmp_path / "new" / "b.yaml")
    assert again == policy
    assert again.digest() == policy.digest()
    assert dict(again.provenance) == dict(policy.provenance)
    assert (tmp_path / "new" / "a.yaml").read_bytes() == (tmp_path / "new" / "b.yaml").read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.yaml", "b.yaml"]
    assert pickle.loads(pickle.dumps(policy)) == copy.deepcopy(policy) == policy


def test_digest_is_of_the_video_alone():
    digests = {policy.digest() for policy in POLICIES.values()}
    assert len(digests) == len(POLICIES)
    base = dict(operation="rotate", magnitude=5, frames=4)
    assert Policy.single(**base).digest() == Policy.single(**base, space="affine5", provenance={"seed": 1}).digest()
    for change in (dict(schedule="signed"), dict(padding="border"), dict(canvas=64), dict(frame_layout="scrambled")):
        assert Policy.single(**base, **change).digest() != Policy.single(**base).digest()


def changed(*path, value):
    document = yaml.safe_load(HAND_WRITTEN)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return yaml.safe_dump(document)


FIRST = ("nodes", 0, "edges", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames: [", r"line \d: "),
        ("frames: 4\n", "format: .*format: das-policy"),
        ("- a\n", "format: "),
        (changed("version", value=2), "version: 2 cannot be read here; this release reads 1"),
        (changed("frames", value=0), "frames: 0 is not a whole number of at least 1"),
        (changed("frames", value="4"), "frames: '4' is not"),
        (changed("frames", value=True), "frames: True is not"),
        (changed("schedule", value="ramp"), "schedule: 'ramp' is unknown; should be one of mirrored, signed"),
        (changed("padding", value=["zeros"]), r"padding: \['zeros'\] is unknown"),
        (changed("node_reduce", value="max"), "node_reduce: 'max' is unknown"),
        (changed("frame_layout", value=1), "frame_layout: 1 is unknown"),
        (changed("canvas", value=0), "canvas: 0 is not null or a side"),
        (changed("space", value="affine6"), "space: 'affine6' is unknown; should be one of affine5"),
        (changed("nodes", value=[]), "nodes: .*at least one node"),
        (changed("nodes", value=3), "nodes: 3 is not a list"),
        (changed("nodes", 0, value=3), r"nodes\[0\]: 3 is not a mapping"),
        (changed("nodes", 0, value={"edges": []}), r"nodes\[0\]\.edges: .*at least one edge"),
        (changed("nodes", 0, value={}), r"nodes\[0\]: the key 'edges' is missing"),
        (changed("provenance", value=3), "provenance: 3 is not a mapping"),
        (changed("seeds", value=3), "the key 'seeds' is unknown"),
        (changed(*FIRST, "source", value=0), r"nodes\[0\]\.edges\[0\]\.source: node 0 makes a cycle"),
        (changed(*FIRST, "source", value=1), r"source: node 1 makes a cycle; node 0 can only read earlier"),
        (changed(*FIRST, "source", value=7), r"source: node 7 is missing; there are nodes 0 to 1"),
        (changed(*FIRST, "source", value=-1), r"source: node -1 is missing"),
        (changed(*FIRST, "source", value="input"), r"source: 'input' is neither 'image' nor the index"),
        (changed(*FIRST, "source", value=True), r"source: True is neither"),
        (
            changed(*FIRST, "operation", value="warp"),
            r"edges\[0\]\.operation: 'warp' is unknown; should be one of identity",
        ),
        (changed(*FIRST, "operation", value=["zoom"]), r"operation: \"\['zoom'\]\" is unknown"),
        (changed(*FIRST, "operation", value="identity"), r"magnitude: identity takes 0 magnitudes"),
        (
            changed(*FIRST, "magnitude", value=1.5),
            r"magnitude: 1.5 is out of range; translate_x takes -1 to 1 of the side",
        ),
        (changed(*FIRST, "magnitude", value=float("nan")), r"magnitude: nan is out of range"),
        (changed(*FIRST, "magnitude", value="0.1 px"), r"magnitude: '0.1 px' is not a number"),
        (changed(*FIRST, "magnitude", value=None), r"magnitude: None is not a number"),
        (changed(*FIRST, "magnitude", value=[0.1, 0.1]), r"magnitude: translate_x takes 1 magnitudes, not"),
        (changed(*FIRST, "strength", value=1), r"edges\[0\]: the key 'strength' is unknown"),
        (changed("nodes", 0, "edges", 1, "mixture", value=[]), r"edges\[1\]\.mixture: .*at least one operation"),
        (
            changed("nodes", 0, "edges", 1, "mixture", 0, "weight", value=0.5),
            r"edges\[1\]\.mixture: the weights sum to 1.25, not to 1",
        ),
        (
            changed("nodes", 0, "edges", 1, "mixture", 0, "weight", value=-0.25),
            r"edges\[1\]\.mixture\[0\]\.weight: -0.25 is not a number above 0",
        ),
    ],
)
def test_bad_files_are_refused_with_file_key_and_reason(tmp_path, text, message):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(DasError, match=message) as caught:
        Policy.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(DasError, match=r"none\.yaml: cannot be read \(No such file"):
        Policy.load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DasError, match=r"binary\.yaml: is not UTF-8"):
        Policy.load(tmp_path / "binary.yaml")


def test_provenance_must_be_plain():
    with pytest.raises(DasError, match=r"provenance: .* cannot be written"):
        Policy.replicate(2, provenance={"path": object()}).dumps()
