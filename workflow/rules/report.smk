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
        numbers=made_of("tables", [str(run.number) for run in RUNS]),
        policies=made_of("tables", SEARCHED_POLICIES),
        published=TASK.facts.get("published", []),
        again=again(str(products.record_path(STUDY, "tables"))),
    output:
        [shown("table", f"{table}.csv", "Tables") for table in TABLES],
        expand("{table}{suffix}", table=TABLES, suffix=[".md", ".tex", "_full.tex"]),
        products.record_path(STUDY, "tables"),
    log:
        f"results/logs/tables/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        study=DIGEST,
    message:
        f"tables of the study {NAME}"
    shell:
        "das tables > {log:q} 2>&1"


rule summary:
    """Write the study's scores, losses and entropies of alpha in small files, which DVC shows as metrics and plots."""
    input:
        numbers=made_of("summary", [str(run.number) for run in RUNS]),
        policies=made_of("summary", SEARCHED_POLICIES),
        again=again(str(products.record_path(STUDY, "summary"))),
    output:
        [f"results/summary/{NAME}/{name}" for name in products.summary_of(STUDY)],
        products.record_path(STUDY, "summary"),
    log:
        f"results/logs/summary/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        study=DIGEST,
    message:
        f"summary of the study {NAME}"
    shell:
        "das summary > {log:q} 2>&1"


rule figures:
    """Draw the study's figures as PNG and PDF."""
    input:
        numbers=[str(run.number) for run in RUNS],
        policies=SEARCHED_POLICIES,
        data=IMAGES,
        again=again(str(products.record_path(STUDY, "figures"))),
    output:
        [shown("figure", f"{drawing}.png", "Figures") for drawing in DRAWINGS],
        expand("{drawing}.pdf", drawing=DRAWINGS),
        products.record_path(STUDY, "figures"),
    log:
        f"results/logs/figures/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
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
        [shown("figure", f"{FIGURES}/{field}.png", "Figures") for field in FIELDS],
        expand(f"{FIGURES}/{{figure}}.{{format}}", figure=FIELDS, format=["pdf", "csv"]),
        products.record_path(STUDY, "receptive_fields"),
    log:
        f"results/logs/figures/{NAME}_receptive_fields.log",
    conda:
        "../envs/das.yaml"
    threads: STUDY.compute.threads
    resources:
        mem_mb=memory_mb,
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


rule all_summary:
    """Scores, losses and alpha for DVC: `snakemake results/summary`."""
    name:
        "results/summary"
    input:
        rules.summary.output,
