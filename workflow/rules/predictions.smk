"""Pictures of segmentation's predictions: every method, with the first seed."""

PREDICTIONS = expand(
    f"{FIGURES}/predictions_{{dataset}}_{{backbone}}_{{method}}_seed{{seed}}.png",
    dataset=GRID.datasets,
    backbone=GRID.backbones,
    method=GRID.methods,
    seed=GRID.seeds[0],
)


DRAWN = [
    f"{FIGURES}/predictions_{{dataset}}_{{backbone}}_{{method}}_seed{{seed}}.{format}"
    for format in ("png", "pdf")
]


def weights(wildcards):
    return [str(run_of(wildcards).trained.checkpoint)]


rule predictions:
    """Draw what a segmentation network predicts from each frame, back in register, and fused."""
    input:
        data=once_made(DRAWN, data_files),
        checkpoint=weights,
        files=once_made(DRAWN, read_files),
    output:
        shown(
            "figure",
            DRAWN[0],
            "Predictions",
            method="{method}",
            data="{dataset}",
            network="{backbone}",
        ),
        DRAWN[1],
    log:
        f"results/logs/figures/{NAME}/predictions_{{dataset}}_{{backbone}}_{{method}}_seed{{seed}}.log",
    wildcard_constraints:
        method=one_of(METHODS),
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    message:
        "predictions of {wildcards.method} on {wildcards.dataset} with {wildcards.backbone}, seed {wildcards.seed}"
    shell:
        "das predictions {wildcards.dataset:q} {wildcards.backbone:q} {wildcards.method:q} --seed {wildcards.seed:q}"
        " > {log:q} 2>&1"
