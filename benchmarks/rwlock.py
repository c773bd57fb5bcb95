"""How read-write locks compare: python benchmarks/rwlock.py [--quick].

It is `python -m anylock bench`, with its other options too, for the rows of the
part rwlock, or for those that --only names.
"""

import sys

from anylock._bench.command import run_parts

if __name__ == "__main__":
    sys.exit(run_parts("rwlock"))
