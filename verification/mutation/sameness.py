"""Tells mutants that are the same to whoever runs them."""

from __future__ import annotations

import ast
import hashlib
from types import CodeType
from typing import Any


class Bare(ast.NodeTransformer):
    """Leaves out what has no effect at run time, so that mutants of it are equal."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the type of an argument."""
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        """Drop the type of what is returned."""
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as above

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Make it an assignment without a type, or nothing."""
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], node.value)

    def visit_If(self, node: ast.If) -> ast.AST:
        """Drop what only type checkers see, whatever is asked about it."""
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Empty docstrings and other constants."""
        if isinstance(node.value, ast.Constant):
            node.value = ast.Constant("")
        return node


def compiled(source: str) -> str:
    """Return what is the same for two sources that compile to the same code."""
    tree = ast.fix_missing_locations(Bare().visit(ast.parse(source)))
    parts: list[Any] = []

    def add(code: CodeType) -> None:
        parts.append((code.co_name, code.co_code, code.co_names, code.co_varnames))
        parts.append((code.co_exceptiontable, code.co_freevars, code.co_cellvars))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                add(constant)
            else:
                parts.append((type(constant), constant))

    add(compile(tree, "", "exec", dont_inherit=True))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
