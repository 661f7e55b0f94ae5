"""The columns of the public views, by name and type: programs of others read them."""

from __future__ import annotations

import psycopg
import pytest

# Names in a row share the type behind the colon.
VIEWS = {
    "journal.sessions": """session_id parent_session_id: uuid, kind agent task tenant run_id status status_reason reversed: text,
        opened_at last_bound_at closed_at undoable_until: timestamptz, db_user db_role: name, application_name hold: text,
        details: jsonb""",
    "journal.steps": """step_id session_id: uuid, ordinal: int, tool kind tenant key: text, attempt: int, status: text, replay_of:
        uuid, arguments result error: jsonb, transaction_id: xid8, started_at ended_at key_expires_at: timestamptz,
        db_user db_role: name, receipt_id: uuid""",
    "journal.statements": """statement_id: bigint, session_id step_id: uuid, transaction_id: xid8, relation: regclass,
        table_name operation: text, rows: bigint, executed_at: timestamptz, db_user db_role: name, segment: text""",
    "journal.changes": """session_id step_id: uuid, statement_id: bigint, transaction_id: xid8, changed_at: timestamptz,
        db_user db_role: name, relation: regclass, table_name operation: text, key before after: jsonb,
        changed_columns elided_columns: text[]""",
    "journal.coverage": """relation: regclass, table_name status reason fix writers: text, undo: boolean, truncate: text,
        key_columns excluded_columns counter_columns maintained_columns: text[],
        covered_at gap_since oldest_image_at: timestamptz""",
    "journal.segments": """segment: text, relation: regclass, table_name: text, shape: int, from_at until_at: timestamptz,
        images bytes: bigint, droppable: boolean""",
    "journal.rollbacks": """rollback_id: uuid, session_ids step_ids: uuid[], on_conflict reason: text, db_user db_role: name,
        started_at applied_at: timestamptz, plan_digest: text, changes rows undone noop forced left_as_is messages_cancelled
        messages_compensated residue: bigint, reversed_by: uuid, report: jsonb""",
    "journal.residue": """residue_id rollback_id session_id: uuid, kind: text, relation: regclass, table_name: text, key: jsonb,
        column_name reason: text, base ours theirs: jsonb, their_session_id: uuid, their_user: name, their_at: timestamptz,
        message_id: uuid, destination: text, resolved_at: timestamptz, resolved_by: name, note: text""",
    "journal.receipts": """receipt_id session_id step_id: uuid, tool tenant key: text, attempt: int, status: text,
        committed_at delivered_at confirmed_at reversed_at: timestamptz, reversed_by: uuid, changes: jsonb, message_ids: uuid[],
        result: jsonb, digest: text, document: jsonb""",
    "journal.claims": "claim_id session_id receipt_id: uuid, claim verdict: text, claimed_at: timestamptz",
    "outbox.messages": """message_id: uuid, topic key type status: text, session_id step_id: uuid, transaction_id: xid8,
        created_at sealed_at release_at: timestamptz, hold: text, cancelled_by compensates caused_by: uuid, data headers: jsonb,
        bytes: int""",
    "outbox.backlog": "topic status: text, messages bytes: bigint, oldest_at: timestamptz, age: interval",
    "relay.destinations": """destination url guarantee: text, topics: text[], lanes: int, status status_reason: text, lineage: uuid,
        created_at last_append_at last_error_at: timestamptz, last_error: text""",
    "relay.lag": """destination: text, lane: int, position sealed_position behind: bigint, oldest_at: timestamptz, lag: interval,
        leaseholder: text, lease_until: timestamptz, epoch: bigint, in_doubt: boolean, parked: bigint""",
    "relay.parked": """destination: text, lane: int, message_id: uuid, topic key: text, waiting: bigint, attempts: int, error: text,
        first_failed_at last_failed_at: timestamptz, disposition: text""",
    "relay.deliveries": """message_id: uuid, destination: text, lane: int, position: bigint, status: text,
        sealed_at delivered_at: timestamptz""",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_its_columns(conn: psycopg.Connection, view: str) -> None:
    found = conn.execute(
        "select attname, atttypid from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [view],
    ).fetchall()
    promised = {
        name: conn.execute("select %s::regtype::oid", [kind.strip()]).fetchall()[0][0]
        for names, _, kind in (part.partition(":") for part in VIEWS[view].split(","))
        for name in names.split()
    }
    assert {name: kind for name, kind in found if name in promised} == promised
