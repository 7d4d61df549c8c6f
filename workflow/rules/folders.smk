"""Folders as targets: `snakemake results/numbers/DATASET/BACKBONE` makes everything of the study below it.

These are what DVC keeps versions of (dvc.yaml).
"""


def folder_contents():
    """{folder: files of the study that belong into it}, for each data set and backbone of the grid."""
    folders = {}
    for number in [number for study in STUDIES for number in study.numbers()]:
        below = f"{number.dataset}/{number.backbone}"
        method = number.study.methods[number.method]
        folders.setdefault(f"results/numbers/{below}", []).append(number.number_path())
        if number.policy_path():
            folders.setdefault(f"results/policies/{below}", []).append(
                number.policy_path()
            )
        if not method.weights_of:
            folders.setdefault(f"results/checkpoints/{below}", []).append(
                number.checkpoint_path()
            )
    return {folder: sorted(set(files)) for folder, files in folders.items()}


for folder, files in folder_contents().items():

    rule:
        name:
            folder
        input:
            files,
