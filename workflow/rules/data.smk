"""Data sets: fetched from their publishers where they are not in the repository, and measured."""


rule fetch:
    """Fetch and prepare a data set; where it needs a login, say which files to put where."""
    output:
        "data/raw/{folder}/prepared.json",
    log:
        "results/logs/data/{folder}.log",
    wildcard_constraints:
        folder=one_of(FETCHED),
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        dataset=lambda wildcards: FETCHED[wildcards.folder],
    message:
        "fetch {params.dataset} into data/raw/{wildcards.folder}"
    shell:
        "das fetch {params.dataset} > {log} 2>&1"


rule describe:
    """Measure mean and standard deviation of the training images, once for all runs."""
    input:
        data_mark,
    output:
        "results/data/{dataset}.json",
    log:
        "results/logs/data/describe_{dataset}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        settings=data_digest,
        study=study_option,
    message:
        "describe {wildcards.dataset}"
    shell:
        "das describe {wildcards.dataset} {params.study} > {log} 2>&1"
