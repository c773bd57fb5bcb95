"""How the locks compare: python benchmarks/core.py [--quick].

It is `python -m anylock bench`, with its other options too, for the rows of the
parts plain, crowds, waiters and costs, or for those that --only names.
"""

import sys

from anylock._bench.command import run_parts

if __name__ == "__main__":
    sys.exit(run_parts("plain", "crowds", "waiters", "costs"))
