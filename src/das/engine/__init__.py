"""Training and evaluation of one number: device, determinism, resume, provenance."""
