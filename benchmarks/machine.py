"""How the kind "machine" compares: python benchmarks/machine.py [--quick].

As core.py does, beside `multiprocessing.Lock` and the locks on files of filelock,
fasteners and portalocker, each at its defaults; relay.py says how processes have a
lock in turn.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import machine_rows
from comparisons import Effort, Skipped, missing, timed, work
from findings import Finding, Spread, compared
from report import Measurements, main

if TYPE_CHECKING:
    from collections.abc import Iterator


def relayed(relay: machine_rows.Relay, effort: Effort) -> Iterator[Finding | Skipped]:
    """Compare what processes do with our lock and with a peer."""
    for peer in relay.peers:
        theirs = machine_rows.at_path(peer)
        absent = missing(*theirs.needs)
        if absent:
            yield Skipped(relay.key, relay.what, f"{peer}: {absent}")
            continue
        ours = machine_rows.at_path(relay.ours)
        values: dict[str, list[float]] = {relay.ours: [], peer: []}
        # Who waits for long does so in much the same way each time.
        for turn in range(2 if relay.mode == "idle" else effort.mixtures):
            for contender in (ours, theirs) if turn % 2 else (theirs, ours):
                task = {
                    "setup": contender.setup,
                    # It cannot be made anew and be the same.
                    "shared": contender.label == machine_rows.STANDARD,
                    "mode": relay.mode,
                    "processes": relay.processes,
                    "hold": relay.hold,
                    "seconds": effort.seconds,
                }
                values[contender.label] += work("relay.py", task)
        yield Finding(
            relay.key,
            relay.what,
            peer,
            relay.unit,
            *compared(
                values[relay.ours],
                values[peer],
                # The longest wait of all is what counts.
                spread=Spread.range_of if relay.mode == "hammer" else Spread.of,
            ),
            target=relay.target if peer == relay.peers[0] else None,
        )


MEASUREMENTS: Measurements = {
    **{row.key: partial(timed, row) for row in machine_rows.ROWS},
    **{relay.key: partial(relayed, relay) for relay in machine_rows.RELAYS},
}

if __name__ == "__main__":
    sys.exit(main("anylock's kind 'machine'", MEASUREMENTS))
