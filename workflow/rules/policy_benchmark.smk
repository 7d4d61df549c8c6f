"""The policy benchmark (config/policy_benchmark.yaml): which search finds good policies?

snakemake --cores 1 results/policy_benchmark --configfile config/policy_benchmark.yaml
"""

BENCHMARK = f"results/policy_benchmark/{NAME}"
MEASURED = [
    f"{BENCHMARK}/{{dataset}}/{{backbone}}/searches/{{method}}/seed{{seed}}{suffix}"
    for suffix in (".json", ".run.json")
]
BANK = f"{BENCHMARK}/{{dataset}}/{{backbone}}/policies.csv"


def measured_searches():
    from das.benchmark.searches import runs_of  # torch, which no other study waits for

    return [
        run
        for dataset in GRID.datasets
        for backbone in GRID.backbones
        for run in runs_of(STUDY, dataset, backbone).values()
    ]


AGAIN |= renewed(lambda: results.unfit_of(STUDY, measured_searches()))


rule measure_search:
    """Run a search and take its score of every policy of the bank."""
    input:
        data=once_made(MEASURED, data_files),
        again=again(MEASURED[0]),
    output:
        MEASURED,
    log:
        f"results/logs/policy_benchmark/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}.log",
    wildcard_constraints:
        method=one_of(GRID.methods),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    params:
        study=DIGEST,
    message:
        "measure the search {wildcards.method} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "das benchmark score {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.method:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"


rule retrain_bank:
    """Retrain the bank and every chosen policy from scratch; interrupted, it goes on with the policy it was at."""
    input:
        data=once_made([BANK], data_files),
        searches=expand(
            MEASURED[0],
            method=GRID.methods,
            seed=GRID.seeds,
            allow_missing=True,
        ),
    output:
        BANK,
    log:
        f"results/logs/policy_benchmark/{NAME}/{{dataset}}/{{backbone}}/retrain.log",
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    params:
        study=DIGEST,
    message:
        "retrain the bank of policies on {wildcards.dataset}"
    shell:
        "das benchmark retrain {wildcards.dataset:q} {wildcards.backbone:q} > {log:q} 2>&1"


rule policy_benchmark:
    """Tables of the benchmark: what each search's score and choice are worth."""
    input:
        expand(
            BANK,
            dataset=GRID.datasets,
            backbone=GRID.backbones,
        ),
    output:
        f"{BENCHMARK}/report.md",
        expand(
            f"{BENCHMARK}/{{dataset}}/{{backbone}}/{{table}}.csv",
            dataset=GRID.datasets,
            backbone=GRID.backbones,
            table=["searches", "bank"],
        ),
    log:
        f"results/logs/policy_benchmark/{NAME}/report.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        study=DIGEST,
    message:
        "tables of the policy benchmark"
    shell:
        "das benchmark report > {log:q} 2>&1"


rule all_policy_benchmark:
    """All of it: `snakemake results/policy_benchmark`."""
    name:
        "results/policy_benchmark"
    input:
        rules.policy_benchmark.output,
