"""Settings of methods, chosen on held-out training images (docs/protocol.md): `snakemake results/tuning`."""

from das.study.runs import tunings_of

TRIALS = [
    f"results/tuning/{NAME}/{{dataset}}/{{backbone}}/{{method}}{suffix}"
    for suffix in (".json", ".split.json", ".run.json")
]


rule tune:
    """Try a method's settings on a part of the training set, and score them on the rest."""
    input:
        data=once_made(TRIALS, run_data),
        files=once_made(TRIALS, read_files),
        again=again(TRIALS[0]),
    output:
        TRIALS,
    log:
        f"results/logs/tuning/{NAME}/{{dataset}}/{{backbone}}/{{method}}.log",
    wildcard_constraints:
        method=one_of(run.name for run in tunings_of(STUDY)),
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
        gpu=GPUS,
    message:
        "tune {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}"
    shell:
        "das tune {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.method:q} > {log:q} 2>&1"


rule chosen_settings:
    """Write the best settings of every tuned method as a study file, to be layered over the study."""
    input:
        [str(run.main) for run in tunings_of(STUDY)],
    output:
        f"results/tuning/{NAME}.yaml",
    log:
        f"results/logs/tuning/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    message:
        f"chosen settings of the study {NAME}"
    shell:
        "das chosen-settings > {log:q} 2>&1"


rule all_tuning:
    """All trials of the study and the settings they chose."""
    name:
        "results/tuning"
    input:
        rules.chosen_settings.output,
