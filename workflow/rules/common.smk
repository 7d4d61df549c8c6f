"""The study, read and validated once, and what the rules ask of it. Paths and digests come from the package."""

import os
import re
import sys

from das.errors import DasError
from das.study import (
    load_study,
    of_method,
    of_policy,
    of_study,
    of_tuning,
    recorded,
    registry,
    results,
)
from das.study.runs import searched_policies, searches_of, tunings_of
from das.study.sources import fetched

STUDY_FILES = ["params.yaml", *workflow.config_settings.configfiles]
if workflow.config_settings.config:
    raise WorkflowError(
        "--config is not recorded with the results; put the change in a file and use --configfile"
    )
try:
    STUDY = load_study(STUDY_FILES)
    REFUSED = recorded.place(STUDY) if workflow.is_main_process else []
    UNFIT = results.audit(STUDY) if workflow.is_main_process else {}
    AGAIN = results.newer_than(UNFIT)
except DasError as error:
    raise WorkflowError(str(error))

# Recorded results are put in empty places first; which of them are not the study's is said.
print(*REFUSED, sep="\n", file=sys.stderr, end="\n" if REFUSED else "")

# What stands in a place and cannot stand for it (other settings, other images, edited, damaged) is named and made again.
for path, why in UNFIT.items():
    print(f"{path}: {why}; it is made again where it is needed", file=sys.stderr)

# Read by `das`: the study is that of the working folder.
os.environ.update(DAS_STUDY=os.pathsep.join(map(str, STUDY_FILES)), DAS_PROJECT=".")
NAME = STUDY.name
GRID = STUDY.study
TASK = registry.lookup("task", STUDY.task)
GPUS = 1 if STUDY.compute.device == "cuda" else 0
MEMORY_MB = (
    2000  # a CPU-sized job; a profile's set-resources raises it for larger studies
)
POLICIES = {name: source.source == "search" for name, source in STUDY.policies.items()}
METHODS = {name: not method.trains for name, method in STUDY.methods.items()}
FETCHED = {name: data.folder for name, data in STUDY.datasets.items() if fetched(data)}
DIGEST = results.digest(STUDY.model_dump())
RUNS = of_study(STUDY)


def one_of(names):
    """A wildcard constraint: exactly these names (one that matches nothing where there are none)."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    backbone=one_of(STUDY.backbones),
    seed=r"\d+",
    split=r"|\.split\d+",


def once_made(outputs, inputs):
    """The inputs of a search, training or test, `ancient` once its outputs are there: whether they still stand is asked
    of their content, above, and not of the age of files, which copying and restoring change. What cannot stand has one
    more input, a newer one. Where an output is missing or cannot stand inputs are plain, because Snakemake leaves out a
    job whose inputs are all ancient, there, and being made again, whatever else it says of the job."""

    def found(wildcards):
        paths = [output.format(**dict(wildcards.items())) for output in outputs]
        stand = all(os.path.exists(path) and path not in AGAIN for path in paths)
        return [ancient(path) if stand else path for path in inputs(wildcards)]

    return found


def method_run(wildcards):
    where = (wildcards.dataset, wildcards.backbone)
    return of_method(STUDY, *where, wildcards.method, wildcards.seed)


def policy_run(wildcards):
    where = (wildcards.dataset, wildcards.backbone)
    return of_policy(STUDY, *where, wildcards.policy, wildcards.seed)


def data_mark(wildcards):
    """What says that a data set which is fetched is there."""
    folder = FETCHED.get(wildcards.dataset)
    return [f"{folder}/prepared.json"] if folder else []


def card(wildcards):
    """Of the data set as a run reads it, which for a tuning the study names."""
    seed = wildcards.get("seed", STUDY.tuning.seed if STUDY.tuning else 0)
    return str(results.card_path(STUDY, wildcards.dataset, int(seed)))


def card_again(wildcards):
    path = f"results/data/{NAME}/{wildcards.dataset}{wildcards.split}.json"
    return AGAIN.get(path, [])


def policy_again(wildcards):
    return AGAIN.get(str(policy_run(wildcards).main), [])


def number_again(wildcards):
    return AGAIN.get(str(method_run(wildcards).main), [])


def run_of(wildcards):
    if "method" not in wildcards.keys():
        return policy_run(wildcards)
    if "seed" in wildcards.keys():
        return method_run(wildcards)
    return of_tuning(STUDY, wildcards.dataset, wildcards.backbone, wildcards.method)


def data_files(wildcards):
    """What a run reads of its data set; nothing where the run was put back from recorded results: images that are
    fetched or measured for another run must not set it off."""
    run = run_of(wildcards)
    if str(run.main) not in AGAIN and recorded.put_back(run):
        return []
    return [*data_mark(wildcards), card(wildcards)]


def read_files(wildcards):
    """The files of other runs that a method reads: its policy, another method's weights."""
    return [str(path) for path in method_run(wildcards).read_files.values()]


def data_of_the_grid():
    return [
        f"{FETCHED[name]}/prepared.json" for name in GRID.datasets if name in FETCHED
    ]


def searched():
    return [str(run.main) for run in searches_of(STUDY)]


def film_strips():
    return [
        f"film_strip_{run.dataset}_{run.backbone}_{run.policy}_seed{run.seed}"
        for run in searches_of(STUDY)
    ]


def selections():
    """One figure for the searches that read alpha, one for tournaments."""
    rules_used = {
        STUDY.searches[STUDY.policies[p].search].selection
        for p in searched_policies(STUDY)
    }
    by_alpha = [
        registry.lookup("selection", rule).facts.get("reads_alpha", True)
        for rule in rules_used
    ]
    return [
        *(["alpha"] if any(by_alpha) else []),
        *(["tournaments"] if not all(by_alpha) else []),
    ]


PLANTED = any(STUDY.datasets[name].planted for name in GRID.datasets)
TABLES = [
    f"results/tables/{NAME}/{table}"
    for table in [*TASK.facts["tables"], *(["planted"] if PLANTED else [])]
]
FIGURES = f"results/figures/{NAME}"
