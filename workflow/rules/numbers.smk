"""Numbers: one data set, backbone, method and seed, trained from scratch and tested after the last epoch."""

METHODS = {name: not method.trains for name, method in STUDY.methods.items()}
NUMBER = [
    f"results/numbers/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}{suffix}"
    for suffix in (".json", ".run.json")
]
CHECKPOINT = (
    f"results/checkpoints/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}.pt"
)


rule train:
    """Train and test a network; the JSON repeats to the byte, the run record beside it says what it cost."""
    input:
        data=once_made(NUMBER, run_data),
        files=once_made(NUMBER, read_files),
        again=again(NUMBER[0]),
    output:
        NUMBER,
        CHECKPOINT,
    log:
        f"results/logs/numbers/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}.log",
    benchmark:
        f"results/benchmarks/numbers/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}.tsv"
    wildcard_constraints:
        method=one_of(name for name, borrows in METHODS.items() if not borrows),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    message:
        "train {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das train {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.method:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"


rule evaluate:
    """Test another method's weights through this method's policy."""
    input:
        data=once_made(NUMBER, run_data),
        files=once_made(NUMBER, read_files),
        again=again(NUMBER[0]),
    output:
        NUMBER,
    log:
        f"results/logs/numbers/{NAME}/{{dataset}}/{{backbone}}/{{method}}/seed{{seed}}.log",
    wildcard_constraints:
        method=one_of(name for name, borrows in METHODS.items() if borrows),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    message:
        "test {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das evaluate {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.method:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"
