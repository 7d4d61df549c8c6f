"""The study, read and validated once, and what the rules ask of it. Paths and digests come from the package."""

import os
import re
import sys

from das.errors import DasError
from das.report import captions
from das.study import (
    load_study,
    of_method,
    of_policy,
    of_study,
    of_tuning,
    products,
    recorded,
    registry,
    results,
)
from das.study.sources import fetched

STUDY_FILES = ["params.yaml", *workflow.config_settings.configfiles]
if workflow.config_settings.config:
    raise WorkflowError(
        "--config is not recorded with the results; put the change in a file and use --configfile"
    )
try:
    STUDY = load_study(STUDY_FILES)
except DasError as error:
    raise WorkflowError(str(error))


def renewed(audit):
    """{path: a newer file}, as an input of what is made again: all that stands in a place and cannot stand for it (other
    settings, other images, edited, damaged), each named with the reason."""
    if not workflow.is_main_process:
        return {}
    try:
        unfit = audit()
        newer = results.newer_than(unfit)
    except DasError as error:
        raise WorkflowError(str(error))
    for path, why in unfit.items():
        print(f"{path}: {why}; it is made again where it is needed", file=sys.stderr)
    return newer


# Recorded results are put in empty places first; which of them are not the study's is said.
for line in recorded.place(STUDY) if workflow.is_main_process else []:
    print(line, file=sys.stderr)
AGAIN = renewed(lambda: results.audit(STUDY) | products.stale(STUDY))

# Read by `das`: the study is that of the working folder.
os.environ.update(DAS_STUDY=os.pathsep.join(map(str, STUDY_FILES)), DAS_PROJECT=".")
if workflow.is_main_process:
    # Short runs share a start: das.cli.warm.
    os.environ.update(DAS_WARM=str(os.getpid()))
else:
    os.environ.pop("DAS_WARM", None)  # a cluster's job starts by itself
NAME = STUDY.name
GRID = STUDY.study
TASK = registry.lookup("task", STUDY.task)
GPUS = 1 if STUDY.compute.device == "cuda" else 0
FETCHED = {name: data.folder for name, data in STUDY.datasets.items() if fetched(data)}
DIGEST = results.digest(STUDY.model_dump())
RUNS = of_study(STUDY)


def memory_mb(wildcards, attempt):
    """Enough for a CPU-sized job, and more at every retry; a profile's set-resources raises it for larger studies."""
    return 2000 * attempt


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
    job whose inputs are all ancient, there, and being made again, whatever else it says of the job.
    """

    def found(wildcards):
        paths = [output.format(**dict(wildcards.items())) for output in outputs]
        stand = all(os.path.exists(path) and path not in AGAIN for path in paths)
        return [ancient(path) if stand else path for path in inputs(wildcards)]

    return found


def shown(kind, path, category, **labels):
    """``path`` as an output that Snakemake's own report (`--report`) shows: a table, a figure or the page."""
    name = os.path.basename(path).partition(".")[0]
    return report(
        path,
        caption=str(captions.path(kind, name)),
        category=category,
        labels=labels or {kind: name.replace("_", " ")},
    )


def made_of(kind, paths):
    """The inputs of the study's tables or summary, `ancient` while these stand, which their content says
    (products.stale): restored files have any age."""
    path = products.record_path(STUDY, kind)
    stand = path.exists() and str(path) not in AGAIN
    return [ancient(path) for path in paths] if stand else paths


def data_mark(wildcards):
    """What says that a data set which is fetched is there."""
    folder = FETCHED.get(wildcards.dataset)
    return [f"{folder}/prepared.json"] if folder else []


def run_of(wildcards):
    """The search, training, test or tuning that a job's wildcards name."""
    where = (STUDY, wildcards.dataset, wildcards.backbone)
    if "policy" in wildcards.keys():
        return of_policy(*where, wildcards.policy, wildcards.seed)
    if "seed" in wildcards.keys():
        return of_method(*where, wildcards.method, wildcards.seed)
    return of_tuning(*where, wildcards.method)


def again(output):
    """The newer file that has ``output`` made again, where it cannot stand."""
    return lambda wildcards: AGAIN.get(output.format(**dict(wildcards.items())), [])


def data_files(wildcards):
    """The data set's mark, and its card as the run reads it, whose seed the study names for a tuning."""
    seed = wildcards.get("seed", STUDY.tuning.seed if STUDY.tuning else 0)
    card = str(results.card_path(STUDY, wildcards.dataset, int(seed)))
    return [*data_mark(wildcards), card]


def run_data(wildcards):
    """What a run reads of its data set; nothing where the run was put back from recorded results: images that are
    fetched or measured for another run must not set it off."""
    run = run_of(wildcards)
    put_back = str(run.main) not in AGAIN and recorded.put_back(run)
    return [] if put_back else data_files(wildcards)


def read_files(wildcards):
    """The files of other runs that a run reads: its policy, other methods' weights."""
    return [str(path) for path in run_of(wildcards).read_files.values()]


def shown_networks(wildcards):
    """The checkpoints of which receptive fields are drawn; not of what was put back from recorded results, which has
    none and is not trained for a picture."""
    runs = products.shown_networks(STUDY)
    return [
        str(run.checkpoint)
        for run in runs
        if str(run.main) in AGAIN or not recorded.put_back(run)
    ]
