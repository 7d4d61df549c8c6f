"""Numbers: one data set, backbone, method and seed, trained from scratch and tested after the last epoch."""


rule train:
    """Train and test a network; the JSON repeats to the byte, the run record beside it says what it cost."""
    input:
        data=data_files,
        policy=policy_file,
    output:
        number="results/numbers/{dataset}/{backbone}/{method}/seed{seed}.json",
        run="results/numbers/{dataset}/{backbone}/{method}/seed{seed}.run.json",
        checkpoint="results/checkpoints/{dataset}/{backbone}/{method}/seed{seed}.pt",
    log:
        "results/logs/numbers/{dataset}/{backbone}/{method}/seed{seed}.log",
    benchmark:
        "results/benchmarks/numbers/{dataset}/{backbone}/{method}/seed{seed}.tsv"
    wildcard_constraints:
        method=one_of(TRAINED),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        settings=number_digest,
        study=study_option,
    message:
        "train {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das train {wildcards.dataset} {wildcards.backbone} {wildcards.method} --seed {wildcards.seed} {params.study}"
        " > {log} 2>&1"


rule evaluate:
    """Test another method's weights through this method's policy."""
    input:
        data=data_files,
        policy=policy_file,
        checkpoint=borrowed_checkpoint,
    output:
        number="results/numbers/{dataset}/{backbone}/{method}/seed{seed}.json",
        run="results/numbers/{dataset}/{backbone}/{method}/seed{seed}.run.json",
    log:
        "results/logs/numbers/{dataset}/{backbone}/{method}/seed{seed}.log",
    wildcard_constraints:
        method=one_of(TESTED),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        settings=number_digest,
        study=study_option,
    message:
        "test {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das evaluate {wildcards.dataset} {wildcards.backbone} {wildcards.method} --seed {wildcards.seed} {params.study}"
        " > {log} 2>&1"
