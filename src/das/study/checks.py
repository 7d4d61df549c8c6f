"""What each section of a study allows by itself but the whole does not: contradictions, section by section.

Every function yields problems as ``key: what is there; what would be right``.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from das.errors import DasError
from das.study import registry, tuning
from das.study.augmentations import check_dataset, check_method, check_together, read
from das.study.runs import SEEDS, frames
from das.study.schema import Method, Range, Study, Tuning
from das.study.sources import fetched


def problems(study: Study) -> Iterator[str]:
    """Every contradiction; checks that need names to be known come after those of names."""
    for stage in (_references, _grid, _components, _tasks):
        found = list(stage(study))
        yield from found
        if found and stage is not _grid:
            return
    impossible = list(_augmentations(study))
    yield from impossible or _tuning(study)
    yield from _planted(study)
    yield from _splits(study)
    yield from _searches(study)
    yield from _policies(study)
    yield from _methods(study)


def _references(study: Study) -> Iterator[str]:
    """Names that no section defines."""
    grid = study.study
    asked = [(f"study.{key}", key, getattr(grid, key)) for key in ("datasets", "backbones", "methods")]
    asked.append(("study.reference", "methods", [grid.reference]))
    asked += [(f"datasets.{name}.recipe", "recipes", [data.recipe]) for name, data in study.datasets.items()]
    for name, source in study.policies.items():
        asked += [(f"policies.{name}.{key}", section, [getattr(source, key)])
                  for key, section in (("cell", "cells"), ("search", "searches"))]  # fmt: skip
    for name, method in study.methods.items():
        asked += [(f"methods.{name}.{key}", section, [getattr(method, key)])
                  for key, section in (("policy", "policies"), ("weights_of", "methods"),
                                       ("equal_compute_to", "methods"), ("backbone", "backbones"))]  # fmt: skip
        if method.ensemble_of:
            asked.append((f"methods.{name}.ensemble_of.method", "methods", [method.ensemble_of.method]))
        if method.averaging:
            asked.append((f"methods.{name}.averaging.learned_on", "methods", [method.averaging.learned_on]))
    if study.policy_benchmark:
        asked.append(("policy_benchmark.cell", "cells", [study.policy_benchmark.cell]))
    for key, section, names in asked:
        defined = getattr(study, section)
        for name in names:
            if name is not None and name not in defined:
                yield f"{key}: is {name!r}; {section} defines {', '.join(sorted(defined)) or 'nothing'}"


def _grid(study: Study) -> Iterator[str]:
    for key in ("datasets", "backbones", "methods", "seeds"):
        names = getattr(study.study, key)
        if len(set(names)) < len(names):
            yield f"study.{key}: is {names}; each should be named once"
    ensembles = [name for name, method in study.methods.items() if method.ensemble_of]
    largest = max(study.study.seeds)
    if ensembles and largest >= SEEDS:
        why = f"as the members of methods.{ensembles[0]} have seeds that far apart"
        yield f"study.seeds: has {largest}; should be below {SEEDS}, {why}"
    if study.study.reference not in study.study.methods:
        yield f"study.reference: is {study.study.reference!r}; should be one of study.methods"


def _components(study: Study) -> Iterator[str]:
    """Names and options that no component answers to."""
    for name, data in study.datasets.items():
        key = f"datasets.{name}"
        found = list(_component(f"{key}.reader", "reader", data.reader, data.options, f"{key}.options"))
        yield from found
        if not found and data.folder is None:
            yield f"{key}.root: is missing; reader {data.reader!r} reads files of your own"
        if not found and fetched(data) and not _fetchable(str(data.folder)):
            plain = "letters, digits, . _ - and /, without .."
            yield f"{key}.root: is {data.folder!r}; data are fetched into it, so it should be made of {plain}"
    for name, net in study.backbones.items():
        key = f"backbones.{name}"
        yield from _component(f"{key}.network", "network", net.network, net.options, f"{key}.options")
        if net.head:
            head = net.head
            yield from _component(f"{key}.head.network", "head", head.network, head.options, f"{key}.head.options")
    for name, recipe in study.recipes.items():
        yield from _component(f"recipes.{name}.optimizer", "optimizer", recipe.optimizer)
        yield from _component(f"recipes.{name}.schedule", "lr_schedule", recipe.schedule)
    for name, cell in study.cells.items():
        key = f"cells.{name}"
        yield from _component(f"{key}.schedule", "schedule", cell.schedule)
        if isinstance(cell.space, str):
            yield from _component(f"{key}.space", "space", cell.space)
        else:
            for place, operation in enumerate(cell.space):
                yield from _component(f"{key}.space.{place}", "operation", operation)
            if len(set(cell.space)) < max(len(cell.space), 2):
                yield f"{key}.space: is {cell.space}; should list two or more operations, each once"
    for name, search in study.searches.items():
        yield from _component(f"searches.{name}.relaxation", "relaxation", search.relaxation)
        yield from _component(f"searches.{name}.selection", "selection", search.selection)
    for name, source in study.policies.items():
        key = f"policies.{name}"
        yield from _component(f"{key}.fusion", "fusion", source.fusion, source.fusion_options, f"{key}.fusion_options")
        if source.operation:
            yield from _component(f"{key}.operation", "operation", source.operation)
    for name, method in study.methods.items():
        key = f"methods.{name}"
        yield from _component(f"{key}.fusion", "fusion", method.fusion, method.fusion_options, f"{key}.fusion_options")
        if method.consensus:
            kinds = ("consensus", "dense_consensus")
            refused = [list(_component(f"{key}.consensus", kind, method.consensus)) for kind in kinds]
            if all(refused):
                allowed = dict.fromkeys(name for kind in kinds for name in registry.names(kind))
                yield f"{key}.consensus: is {method.consensus!r}; should be one of {', '.join(allowed)}"


def _fetchable(folder: str) -> bool:
    """Whether data can be fetched into a folder that rules, patterns and logs name."""
    return re.fullmatch(r"[\w./-]+", folder, re.ASCII) is not None and ".." not in Path(folder).parts


def _component(key: str, kind: str, name: str, options: dict | None = None, options_key: str = "") -> Iterator[str]:
    try:
        entry = registry.lookup(kind, name)
        if entry.own:
            entry.source_digest()
        if (package := entry.facts.get("requires")) and find_spec(package) is None:
            raise DasError(f"{name!r} needs the package {package}; install it with `uv sync --extra {package}`")
    except DasError as problem:
        yield f"{key}: {problem}"
        return
    try:
        entry.check(options or {}, options_key)
    except DasError as problem:
        yield str(problem)


def _tasks(study: Study) -> Iterator[str]:
    """What of the grid does not fit the task of its data sets."""
    tasks = {name: study.datasets[name].task for name in study.study.datasets}
    if len(set(tasks.values())) > 1:
        listed = ", ".join(f"{name} ({task})" for name, task in tasks.items())
        yield f"study.datasets: is {listed}; a study has one task, so put each into a study of its own"
        return
    task = registry.lookup("task", study.task)
    dense = task.facts["dense"]
    for name in study.study.backbones:
        if (study.backbones[name].head is not None) != dense:
            found = "is missing" if dense else "makes a segmentation network"
            yield f"backbones.{name}.head: {found}; the task of the study's data sets is {task.name}"
    kind = "dense_consensus" if dense else "consensus"
    for name in study.study.methods:
        consensus = study.methods[name].consensus
        if consensus and list(_component("", kind, consensus)):
            allowed = ", ".join(registry.names(kind))
            yield f"methods.{name}.consensus: is {consensus!r}; should be one of {allowed} for {task.name}"
    for name in study.study.datasets:
        data = study.datasets[name]
        for problem in check_together(data.augment, dense=dense, size=None):
            yield f"datasets.{name}.augment: {problem}"
        if dense:
            yield from _test_size(study, name)


def _test_size(study: Study, name: str) -> Iterator[str]:
    """Images are tested at the scale at which they are trained."""
    data = study.datasets[name]
    first = [read(entry)[0] for entry in data.augment[:1]]
    cuts = any(entry.facts.get("frames") for entry in first)
    size = study.recipes[data.recipe].segmentation.evaluation.size
    from_files = "size" in data.entry.options
    if from_files and cuts and size == "training":
        key = f"recipes.{data.recipe}.segmentation.evaluation.size"
        yield f"{key}: is 'training'; {first[0].name} cuts boxes out of images, so say 'native'"


def _augmentations(study: Study) -> Iterator[str]:
    """Augmentations that are unknown, in the wrong place, or cannot work on a data set of the grid."""
    for name, data in study.datasets.items():
        yield from (f"datasets.{name}.augment: {problem}" for problem in check_dataset(data.augment))
    for name, method in study.methods.items():
        yield from (f"methods.{name}.augment: {problem}" for problem in check_method(method.augment))
        for data in (study.datasets[used] for used in (study.study.datasets if name in study.study.methods else ())):
            dense = registry.lookup("task", data.task).facts["dense"]
            for problem in check_together(method.augment, dense=dense, size=_training_size(data)):
                yield f"methods.{name}.augment: {problem} (data set {data.title!r})"


def _training_size(data) -> int | list[int] | None:
    """The side, or height and width, of the data set's training images, None where only the files tell."""
    for entry in data.augment:
        if isinstance(entry, dict):
            for name, options in entry.items():
                if read({name: options})[0].facts.get("frames"):
                    return options["size"]
    return data.size


def _tuning(study: Study) -> Iterator[str]:
    """What a tuning tries and what one chose: paths that lead nowhere, values that are not allowed, too few trials."""
    yield from _tuned(study)
    if study.tuning:
        impossible = list(_recipe_space(study, study.tuning))
        yield from impossible or _halving(study, study.tuning)
        if not study.tuning.recipe and not study.tuning.grids:
            yield "tuning: tries nothing; should have recipe or grids"
    for method, grid in (study.tuning.grids if study.tuning else {}).items():
        key = f"tuning.grids.{method}"
        if method not in study.methods:
            yield f"{key}: is no method; methods defines {', '.join(sorted(study.methods))}"
            continue
        recipe = study.recipes[study.datasets[study.study.datasets[0]].recipe]
        for path, values in grid.items():
            if not values:
                yield f"{key}.{path}: is empty; should list values"
            for value in values:
                try:
                    tuning.apply({path: value}, recipe, study.methods[method])
                except DasError as problem:
                    yield f"{key}.{problem}"


def _tuned(study: Study) -> Iterator[str]:
    for name, method in study.methods.items():
        for dataset, backbones in method.tuned.items():
            for backbone, settings in backbones.items():
                key = f"methods.{name}.tuned.{dataset}.{backbone}"
                if dataset not in study.datasets or backbone not in study.backbones:
                    yield f"{key}: is of a data set or backbone that the study does not define"
                    continue
                try:
                    tuning.apply(settings, study.recipes[study.datasets[dataset].recipe], method)
                except DasError as problem:
                    yield f"{key}.{problem}"


def _recipe_space(study: Study, asked: Tuning) -> Iterator[str]:
    recipes = {study.datasets[name].recipe for name in study.study.datasets}
    for key, space in asked.recipe.items():
        values = [space.low, space.high] if isinstance(space, Range) else space
        if isinstance(space, Range) and space.low >= space.high:
            yield f"tuning.recipe.{key}: is {space.low:g} to {space.high:g}; low should be below high"
        elif not values:
            yield f"tuning.recipe.{key}: is empty; should list values"
        for value in values:
            try:
                tuning.changed(study.recipes[min(recipes)], {key: value})
            except DasError as problem:
                yield f"tuning.{problem}"


def _halving(study: Study, asked: Tuning) -> Iterator[str]:
    if not asked.halving:
        return
    least = asked.halving.factor ** (asked.halving.rungs - 1)
    if asked.trials < least:
        yield (
            f"tuning.trials: is {asked.trials}; should be at least {least}, of which halving by {asked.halving.factor} "
            f"leaves one in the last of {asked.halving.rungs} rungs"
        )
        return
    for name in dict.fromkeys(study.datasets[name].recipe for name in study.study.datasets):
        recipe = study.recipes[name]
        lengths = asked.recipe.get("epochs", [])
        fewest = min([recipe.epochs, *(lengths if isinstance(lengths, list) else [])])
        first, test = tuning.first_stop(asked, fewest), asked.test_every or recipe.test_every
        if first < test:
            yield (
                f"tuning.halving: the first rung ends after {first} of {fewest} epochs, before a test (every {test}); "
                "use fewer rungs, more epochs, or a smaller tuning.test_every"
            )


def _splits(study: Study) -> Iterator[str]:
    for name, data in study.datasets.items():
        if data.splits is None:
            continue
        key = f"datasets.{name}.splits"
        if not {"split", "train_per_class"} <= data.entry.options.keys():
            yield f"{key}: is {data.splits}; reader {data.reader!r} has no splits"
        elif data.options.get("train_per_class") is None:
            yield f"{key}: is {data.splits}; options.train_per_class should say how many images of a class a split has"
        elif "split" in data.options:
            yield f"{key}: is {data.splits}, by seed; options.split should not name one"
        if study.policy_benchmark and name in study.study.datasets:
            yield f"{key}: is {data.splits}; the policy benchmark reads the same images with every seed"


def _searches(study: Study) -> Iterator[str]:
    for name, search in study.searches.items():
        key, facts = f"searches.{name}", registry.lookup("selection", search.selection).facts
        relaxation = registry.lookup("relaxation", search.relaxation).facts
        given = {k for k in ("tune_epochs", "entrants") if getattr(search, k) is not None}
        needs = set(facts.get("needs", given))
        for missing in sorted(needs - given):
            yield f"{key}.{missing}: is missing; selection {search.selection!r} needs it"
        for unused in sorted(given - needs):
            yield f"{key}.{unused}: is {getattr(search, unused)}; selection {search.selection!r} does not use it"
        learns = relaxation.get("learns", True)
        if learns != facts.get("reads_alpha", True):
            yield f"{key}.selection: is {search.selection!r}; 'tournament' and relaxation 'path' go together"
        if not learns and (search.order == "second" or search.warmup_epochs):
            yield f"{key}.relaxation: is 'path', which learns no alpha: order and warmup_epochs have no place in it"
        if search.relaxation != "mixture" and facts.get("mixture"):
            yield f"{key}.selection: is 'perturbation'; it removes operations from a mixture, not {search.relaxation!r}"
        if search.smooth and search.relaxation != "mixture":
            yield f"{key}.smooth: moves the weights of a mixture; relaxation {search.relaxation!r} has none"
        if learns and search.warmup_epochs >= search.epochs:
            yield f"{key}.warmup_epochs: is {search.warmup_epochs} of {search.epochs} epochs; alpha would never move"
    if study.policy_benchmark and study.cells[study.policy_benchmark.cell].magnitudes != "grid":
        yield "policy_benchmark.cell: should have magnitudes 'grid', alike on every edge and for every seed"


NEEDS = {
    "search": {"cell", "search"},
    "random": {"cell"},
    "replicate": {"cell"},
    "uniform": {"cell"},
    "single": {"cell", "operation", "magnitude"},
    "file": {"path"},
}


def _policies(study: Study) -> Iterator[str]:
    for name, source in study.policies.items():
        needs = NEEDS[source.source]
        given = {key for key in set().union(*NEEDS.values()) if getattr(source, key) is not None}
        if source.operation == "identity":
            needs = needs - {"magnitude"}
        for key in sorted(needs - given):
            yield f"policies.{name}.{key}: is missing; a policy with source {source.source!r} needs it"
        for key in sorted(given - needs):
            yield f"policies.{name}.{key}: is {getattr(source, key)!r}; source {source.source!r} does not use it"
        if source.cell and source.search and not needs - given:
            learnable = study.cells[source.cell].magnitudes == "learnable"
            relaxation = registry.lookup("relaxation", study.searches[source.search].relaxation)
            if learnable and not relaxation.facts.get("learns", True):
                yield f"policies.{name}.cell: has magnitudes 'learnable'; relaxation {relaxation.name!r} learns none"


def _methods(study: Study) -> Iterator[str]:
    for name, method in study.methods.items():
        key, own = f"methods.{name}", frames(study, method.policy)
        if method.policy is None and method.fusion != "none":
            yield f"{key}.fusion: is {method.fusion!r}; without a policy there is one frame, so it should be 'none'"
        if registry.lookup("fusion", method.fusion).facts.get("tiled"):
            if method.consensus:
                yield f"{key}.consensus: is {method.consensus!r}; should be null, as tiled frames give one prediction"
            if registry.lookup("task", study.task).facts["dense"]:
                yield f"{key}.fusion: is {method.fusion!r}, which makes one image of all frames; not for label maps"
        own_copies = [entry.name for entry, _ in map(read, method.augment) if entry.facts.get("one_frame")]
        if own_copies and method.policy:
            yield f"{key}.policy: is {method.policy!r}; {own_copies[0]} makes its own copies, so it should be null"
        yield from _tested(study, key, method)
        if method.equal_compute_to and method.epochs_share != 1:
            yield f"{key}.epochs_share: is {method.epochs_share:g}; equal_compute_to already says how long it trains"
        if method.equal_compute_to:
            other = study.methods[method.equal_compute_to]
            if own is None or frames(study, other.policy) is None:
                yield f"{key}.equal_compute_to: needs policies whose number of frames the study states (not files)"


TRAINING_ONLY = ("augment", "equal_compute_to", "tuned", "copies", "epochs_share", "held_out")


def _tested(study: Study, key: str, method: Method) -> Iterator[str]:
    """What does not fit in a method that tests other methods' weights, or learns how to average."""
    default = Method(title="")
    if not method.trains:
        given = [name for name in TRAINING_ONLY if getattr(method, name) != getattr(default, name)]
        if given:
            how = "weights_of" if method.weights_of else "ensemble_of"
            yield f"{key}: trains nothing ({how}), so {' and '.join(given)} have no place in it"
    if method.ensemble_of:
        yield from _ensemble(study, key, method, method.ensemble_of.method)
    elif method.weights_of:
        yield from _same_network(study, f"{key}.weights_of", method.weights_of, method)
    if method.averaging and not method.weights_of:
        yield f"{key}.averaging: belongs to a method that tests another one's weights; say which in weights_of"
    elif method.averaging:
        learned_on = method.averaging.learned_on
        yield from _same_network(study, f"{key}.averaging.learned_on", learned_on, method)
        if study.methods[learned_on].trains and study.methods[learned_on].held_out is None:
            yield f"{key}.averaging.learned_on: is {learned_on!r}, which trains on all images; give it held_out"
        if method.policy is None:
            yield f"{key}.policy: is missing; averaging needs frames to average"
        if method.consensus:
            yield f"{key}.consensus: is {method.consensus!r}; averaging takes its place"
        if registry.lookup("task", study.task).facts["dense"]:
            yield f"{key}.averaging: learns one weight for each frame and class of an image, not of pixels"


def _same_network(study: Study, key: str, name: str, method: Method) -> Iterator[str]:
    """What keeps ``method`` from reading the weights of the method called ``name``."""
    trained = study.methods[name]
    if not trained.trains:
        yield f"{key}: is {name!r}, which has no weights of its own"
    for what in ("fusion", "fusion_options", "backbone"):
        if getattr(trained, what) != getattr(method, what):
            place = key.split(".averaging")[0].removesuffix(".weights_of")
            yield f"{place}.{what}: is {getattr(method, what)!r}; should be {getattr(trained, what)!r} as in {name!r}"


def _ensemble(study: Study, key: str, method: Method, member: str) -> Iterator[str]:
    default = Method(title="")
    given = [
        k
        for k in ("policy", "fusion", "consensus", "backbone", "weights_of")
        if getattr(method, k) != getattr(default, k)
    ]
    if given:
        yield f"{key}: is an ensemble, whose members say {' and '.join(given)} themselves"
    if not study.methods[member].trains:
        yield f"{key}.ensemble_of.method: is {member!r}, which has no weights of its own"


def _planted(study: Study) -> Iterator[str]:
    """Nuisances that leave their canvas, or that the data set has no place for."""
    for name, data in study.datasets.items():
        if data.planted is None:
            continue
        key = f"datasets.{name}.planted"
        if registry.lookup("task", data.task).facts["dense"]:
            yield f"{key}: moves images, not label maps; should be of a classification data set"
        elif data.entry.facts.get("streams") or data.options.get("stream"):
            yield f"{key}: needs images in memory; reader {data.reader!r} reads them from files when they are asked for"
        yield from (f"{key}.{field}: {problem}" for field, problem in data.planted.problems(_longest(data.read_size)))


def _longest(size: int | list[int] | None) -> int | None:
    return max(size) if isinstance(size, list) else size
