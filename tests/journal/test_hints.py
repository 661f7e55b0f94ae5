"""Whoever is refused is told what to do: each error of ours has a hint."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import journal
import outbox
from relay import errors

_ROOT = Path(__file__).parents[2]
_OURS = {*journal.__all__, *outbox.__all__}
_RELAYS = {name for name, error in vars(errors).items() if getattr(error, "hint", "none at all") is None}
_RAISED = re.compile(r"raise exception using(.*?);\n", re.DOTALL)
_CODE = re.compile(r"errcode = .*'(JR|OX|RL)[0-8]")  # JR99x: what a rollback tells itself


def test_in_sql() -> None:
    files = [file for folder in ("journal", "outbox", "relay") for file in (_ROOT / "sql" / folder).rglob("*.sql")]
    raised = [(file.name, what) for file in files for what in _RAISED.findall(file.read_text(encoding="utf-8"))]
    assert len(raised) > 50
    assert [(name, what) for name, what in raised if _CODE.search(what) and "hint" not in what] == []


def test_in_the_relay() -> None:
    """Those of a class that says it for all need none of their own."""
    assert {"RelayError", "DestinationRefused", "ForeignWriter", "TailLost"} <= _RELAYS
    for file in (_ROOT / "relay").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _RELAYS:
                assert "hint" in {keyword.arg for keyword in node.keywords}, (file.name, ast.unparse(node))


def test_in_python() -> None:
    for file in (*(_ROOT / "journal").glob("*.py"), *(_ROOT / "outbox").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            error = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(error, ast.Call) and isinstance(error.func, ast.Name) and error.func.id in _OURS:
                assert "hint" in {keyword.arg for keyword in error.keywords}, (file.name, ast.unparse(node))
