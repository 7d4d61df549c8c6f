"""Front door of the workflow: every policy, number, table and figure of the study is one target.

snakemake --cores all results/tables results/figures results/report
snakemake --cores all results/numbers/quickstart/fashion_mnist/resnet8/das/seed0.json
snakemake --cores all results/tables --configfile config/smoke.yaml
"""

from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/study.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/policies.smk"
include: "workflow/rules/numbers.smk"
include: "workflow/rules/folders.smk"
include: "workflow/rules/report.smk"


if TASK.facts["dense"]:

    include: "workflow/rules/predictions.smk"


if STUDY.tuning:

    include: "workflow/rules/tuning.smk"


if STUDY.policy_benchmark:

    include: "workflow/rules/policy_benchmark.smk"


ALL_FIGURES = [*rules.figures.output, *rules.receptive_fields.output]
if TASK.facts["dense"]:
    ALL_FIGURES += PREDICTIONS


rule all_figures:
    """All figures of the study: `snakemake results/figures`."""
    name:
        "results/figures"
    input:
        ALL_FIGURES,


include: "workflow/rules/page.smk"


rule all:
    default_target: True
    input:
        rules.tables.output,
        ALL_FIGURES,
        rules.page.output,
