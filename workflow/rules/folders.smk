"""Folders as targets: `snakemake results/numbers/STUDY/DATASET/BACKBONE` makes everything of the study below it.

These are what DVC keeps versions of (dvc.yaml).
"""


def folder_contents():
    """{folder: files of the study that belong into it}, for each data set and backbone of the grid."""
    folders = {}
    for run in RUNS:
        for kind, files in {
            "numbers": {"number": run.number},
            "policies": run.made_by.files if run.made_by else {},
            "checkpoints": {"checkpoint": run.trained.checkpoint},
        }.items():
            folder = f"results/{kind}/{NAME}/{run.dataset}/{run.backbone}"
            folders.setdefault(folder, set()).update(map(str, files.values()))
    return {folder: sorted(files) for folder, files in folders.items() if files}


for folder, files in folder_contents().items():

    rule:
        name:
            folder
        input:
            files,
