"""Data sets: fetched from their publishers where they are not in the repository, and measured."""

# Data sets that read one folder in different ways are fetched once, under the name of the last.
for folder, name in {folder: name for name, folder in FETCHED.items()}.items():

    rule:
        """Fetch and prepare a data set; where it needs a login, say which files to put where."""
        name:
            f"fetch_{name}"
        output:
            f"{folder}/prepared.json",
        log:
            f"results/logs/data/fetch_{name}.log",
        conda:
            "../envs/das.yaml"
        resources:
            mem_mb=memory_mb,
        params:
            dataset=name,
        message:
            f"fetch {name}"
        shell:
            "das fetch {params.dataset:q} > {log:q} 2>&1"


CARD = f"results/data/{NAME}/{{dataset}}{{split}}.json"


rule describe:
    """Measure mean and standard deviation of the training images, once for all runs."""
    input:
        once_made([CARD], data_mark),
        again(CARD),
    output:
        CARD,
    log:
        f"results/logs/data/{NAME}/{{dataset}}{{split}}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        seed=lambda wildcards: wildcards.split.removeprefix(".split") or 0,
    message:
        "describe {wildcards.dataset}{wildcards.split}"
    shell:
        "das describe {wildcards.dataset:q} --seed {params.seed:q} > {log:q} 2>&1"
