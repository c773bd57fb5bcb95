"""What debug locks tell, given to what programs are watched with.

Each of these ends when what it returned is called.

>>> from anylock.debug import export
>>> stop = export.to_logging(slow=0.5)
>>> stop()
"""

from __future__ import annotations

from anylock.debug.export._logging import to_logging
from anylock.debug.export._opentelemetry import to_opentelemetry
from anylock.debug.export._prometheus import to_prometheus

__all__ = ["to_logging", "to_opentelemetry", "to_prometheus"]
