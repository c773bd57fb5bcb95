"""How the kind "machine" compares: python benchmarks/machine.py [--quick].

It is `python -m anylock bench`, with its other options too, for the rows of the
part machine, or for those that --only names.
"""

import sys

from anylock._bench.command import run_parts

if __name__ == "__main__":
    sys.exit(run_parts("machine"))
