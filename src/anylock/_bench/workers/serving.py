"""How a worker reads its task and prints its sample."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def serve(measure: Callable[[dict[str, Any]], Any]) -> None:
    """Be a worker: read the task, print the sample."""
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
