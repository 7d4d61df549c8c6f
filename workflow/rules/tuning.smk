"""Settings of methods, chosen on held-out training images (docs/protocol.md): `snakemake results/tuning`."""


rule tune:
    """Try a method's settings on a part of the training set, and score them on the rest."""
    input:
        data=data_files,
        policy=lambda wildcards: STUDY.number(
            wildcards.dataset, wildcards.backbone, wildcards.method, STUDY.tuning.seed
        ).policy_path()
        or [],
    output:
        trials=f"results/tuning/{STUDY.study.name}/{{dataset}}/{{backbone}}/{{method}}.json",
        split=f"results/tuning/{STUDY.study.name}/{{dataset}}/{{backbone}}/{{method}}.split.json",
    log:
        f"results/logs/tuning/{STUDY.study.name}/{{dataset}}/{{backbone}}/{{method}}.log",
    wildcard_constraints:
        method=one_of(STUDY.tuning.grids),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
        gpu=GPUS,
    params:
        study=study_digest(),
    message:
        "tune {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}"
    shell:
        "das tune {wildcards.dataset} {wildcards.backbone} {wildcards.method} > {log} 2>&1"


rule chosen_settings:
    """Write the best settings of every tuned method as a study file, to be layered over the study."""
    input:
        expand(
            rules.tune.output.trials,
            dataset=STUDY.study.datasets,
            backbone=STUDY.study.backbones,
            method=STUDY.tuning.grids,
        ),
    output:
        f"results/tuning/{STUDY.study.name}.yaml",
    log:
        f"results/logs/tuning/{STUDY.study.name}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    message:
        "chosen settings of the study {STUDY.study.name}"
    shell:
        "das chosen-settings > {log} 2>&1"


rule all_tuning:
    """All trials of the study and the settings they chose."""
    name:
        "results/tuning"
    input:
        rules.chosen_settings.output,
