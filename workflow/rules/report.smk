"""Tables and figures: they read small JSON numbers and policies, never a checkpoint."""

for study in STUDIES:

    rule:
        """Write a study's tables as CSV, Markdown and LaTeX."""
        name:
            f"{study.study.name}_tables"
        input:
            numbers=number_files(study),
            policies=searched_policy_files(study),
            published=published_files(study),
        output:
            report(
                expand("{table}.csv", table=tables_of(study)),
                caption="../report/tables.rst",
                category="Tables",
            ),
            expand(
                "{table}.{format}",
                table=tables_of(study),
                format=["md", "tex"],
            ),
        log:
            f"results/logs/tables/{study.study.name}.log",
        conda:
            "../envs/das.yaml"
        resources:
            mem_mb=MEMORY_MB,
        params:
            settings=study_digest(study),
            study=lambda wildcards, output, study=study: option_of(study),
        message:
            f"tables of the study {study.study.name}"
        shell:
            "das tables {params.study} > {log} 2>&1"

    rule:
        """All tables of a study, by its name: `snakemake results/tables/segmentation`."""
        name:
            f"results/tables/{study.study.name}"
        input:
            expand("{table}.csv", table=tables_of(study)),


rule figures:
    """Draw the study's figures as PNG and PDF."""
    input:
        numbers=number_files(),
        policies=searched_policy_files(),
    output:
        report(
            expand(f"{FIGURE_FOLDER}/{{figure}}.png", figure=FIGURES),
            caption="../report/figures.rst",
            category="Figures",
        ),
        expand(f"{FIGURE_FOLDER}/{{figure}}.pdf", figure=FIGURES),
    log:
        f"results/logs/figures/{STUDY.study.name}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=study_digest(),
    message:
        "figures of the study {STUDY.study.name}"
    shell:
        "das figures > {log} 2>&1"


rule receptive_fields:
    """Draw where in the image a network looks through each kind of video, with the areas as CSV."""
    input:
        policies=searched_policy_files(),
    output:
        report(
            expand(f"{FIGURE_FOLDER}/{{figure}}.png", figure=RECEPTIVE_FIELDS),
            caption="../report/figures.rst",
            category="Figures",
        ),
        expand(
            f"{FIGURE_FOLDER}/{{figure}}.{{format}}",
            figure=RECEPTIVE_FIELDS,
            format=["pdf", "csv"],
        ),
    log:
        f"results/logs/figures/{STUDY.study.name}_receptive_fields.log",
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=study_digest(),
    message:
        "receptive fields of the study {STUDY.study.name}"
    shell:
        "das receptive-fields > {log} 2>&1"


rule all_tables:
    """All tables of the study: `snakemake results/tables`."""
    name:
        "results/tables"
    input:
        TABLES,


rule all_figures:
    """All figures of the study: `snakemake results/figures`."""
    name:
        "results/figures"
    input:
        rules.figures.output,
        rules.receptive_fields.output,
