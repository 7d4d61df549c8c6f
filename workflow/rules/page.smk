"""The study as one page (docs/report.md), and as a crate (docs/crate.md): whatever tables and figures it has."""


rule page:
    """Write the study's page, whole by itself, as HTML."""
    input:
        rules.tables.output,
        ALL_FIGURES,
        data=IMAGES,
    output:
        shown("page", f"results/report/{NAME}.html", "Page", study=NAME),
    log:
        f"results/logs/report/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        study=DIGEST,
    message:
        f"page of the study {NAME}"
    shell:
        "das report > {log:q} 2>&1"


rule all_report:
    """The study's page: `snakemake results/report`."""
    name:
        "results/report"
    input:
        rules.page.output,


rule crate:
    """Write the study as a Workflow Run RO-Crate."""
    input:
        rules.tables.output,
        ALL_FIGURES,
    output:
        f"results/crate/{NAME}.zip",
    log:
        f"results/logs/crate/{NAME}.log",
    conda:
        "../envs/das.yaml"
    resources:
        mem_mb=memory_mb,
    params:
        study=DIGEST,
    message:
        f"crate of the study {NAME}"
    shell:
        "das crate > {log:q} 2>&1"


rule all_crate:
    """The study's crate: `snakemake results/crate`."""
    name:
        "results/crate"
    input:
        rules.crate.output,
