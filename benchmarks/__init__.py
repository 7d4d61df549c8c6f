"""Runnable comparisons of speed and memory: ``uv run --group benchmark python -m benchmarks.NAME``."""
