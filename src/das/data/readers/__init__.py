"""One small module per family of data sets: each has ``read(reader, root, options) -> Dataset``."""
