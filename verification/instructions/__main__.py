"""`python -m verification.instructions`."""

import sys

from .run import main

sys.exit(main())
