#!/usr/bin/env bash
# Install the locked environment into the conda environment that Snakemake has just made.
set -euo pipefail
VIRTUAL_ENV="$CONDA_PREFIX" uv sync --frozen --no-dev --active
