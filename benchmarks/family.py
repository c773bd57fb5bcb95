"""How anylock's family compares: python benchmarks/family.py [--quick] [--json FILE].

The family is what there is beside the plain locks: semaphores, re-entrant locks and
conditions. The table is that of core.py, which says how to read it; a row without a
target is there to be looked at. Semaphores have one permit where nothing else is said.
"""

from __future__ import annotations

import sys
from functools import partial

import family_rows
from comparisons import mixed, timed
from report import Measurements, main

MEASUREMENTS: Measurements = {
    **{row.key: partial(timed, row) for row in family_rows.TARGET_ROWS},
    **{mixture.key: partial(mixed, mixture) for mixture in family_rows.MIXTURES},
    **{row.key: partial(timed, row) for row in family_rows.SEMAPHORE_ROWS},
    **{row.key: partial(timed, row) for row in family_rows.RLOCK_ROWS},
    **{row.key: partial(timed, row) for row in family_rows.CONDITION_ROWS},
    **{row.key: partial(timed, row) for row in family_rows.CREATION_ROWS},
}

if __name__ == "__main__":
    sys.exit(main("anylock's family", MEASUREMENTS))
