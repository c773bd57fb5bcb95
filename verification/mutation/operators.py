"""A mutation that cosmic-ray does not have: a statement that is left out.

Locks go wrong by what is not done (a helper not summoned, a flag not reset) more than
by a `<` that should be `<=`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

Position = tuple[tuple[int, int], tuple[int, int]]

CALLS = {"atom_expr", "power", "await_expr"}
JUMPS = {"return_stmt", "raise_stmt", "del_stmt"}


class DropStatement(Operator):  # type: ignore[misc]  # cosmic-ray is not typed
    """Replaces a statement that has an effect by `pass`.

    Left alone are assignments to plain names: most end in a `NameError`.
    """

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Yield where the statement is, if this node is one."""
        if node.type == "simple_stmt" and _has_an_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002 - cosmic-ray's
        """Put `pass` into the place of the statement."""
        old = node.children[0]
        node.children[0] = Keyword("pass", old.start_pos, old.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Show what it does."""
        return (Example("self.release()\n", "pass\n"),)


def _has_an_effect(statement: Any) -> bool:
    if statement.type == "expr_stmt":
        return statement.children[0].type != "name"
    if statement.type == "keyword":
        return statement.value in {"return", "raise"}
    return statement.type in CALLS | JUMPS


class Provider:
    """What cosmic-ray asks for our operators."""

    def __iter__(self) -> Iterator[str]:
        """Yield their names."""
        return iter(["DropStatement"])

    def __getitem__(self, name: str) -> type[Operator]:
        """Return the one of that name."""
        return {"DropStatement": DropStatement}[name]
