"""One policy of a study, from whatever source it names, written to its place."""

from pathlib import Path

from das.config import Study
from das.data import splits
from das.data.sets import Dataset
from das.files import publish, publish_json
from das.seeding import derive
from das.video.family import Family
from das.video.policy import Policy


def make_policy(study: Study, dataset: str, backbone: str, policy: str, seed: int, images: Dataset) -> Path:
    """Make ``policies.<policy>`` of ``study`` and return the path of its file.

    A search leaves beside the policy its history (`.history.json`), its run record (`.run.json`) and the indices of the
    training set's two halves (`.halves.json`). The policy file is written last: where it exists, all is there.
    """
    source = study.policies[policy]
    path = Path(f"results/policies/{dataset}/{backbone}/{policy}/seed{seed}.yaml")
    provenance = {"study": study.study.name, "source": source.source, "identity": [dataset, backbone, policy, seed]}
    if source.source == "search":
        from das.search.bilevel import BilevelSearch

        search = BilevelSearch(study, dataset, backbone, policy, seed, images)
        made, history, run = search.run()
        parts = dict(zip(("weights", "alpha"), search.halves, strict=True))
        splits.write(path.with_suffix(".halves.json"), parts, digest=images.train.digest, identity=search.identity)
        publish_json(path.with_suffix(".history.json"), history)
        publish_json(path.with_suffix(".run.json"), run)
        made.save(path)
        search.resume.discard()
    elif source.source == "file":
        publish(path, Policy.load(source.path).dumps())
    else:
        cell = study.cells[source.cell]
        family = Family(**cell.model_dump(), seed=derive(dataset, backbone, policy, seed, "cell"))
        settings = cell.model_dump(include={"schedule", "padding", "frame_layout", "canvas"})
        match source.source:
            case "random":
                made = family.random(derive(dataset, backbone, policy, seed, "choice"), provenance)
            case "uniform":
                made = family.uniform(provenance)
            case "replicate":
                made = Policy.replicate(cell.frames, **settings, provenance=provenance)
            case "single":
                made = Policy.single(source.operation, source.magnitude, cell.frames, **settings, provenance=provenance)
        made.save(path)
    return path
