"""Studies: what params.yaml may say, its runs, and what they leave. Nothing here imports torch."""
