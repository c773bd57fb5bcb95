"""Semaphores, re-entrant locks, conditions: python benchmarks/family.py [--quick].

It is `python -m anylock bench`, with its other options too, for the rows of the
part family, or for those that --only names.
"""

import sys

from anylock._bench.command import run_parts

if __name__ == "__main__":
    sys.exit(run_parts("family"))
