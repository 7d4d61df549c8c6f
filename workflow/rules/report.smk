"""Tables and figures: they read small JSON numbers and policies, never a checkpoint."""


rule tables:
    """Write the study's tables as CSV, Markdown and LaTeX."""
    input:
        numbers=number_files(),
        policies=searched_policy_files(),
        published=[
            "data/published/published_numbers.csv",
            "data/published/das_paper.csv",
        ],
    output:
        report(
            expand("{table}.csv", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        expand("{table}.{format}", table=TABLES, format=["md", "tex"]),
    log:
        f"results/logs/tables/{STUDY.study.name}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=MEMORY_MB,
    params:
        study=study_digest(),
    message:
        "tables of the study {STUDY.study.name}"
    shell:
        "das tables > {log} 2>&1"


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
        rules.tables.output,


rule all_figures:
    """All figures of the study: `snakemake results/figures`."""
    name:
        "results/figures"
    input:
        rules.figures.output,
        rules.receptive_fields.output,
