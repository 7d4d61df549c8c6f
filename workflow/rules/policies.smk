"""Policies: searched ones, and the controls they are compared with."""

POLICIES = {name: source.source == "search" for name, source in STUDY.policies.items()}
POLICY = [
    f"results/policies/{NAME}/{{dataset}}/{{backbone}}/{{policy}}/seed{{seed}}{suffix}"
    for suffix in (".yaml", ".run.json")
]
SEARCHED = [
    *POLICY,
    *(
        f"results/policies/{NAME}/{{dataset}}/{{backbone}}/{{policy}}/seed{{seed}}{suffix}"
        for suffix in (".history.json", ".halves.json")
    ),
]


rule search:
    """Search a policy on the training set's two halves; its history, cost and halves stand beside it."""
    input:
        data=once_made(SEARCHED, run_data),
        again=again(POLICY[0]),
    output:
        SEARCHED,
    log:
        f"results/logs/policies/{NAME}/{{dataset}}/{{backbone}}/{{policy}}/seed{{seed}}.log",
    benchmark:
        f"results/benchmarks/policies/{NAME}/{{dataset}}/{{backbone}}/{{policy}}/seed{{seed}}.tsv"
    wildcard_constraints:
        policy=one_of(name for name, is_searched in POLICIES.items() if is_searched),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    message:
        "search {wildcards.policy} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das search {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.policy:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"


rule control_policy:
    """Make a policy that nothing searched: random, identical frames, uniform, single, or from a file. No images."""
    input:
        again=again(POLICY[0]),
    output:
        POLICY,
    log:
        f"results/logs/policies/{NAME}/{{dataset}}/{{backbone}}/{{policy}}/seed{{seed}}.log",
    wildcard_constraints:
        policy=one_of(name for name, is_searched in POLICIES.items() if not is_searched),
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    message:
        "policy {wildcards.policy} for {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das search {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.policy:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"
