"""One thread a process: the tests run side by side (pytest-xdist), and torch would otherwise take all cores in each."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
