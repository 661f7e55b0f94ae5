"""Everything about one session, gathered from the views: the document `journal.show/1`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from journal.cli.queries import Row, rows, select
from journal.cli.queries.rollback import Report
from journal.cli.queries.sessions import children_of, session
from journal.cli.shell import Connection

SCHEMA = "journal.show/1"
STEP_COLUMNS = (
    *(
        "step_id",
        "session_id",
        "ordinal",
        "tool",
        "kind",
        "tenant",
        "key",
        "attempt",
        "status",
        "replay_of",
        "arguments",
        "result",
    ),
    *("error", "transaction_id", "started_at", "ended_at", "key_expires_at", "db_user", "db_role", "receipt_id"),
)
_TABLES = """
    select step_id, table_name as "table",
           coalesce(sum(rows) filter (where operation = 'INSERT'), 0)::bigint as "insert",
           coalesce(sum(rows) filter (where operation = 'UPDATE'), 0)::bigint as "update",
           coalesce(sum(rows) filter (where operation = 'DELETE'), 0)::bigint as "delete",
           coalesce(sum(rows) filter (where operation = 'TRUNCATE'), 0)::bigint as "truncate"
      from journal.statements
     where session_id = %(id)s
     group by step_id, table_name
     order by table_name"""
_MESSAGES = """
    select m.step_id, m.message_id, m.topic, m.key, m.status,
           coalesce((select jsonb_agg(jsonb_build_object('destination', d.destination, 'status', d.status, 'at', d.delivered_at)
                                      order by d.destination)
                       from relay.deliveries as d where d.message_id = m.message_id), '[]') as deliveries
      from outbox.messages as m
     where m.session_id = %(id)s
     order by m.created_at, m.message_id
     limit %(limit)s"""
_MESSAGE_COUNT = "select count(*) as n from outbox.messages where session_id = %(id)s"
_RECEIPTS = "select step_id, receipt_id, status from journal.receipts where session_id = %(id)s"
_ROLLBACKS = """
    select rollback_id, on_conflict, reason, db_user, applied_at, reversed_by
      from journal.rollbacks where %(id)s = any (session_ids) order by applied_at"""
_TAKEN_BACK = """
    select s.session_id, s.agent, s.task
      from journal.rollbacks as r
     cross join lateral unnest(r.session_ids) as named (session_id)
      join journal.sessions as s using (session_id)
     where r.rollback_id = %(id)s
     order by s.opened_at"""
# A list that grows with the session is cut; totals are not.
MESSAGES_SHOWN = 100


def show_document(conn: Connection, session_id: UUID, plan: Report | None = None) -> dict[str, Any]:
    """What a session is, did and sent, and what became of it; with a plan, also what a rollback would do now."""
    values = {"id": session_id, "limit": MESSAGES_SHOWN}
    shown = session(conn, session_id)
    tables = _by_step(rows(conn, _TABLES, values))
    messages = _by_step(rows(conn, _MESSAGES, values))
    receipts = {row["step_id"]: _without_step(row) for row in rows(conn, _RECEIPTS, values)}
    steps = rows(conn, select("journal.steps", STEP_COLUMNS, "session_id = %(id)s", "started_at, ordinal"), values)
    return {
        "schema": SCHEMA,
        "outcome": "done",
        "exit_code": 0,
        "session": shown,
        "parent": _parent(conn, shown),
        "children": [_brief(child) for child in children_of(conn, session_id)],
        "totals": _totals(steps, tables, rows(conn, _MESSAGE_COUNT, values)[0]["n"]),
        "steps": [_step(step, tables, messages, receipts) for step in steps],
        "outside_steps": {"tables": tables.get(None, []), "messages": messages.get(None, [])},
        "claims": [],
        "approvals": [],
        "rollbacks": rows(conn, _ROLLBACKS, values),
        "undo": _undo(shown, plan),
    }


def taken_back_by(conn: Connection, session_id: UUID) -> list[Row]:
    """The sessions that a rollback took back; of a session that is none, nothing."""
    return rows(conn, _TAKEN_BACK, {"id": session_id})


def _step(
    step: Row,
    tables: Mapping[UUID | None, list[Row]],
    messages: Mapping[UUID | None, list[Row]],
    receipts: Mapping[UUID, Row],
) -> Row:
    step_id = step["step_id"]
    return {
        **{name: value for name, value in step.items() if name not in {"session_id", "receipt_id"}},
        "tables": tables.get(step_id, []),
        "messages": messages.get(step_id, []),
        "receipt": receipts.get(step_id),
    }


def _totals(steps: list[Row], tables: Mapping[UUID | None, list[Row]], messages: int) -> Row:
    """`changes` counts every image; `rows` is known to a plan only, because a row may change more than once."""
    changed = sum(
        table[kind]
        for group in tables.values()
        for table in group
        for kind in ("insert", "update", "delete", "truncate")
    )
    statuses = [step["status"] for step in steps]
    replays = statuses.count("replayed")
    return {
        "steps": len(steps) - replays,
        "replays": replays,
        "failed": statuses.count("failed"),
        "rows": None,
        "changes": changed,
        "messages": messages,
    }


def _parent(conn: Connection, shown: Row) -> Row | None:
    return _brief(session(conn, shown["parent_session_id"])) if shown["parent_session_id"] else None


def _brief(row: Row) -> Row:
    return {name: row[name] for name in ("session_id", "agent", "task", "status", "reversed")}


def _by_step(found: Iterable[Row]) -> dict[UUID | None, list[Row]]:
    groups: dict[UUID | None, list[Row]] = defaultdict(list)
    for row in found:
        groups[row["step_id"]].append(_without_step(row))
    return groups


def _without_step(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "step_id"}


def _undo(shown: Row, plan: Report | None) -> Row:
    return {
        **({"status": None, "rows": None, "conflicts": None, "sent": None} if plan is None else _planned(plan)),
        "until": shown["undoable_until"],
        "command": f"journal rollback --session {shown['session_id']} --dry-run",
    }


def _planned(report: Report) -> Row:
    counts = report.get("rows") or {}
    conflicts = (counts.get("conflict") or 0) + (counts.get("refuse") or 0)
    rows = (counts.get("total") or 0) - conflicts - (counts.get("noop") or 0)
    status = "nothing" if report["outcome"] == "nothing" else "no" if not rows else "partly" if conflicts else "fully"
    return {"status": status, "rows": rows, "conflicts": conflicts, "sent": (report.get("messages") or {}).get("sent")}
