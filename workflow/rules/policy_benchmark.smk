"""The policy benchmark (config/policy_benchmark.yaml): which search finds good policies?

snakemake --cores 1 results/policy_benchmark --configfile config/policy_benchmark.yaml
"""

BENCHMARK = "results/policy_benchmark"


rule measure_search:
    """Run a search and take its score of every policy of the bank."""
    input:
        data=data_files,
    output:
        f"{BENCHMARK}/{{dataset}}/{{backbone}}/searches/{{method}}/seed{{seed}}.json",
    log:
        "results/logs/policy_benchmark/{dataset}/{backbone}/{method}/seed{seed}.log",
    wildcard_constraints:
        method=one_of(STUDY.methods),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        settings=measured_search_digest,
    message:
        "measure the search {wildcards.method} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m das.analysis.policy_benchmark score {wildcards.dataset} {wildcards.backbone}"
        " {wildcards.method} {wildcards.seed} > {log} 2>&1"


rule retrain_bank:
    """Retrain the bank and every chosen policy from scratch; interrupted, it goes on with the policy it was at."""
    input:
        data=data_files,
        searches=expand(
            rules.measure_search.output,
            method=STUDY.study.methods,
            seed=STUDY.study.seeds,
            allow_missing=True,
        ),
    output:
        f"{BENCHMARK}/{{dataset}}/{{backbone}}/policies.csv",
    log:
        "results/logs/policy_benchmark/{dataset}/{backbone}/retrain.log",
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        settings=bank_digest,
    message:
        "retrain the bank of policies on {wildcards.dataset}"
    shell:
        "python -m das.analysis.policy_benchmark retrain {wildcards.dataset} {wildcards.backbone}"
        " > {log} 2>&1"


rule policy_benchmark:
    """Tables of the benchmark: what each search's score and choice are worth."""
    name:
        BENCHMARK
    input:
        expand(
            rules.retrain_bank.output,
            dataset=STUDY.study.datasets,
            backbone=STUDY.study.backbones,
        ),
    output:
        f"{BENCHMARK}/report.md",
        expand(
            f"{BENCHMARK}/{{dataset}}/{{backbone}}/{{table}}.csv",
            dataset=STUDY.study.datasets,
            backbone=STUDY.study.backbones,
            table=["searches", "bank"],
        ),
    log:
        "results/logs/policy_benchmark/report.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=study_digest(),
    message:
        "tables of the policy benchmark"
    shell:
        "python -m das.analysis.policy_benchmark report > {log} 2>&1"
