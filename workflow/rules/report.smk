"""Tables and figures: they read small JSON numbers and policies, never a checkpoint."""


rule tables:
    """Write the study's tables as CSV, Markdown and LaTeX."""
    input:
        numbers=number_files(),
        policies=searched_policy_files(),
    output:
        report(
            expand(f"{TABLE_FOLDER}/{{table}}.csv", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        expand(
            f"{TABLE_FOLDER}/{{table}}.{{format}}", table=TABLES, format=["md", "tex"]
        ),
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
