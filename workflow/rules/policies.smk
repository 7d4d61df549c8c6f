"""Policies: searched ones, and the controls they are compared with."""


rule search:
    """Search a policy on the training set's two halves; its history, cost and halves stand beside it."""
    input:
        data=data_files,
    output:
        policy="results/policies/{dataset}/{backbone}/{policy}/seed{seed}.yaml",
        history="results/policies/{dataset}/{backbone}/{policy}/seed{seed}.history.json",
        run="results/policies/{dataset}/{backbone}/{policy}/seed{seed}.run.json",
        halves="results/policies/{dataset}/{backbone}/{policy}/seed{seed}.halves.json",
    log:
        "results/logs/policies/{dataset}/{backbone}/{policy}/seed{seed}.log",
    benchmark:
        "results/benchmarks/policies/{dataset}/{backbone}/{policy}/seed{seed}.tsv"
    wildcard_constraints:
        policy=one_of(SEARCHED),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        settings=policy_digest,
        study=study_option,
    message:
        "search {wildcards.policy} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das search {wildcards.dataset} {wildcards.backbone} {wildcards.policy} --seed {wildcards.seed} {params.study}"
        " > {log} 2>&1"


rule control_policy:
    """Make a policy that nothing searched: random, identical frames, uniform, single, or from a file."""
    input:
        files=policy_source_files,
    output:
        policy="results/policies/{dataset}/{backbone}/{policy}/seed{seed}.yaml",
    log:
        "results/logs/policies/{dataset}/{backbone}/{policy}/seed{seed}.log",
    wildcard_constraints:
        policy=one_of(CONTROLS),
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        settings=policy_digest,
        study=study_option,
    message:
        "policy {wildcards.policy} for {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das search {wildcards.dataset} {wildcards.backbone} {wildcards.policy} --seed {wildcards.seed} {params.study}"
        " > {log} 2>&1"
