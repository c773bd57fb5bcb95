"""`python -m verification.schedules`."""

import sys

from .run import main

sys.exit(main())
