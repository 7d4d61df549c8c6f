"""Pictures of segmentation's predictions."""


rule predictions:
    """Draw what a segmentation network predicts from each frame, back in register, and fused."""
    input:
        data=data_files,
        checkpoint=lambda wildcards: number_of(wildcards).trained_by.checkpoint_path(),
        policy=policy_file,
    output:
        report(
            "results/figures/predictions/{dataset}/{backbone}/{method}/seed{seed}.png",
            caption="../report/figures.rst",
            category="Figures",
        ),
        "results/figures/predictions/{dataset}/{backbone}/{method}/seed{seed}.pdf",
    log:
        "results/logs/figures/predictions/{dataset}/{backbone}/{method}/seed{seed}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=study_option,
    message:
        "predictions of {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das predictions {wildcards.dataset} {wildcards.backbone} {wildcards.method} --seed {wildcards.seed}"
        " {params.study} > {log} 2>&1"


rule segmentation_figures:
    """Pictures of the segmentation study: every trained method, with the first seed."""
    name:
        "results/figures/segmentation"
    input:
        expand(
            "results/figures/predictions/{dataset}/{backbone}/{method}/seed{seed}.png",
            dataset=SEGMENTATION.study.datasets,
            backbone=SEGMENTATION.study.backbones,
            method=SEGMENTATION.study.methods,
            seed=SEGMENTATION.study.seeds[0],
        ),
