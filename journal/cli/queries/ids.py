"""Ids as people type them: whole, or any unique beginning or ending of six characters or more."""

from __future__ import annotations

import re
from uuid import UUID

from journal.cli.failures import UsageError
from journal.cli.queries import rows
from journal.cli.shell import Connection
from journal.errors import JournalError, StepError, UnknownReceipt, UnknownSession

_WHOLE = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_PIECE = re.compile(r"[0-9a-f][0-9a-f-]*")
_SHORTEST = 6

_FIND = {
    "session": """
        select session_id as id from journal.sessions
         where session_id::text like %(begins)s or session_id::text like %(ends)s order by session_id desc limit 6""",
    "rollback": """
        select rollback_id as id from journal.rollbacks
         where rollback_id::text like %(begins)s or rollback_id::text like %(ends)s order by rollback_id desc limit 6""",
    "residue": """
        select residue_id as id from journal.residue
         where residue_id::text like %(begins)s or residue_id::text like %(ends)s order by residue_id desc limit 6""",
    "external": """
        select step_id as id from journal.externals
         where step_id::text like %(begins)s or step_id::text like %(ends)s order by step_id desc limit 6""",
    "receipt": """
        select receipt_id as id from journal.receipts
         where receipt_id::text like %(begins)s or receipt_id::text like %(ends)s order by receipt_id desc limit 6""",
}
_UNKNOWN: dict[str, tuple[type[JournalError], str]] = {
    "session": (UnknownSession, "`journal sessions` lists them"),
    "rollback": (UnknownSession, "`journal sessions` lists them too"),
    "residue": (JournalError, "`journal residue` lists it"),
    "external": (StepError, "`journal external` lists them"),
    "receipt": (UnknownReceipt, "`journal receipts` lists them"),
}
_NAMES = {"residue": "something that is left", "external": "an external effect"}


def find_id(conn: Connection, kind: str, text: str) -> UUID:
    """The id of one of the kinds above. Raises the kind's error when there is none, `UsageError` when unclear."""
    word = text.strip().lower()
    if not _WHOLE.fullmatch(word) and (not _PIECE.fullmatch(word) or len(word) < _SHORTEST):
        raise UsageError(
            f"{text!r} is no id of {_NAMES.get(kind, f'a {kind}')}",
            hint=f"give the whole id, or {_SHORTEST} characters or more of its beginning or end",
        )
    pattern = str(UUID(word)) if _WHOLE.fullmatch(word) else word
    found = rows(conn, _FIND[kind], {"begins": f"{pattern}%", "ends": f"%{pattern}"})
    return _only(kind, text, [row["id"] for row in found])


def _only(kind: str, text: str, found: list[UUID]) -> UUID:
    if not found:
        unknown, hint = _UNKNOWN[kind]
        raise unknown(f"there is no {kind} {text}", hint=hint)
    if len(found) > 1:
        raise UsageError(f"{text} begins or ends more than one id", hint=f"one of {', '.join(map(str, found[:5]))}")
    return found[0]
