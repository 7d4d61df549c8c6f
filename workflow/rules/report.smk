"""Tables and figures: they read small JSON numbers and policies, and a few images to show things on."""

FIELDS = [
    f"receptive_field_{dataset}_{backbone}"
    for dataset in GRID.datasets
    for backbone in GRID.backbones
]


rule tables:
    """Write the study's tables as CSV, Markdown and LaTeX."""
    input:
        numbers=[str(run.number) for run in RUNS],
        policies=searched(),
        published=TASK.facts.get("published", []),
        again=product_again("tables"),
    output:
        report(
            expand("{table}.csv", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        expand("{table}.{format}", table=TABLES, format=["md", "tex"]),
        products.record_path(STUDY, "tables"),
    log:
        f"results/logs/tables/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=DIGEST,
    message:
        f"tables of the study {NAME}"
    shell:
        "das tables > {log:q} 2>&1"


rule figures:
    """Draw the study's figures as PNG and PDF."""
    input:
        numbers=[str(run.number) for run in RUNS],
        policies=searched(),
        data=[ancient(path) for path in data_of_the_grid()],
        again=product_again("figures"),
    output:
        report(
            expand(
                f"{FIGURES}/{{figure}}.png",
                figure=[
                    "accuracy",
                    "compute",
                    "curves",
                    *selections(),
                    *film_strips(),
                ],
            ),
            caption="../report/figures.rst",
            category="Figures",
        ),
        expand(
            f"{FIGURES}/{{figure}}.pdf",
            figure=["accuracy", "compute", "curves", *selections(), *film_strips()],
        ),
        products.record_path(STUDY, "figures"),
    log:
        f"results/logs/figures/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=DIGEST,
    message:
        f"figures of the study {NAME}"
    shell:
        "das figures > {log:q} 2>&1"


rule receptive_fields:
    """Draw where in the image a network looks through each kind of video, with the areas as CSV."""
    input:
        policies=searched(),
        data=[ancient(path) for path in data_of_the_grid()],
        again=product_again("receptive_fields"),
    output:
        report(
            expand(f"{FIGURES}/{{figure}}.png", figure=FIELDS),
            caption="../report/figures.rst",
            category="Figures",
        ),
        expand(f"{FIGURES}/{{figure}}.{{format}}", figure=FIELDS, format=["pdf", "csv"]),
        products.record_path(STUDY, "receptive_fields"),
    log:
        f"results/logs/figures/{NAME}_receptive_fields.log",
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=DIGEST,
    message:
        f"receptive fields of the study {NAME}"
    shell:
        "das receptive-fields > {log:q} 2>&1"


rule all_tables:
    """All tables of the study: `snakemake results/tables`."""
    name:
        "results/tables"
    input:
        rules.tables.output,
