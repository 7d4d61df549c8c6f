"""Front door of the workflow: every policy, number, table and figure of the study is one target.

snakemake --cores all results/tables results/figures
snakemake --cores all results/numbers/fashion_mnist/resnet8/das/seed0.json
snakemake --cores all results/tables --configfile config/smoke.yaml
"""

from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/policies.smk"
include: "workflow/rules/numbers.smk"
include: "workflow/rules/folders.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/segmentation.smk"


if STUDY.tuning:

    include: "workflow/rules/tuning.smk"


if STUDY.policy_benchmark:

    include: "workflow/rules/policy_benchmark.smk"


rule all:
    default_target: True
    input:
        TABLES,
        rules.figures.output,
        rules.receptive_fields.output,
