"""The study as one page: whatever tables and figures it has, with what they mean (docs/report.md)."""


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
