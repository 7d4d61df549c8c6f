"""Data sets that are not in the repository: fetched from their publishers, verified, prepared."""


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
