"""The study, read and validated once, and what the rules ask of it."""

import os

from das.config import digest, load_study, policy_settings
from das.errors import DasError

STUDY_FILES = ["params.yaml", *workflow.config_settings.configfiles]

if workflow.config_settings.config:
    raise WorkflowError(
        "--config is not recorded with the results; put the change in a file and use --configfile"
    )
SEGMENTATION_FILES = ["params.yaml", "config/segmentation.yaml"]
try:
    STUDY = load_study(STUDY_FILES)
    SEGMENTATION = load_study(SEGMENTATION_FILES)  # made beside the study, by name
except DasError as error:
    raise WorkflowError(str(error))

os.environ.update(DAS_STUDY=os.pathsep.join(map(str, STUDY_FILES)))  # read by `das`
GPUS = 1 if STUDY.compute.device == "cuda" else 0
MEMORY_MB = (
    2000  # a CPU-sized job; a profile's set-resources raises it for larger studies
)
STUDIES = {study.study.name: study for study in (SEGMENTATION, STUDY)}.values()
METHODS = SEGMENTATION.methods | STUDY.methods
POLICIES = SEGMENTATION.policies | STUDY.policies
TRAINED = [name for name, method in METHODS.items() if not method.weights_of]
TESTED = [name for name, method in METHODS.items() if method.weights_of]
FETCHED = {
    dataset.folder.removeprefix("data/raw/"): name
    for name, dataset in STUDY.datasets.items()
    if dataset.folder.startswith("data/raw/")
}
SEARCHED = [name for name, policy in POLICIES.items() if policy.source == "search"]
CONTROLS = [name for name, policy in POLICIES.items() if policy.source != "search"]


def one_of(names):
    """A wildcard constraint: exactly these names (one that matches nothing where there are none)."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    dataset=one_of(SEGMENTATION.datasets | STUDY.datasets),
    backbone=one_of(SEGMENTATION.backbones | STUDY.backbones),
    seed=r"\d+",


def study_of(wildcards):
    """The study that a data set's results belong to: the present one, if it knows the data set."""
    return STUDY if wildcards.dataset in STUDY.datasets else SEGMENTATION


def option_of(study):
    """How `das` is told a study that is not the present one."""
    files = () if study is STUDY else SEGMENTATION_FILES
    return " ".join(f"--study {file}" for file in files)


def study_option(wildcards, output):
    """`option_of` a data set's study. It says where settings stand and not what they are, so a change of it is no
    reason to run again: Snakemake leaves functions of `output` out of what it compares.
    """
    return option_of(study_of(wildcards))


def number_of(wildcards, method=None):
    return study_of(wildcards).number(
        wildcards.dataset,
        wildcards.backbone,
        method or wildcards.method,
        wildcards.seed,
    )


def data_mark(wildcards):
    """What says that a data set is there: the mark of a fetched one, the checksums of an embedded one."""
    folder = study_of(wildcards).datasets[wildcards.dataset].folder
    if folder.startswith("data/raw/"):
        return [ancient(f"{folder}/prepared.json")]
    return [f"{folder}/SHA256SUMS"] if folder.startswith("data/embedded/") else []


def data_files(wildcards):
    """The mark of a data set and its card, which says itself of which images it is: its age means nothing."""
    return [*data_mark(wildcards), ancient(f"results/data/{wildcards.dataset}.json")]


def policy_file(wildcards):
    return number_of(wildcards).policy_path() or []


def policy_source_files(wildcards):
    path = study_of(wildcards).policies[wildcards.policy].path
    return [path] if path else []


def borrowed_checkpoint(wildcards):
    return number_of(wildcards).trained_by.checkpoint_path()


# Digests of all that a result depends on: a change of settings reruns what it touches, and nothing else.


def data_digest(wildcards):
    dataset = study_of(wildcards).datasets[wildcards.dataset]
    return digest(dataset.model_dump(include={"reader", "options"}))


def policy_digest(wildcards):
    study = study_of(wildcards)
    dataset = study.datasets[wildcards.dataset]
    backbone = study.backbones[wildcards.backbone]
    return digest(
        {
            "policy": policy_settings(study, wildcards.policy),
            "dataset": dataset.model_dump(
                exclude={"title", "recipe", "sources", "root"}
            ),
            "backbone": backbone.model_dump(exclude={"title"}),
            "compute": study.compute.model_dump(),
        }
    )


def bank_digest(wildcards):
    """What every retrained policy of the bank depends on besides itself."""
    dataset = STUDY.datasets[wildcards.dataset]
    return digest(
        {
            "dataset": dataset.model_dump(
                exclude={"title", "recipe", "sources", "root"}
            ),
            "backbone": STUDY.backbones[wildcards.backbone].model_dump(
                exclude={"title"}
            ),
            "recipe": STUDY.recipes[dataset.recipe].model_dump(),
            "bank": STUDY.policy_benchmark.model_dump(),
            "compute": STUDY.compute.model_dump(),
        }
    )


def measured_search_digest(wildcards):
    policy = STUDY.methods[wildcards.method].policy
    return digest(
        {
            "policy": policy_settings(STUDY, policy),
            "bank": bank_digest(wildcards),
        }
    )


def number_digest(wildcards):
    return digest(number_of(wildcards).settings())


def study_digest(study=STUDY):
    return digest(study.model_dump())


def number_files(study=STUDY):
    return [number.number_path() for number in study.numbers()]


def published_files(study):
    """What the tables quote beside a study's own numbers."""
    if study.task == "segmentation":
        return []
    return ["data/published/published_numbers.csv", "data/published/das_paper.csv"]


def searched_policy_files(study=STUDY):
    return expand(
        "results/policies/{dataset}/{backbone}/{policy}/seed{seed}.yaml",
        dataset=study.study.datasets,
        backbone=study.study.backbones,
        policy=study.searched_policies(),
        seed=study.study.seeds,
    )


def tables_of(study):
    """Files of a study's tables, without their suffixes."""
    if study.task == "segmentation":
        names = ["segmentation", "search"]
    else:
        names = ["accuracy", "published", "search", "search_cost"]
    return expand(f"results/tables/{study.study.name}/{{table}}", table=names)


TABLES = expand("{table}.csv", table=tables_of(STUDY))
FIGURE_FOLDER = f"results/figures/{STUDY.study.name}"
FILM_STRIPS = expand(
    "film_strip_{dataset}_{backbone}_{policy}_seed{seed}",
    dataset=STUDY.study.datasets,
    backbone=STUDY.study.backbones,
    policy=STUDY.searched_policies(),
    seed=STUDY.study.seeds,
)
SELECTIONS = {
    STUDY.searches[STUDY.policies[policy].search].selection
    for policy in STUDY.searched_policies()
}
FIGURES = [
    "accuracy",
    "compute",
    *(["alpha"] if SELECTIONS - {"tournament"} else []),
    *(["tournaments"] if "tournament" in SELECTIONS else []),
    *FILM_STRIPS,
]
RECEPTIVE_FIELDS = expand(
    "receptive_field_{dataset}_{backbone}",
    dataset=STUDY.study.datasets,
    backbone=STUDY.study.backbones,
)
