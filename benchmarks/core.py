"""How anylock's core compares: python benchmarks/core.py [--quick] [--json FILE].

Prints where it ran and, for every target that was set, our median, those of the
peers in the same run, the ratio with its spread (quartiles of the ratios of runs side
by side; where threads and tasks are mixed, the range), and whether the target holds:
that is "unclear" where the target lies within the spread. Only ratios can be compared
between machines, and on a busy one only those. Nothing is asserted: the exit status is
0 unless a measurement itself breaks.

Every comparison runs in fresh interpreters that import nothing but what it needs;
trial.py, mixture.py and footprint.py say how each is done. Peers that are not
installed are named and left out.
"""

from __future__ import annotations

import sys
from functools import partial

import core_rows
from comparisons import mixed, timed
from costs import imports, sizes
from report import Measurements, main

MEASUREMENTS: Measurements = {
    **{row.key: partial(timed, row) for row in core_rows.TARGET_ROWS},
    **{mixture.key: partial(mixed, mixture) for mixture in core_rows.MIXTURES},
    core_rows.IMPORT_KEY: imports,
    **{row.key: partial(timed, row) for row in core_rows.CREATION_ROWS},
    core_rows.SIZE_KEY: sizes,
    **{row.key: partial(timed, row) for row in core_rows.FURTHER_ROWS},
}

if __name__ == "__main__":
    sys.exit(main("anylock's core", MEASUREMENTS))
