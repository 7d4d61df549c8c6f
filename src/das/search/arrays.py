"""A search from Python: on images and labels that lie in memory, by the engine of the studies."""

from collections.abc import Sequence
from typing import Any

from das.engine.arrays import (
    DEFAULTS,
    IMAGES,
    METHOD,
    NETWORK,
    POLICY,
    Array,
    Labels,
    Settings,
    dataset,
    one_run,
    undisturbed,
)
from das.engine.resume import NotKept
from das.search.bilevel import BilevelSearch
from das.study.new import batch_size, search_epochs
from das.study.runs import SearchRun, of_policy
from das.video.policy import Policy

#: The search that found the best policies when all were measured (docs/policy_benchmark.md): `cells.one_edge` and
#: `searches.fast` of params.yaml, but for epochs and batches, which follow from the number of images.
CELL = {"space": "affine5", "kind": "single", "frames": 4, "schedule": "signed", "magnitudes": "grid"}
SEARCH = {
    "alpha": {"lr": 0.03, "betas": [0.5, 0.999], "weight_decay": 1e-3},
    "weights": {"lr": 0.05, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip_norm": 5.0},
    "order": "first",
    "selection": "argmax",
}


def search(
    images: Array,
    labels: Labels,
    *,
    network: str = "resnet8",
    network_options: Settings | None = None,
    fusion: str = "tsm",
    cell: Settings | None = None,
    settings: Settings | None = None,
    augment: Sequence[str | dict[str, dict[str, Any]]] = (),
    classes: Sequence[str] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Policy:
    """Find the policy whose videos help ``network`` on these images, by bilevel search on two halves of them.

    Args:
        images, labels, classes, augment, network, network_options, device: as `das.fit` takes them.
        fusion: of the network in the search.
        cell: the search space, as `cells` of a study say it, laid over `CELL`.
        settings: how it is searched, as `searches` of a study say it, laid over `SEARCH`; ``batch_size`` and
            ``epochs`` by default as `das new` chooses them for as many images.
        seed: all that is random derives from it: equal calls on one machine give equal policies.

    Raises DasError for arguments that do not fit, one line each, and for a loss that is no longer finite.
    """
    images_of = dataset(images, labels, classes)
    train = len(images_of.train)
    asked = {"batch_size": batch_size(train), **(settings or {})}
    study = one_run(
        images_of,
        where="das.search",
        network={"network": network, "options": dict(network_options or {})},
        recipe=DEFAULTS,
        augment=augment,
        seed=seed,
        device=device,
        methods={METHOD: {"title": METHOD}},
        policies={POLICY: {"source": "search", "cell": "cell", "search": "search", "fusion": fusion}},
        cells={"cell": {**CELL, **(cell or {})}},
        searches={"search": {**SEARCH, "epochs": search_epochs(train, asked["batch_size"]), **asked}},
    )
    run = of_policy(study, IMAGES, NETWORK, POLICY, seed)
    assert isinstance(run, SearchRun)
    with undisturbed():
        searching = BilevelSearch(run, images_of, depends_on=run.digest)
        searching.resume = NotKept()
        return searching.find()[0]
