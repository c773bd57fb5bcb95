"""All rows there are, by the parts of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anylock._bench.rows.costs import COSTS, WAITERS
from anylock._bench.rows.crowds import CROWDS
from anylock._bench.rows.family import FAMILY
from anylock._bench.rows.machine import MACHINE
from anylock._bench.rows.plain import PLAIN
from anylock._bench.rows.rwlock import RWLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anylock._bench.plan import Row

PARTS: dict[str, tuple[Row, ...]] = {
    "plain": PLAIN,
    "crowds": CROWDS,
    "waiters": WAITERS,
    "costs": COSTS,
    "family": FAMILY,
    "rwlock": RWLOCK,
    "machine": MACHINE,
}
"""What `--only` calls a part -> its rows."""

ROWS: dict[str, Row] = {row.key: row for part in PARTS.values() for row in part}


def chosen(names: Iterable[str] | None) -> list[Row]:
    """Give the rows of these names, of rows or parts, in the order of the table.

    Raises:
        LookupError: There is none of that name.
    """
    if names is None:
        return list(ROWS.values())
    keys: set[str] = set()
    for name in names:
        if name in PARTS:
            keys.update(row.key for row in PARTS[name])
        elif name in ROWS:
            keys.add(name)
        else:
            raise LookupError(name)
    return [row for row in ROWS.values() if row.key in keys]
