"""One policy of a study, from whatever source it names, published at its place."""

import json

from das.data import splits
from das.data.sets import Dataset
from das.study import results
from das.study.runs import PolicyRun, SearchRun
from das.video.family import Family
from das.video.policy import Policy


def search_policy(run: SearchRun, images: Dataset) -> None:
    """Search the policy that ``run`` asks for and publish it with its history and the training set's two halves.

    An interrupted search continues after its last whole epoch and ends in the same bytes.
    """
    from das.search.bilevel import BilevelSearch

    with results.alone(run):
        made_from = results.inputs(run)
        search = BilevelSearch(run, images, results.key(run, made_from))
        policy, history, record = search.find()
        parts = dict(zip(("weights", "alpha"), search.halves, strict=True))
        identity = tuple(run.identity.values())
        contents = {
            "halves": splits.text(parts, digest=images.train.digest, identity=identity),
            "history": json.dumps(history, indent=1, allow_nan=False) + "\n",
            "policy": policy.dumps(),
        }
        results.publish(run, contents, made_from, record)


def control_policy(run: PolicyRun) -> None:
    """Publish the policy that ``run`` asks for without a search: drawn by chance, fixed, or from a file."""
    with results.alone(run):
        made_from = results.inputs(run)
        results.publish(run, {"policy": _control(run).dumps()}, made_from, {})


def _control(run: PolicyRun) -> Policy:
    source, cell = run.source, run.cell
    if cell is None:
        return Policy.load(str(source.path))
    provenance = {"source": source.source, "identity": list(run.identity.values())}
    family = Family(**cell.model_dump(), seed=run.seed_for("cell"))
    settings = cell.model_dump(include={"schedule", "padding", "frame_layout", "canvas"}) | {"provenance": provenance}
    match source.source:
        case "random":
            return family.random(run.seed_for("choice"), provenance)
        case "uniform":
            return family.uniform(provenance)
        case "replicate":
            return Policy.replicate(cell.frames, **settings)
        case _:
            return Policy.single(str(source.operation), source.magnitude, cell.frames, **settings)
