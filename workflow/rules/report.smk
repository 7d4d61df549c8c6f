"""Tables and figures: they read small JSON numbers and policies, and a few images to show things on."""

from das.study.runs import searches_of

TABLES = [f"results/tables/{NAME}/{table}" for table in products.tables_of(STUDY)]
FIGURES = f"results/figures/{NAME}"
DRAWINGS = [f"{FIGURES}/{figure}" for figure in products.figures_of(STUDY)]
FIELDS = [
    f"receptive_field_{dataset}_{backbone}"
    for dataset in GRID.datasets
    for backbone in GRID.backbones
]
SEARCHED_POLICIES = [str(run.main) for run in searches_of(STUDY)]
IMAGES = [
    ancient(f"{FETCHED[name]}/prepared.json")
    for name in GRID.datasets
    if name in FETCHED
]


rule tables:
    """Write the study's tables as CSV, Markdown and LaTeX, the latter in a short and a full form."""
    input:
        numbers=[str(run.number) for run in RUNS],
        policies=SEARCHED_POLICIES,
        published=TASK.facts.get("published", []),
        again=again(str(products.record_path(STUDY, "tables"))),
    output:
        report(
            expand("{table}.csv", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        expand("{table}{suffix}", table=TABLES, suffix=[".md", ".tex", "_full.tex"]),
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
        policies=SEARCHED_POLICIES,
        data=IMAGES,
        again=again(str(products.record_path(STUDY, "figures"))),
    output:
        report(
            expand("{drawing}.png", drawing=DRAWINGS),
            caption="../report/figures.rst",
            category="Figures",
        ),
        expand("{drawing}.pdf", drawing=DRAWINGS),
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
        policies=SEARCHED_POLICIES,
        networks=shown_networks,
        data=IMAGES,
        again=again(str(products.record_path(STUDY, "receptive_fields"))),
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
