"""Messages that a destination refused for good: what they are, and what an operator decides about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

Row = dict[str, Any]


class Decided(NamedTuple):
    """How many parked messages were decided about, and how many messages are delivered next because of it."""

    parked: int
    messages: int


class NoSuchMessage(RelayError):
    """No parked message, or more than one, has an id that begins or ends like this."""

    exit_code = 2


def read_parked(conn: psycopg.Connection[Any], name: str | None) -> list[Row]:
    """The rows of relay.parked of one destination, or of all (None), oldest first, ready for JSON."""
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select * from relay.parked where %(name)s::text is null or destination = %(name)s"
            " order by destination, first_failed_at, message_id",
            {"name": name},
        ).fetchall()
    return [{column: _plain(value) for column, value in row.items()} for row in rows]


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The same for a person, with what to do."""
    for row in rows:
        key = "no key" if row["key"] is None else f"key {row['key']}"
        yield f"{row['destination']}  {row['message_id']}  {row['topic']}  {key}  {row['disposition']}"
        yield f"  {row['error']}"
        since = f"refused {row['attempts']} times, since {row['first_failed_at']}"
        if row["disposition"] == "parked":
            yield f"  {since}; {row['waiting']:,} messages wait behind it"
            yield f"  relay retry {row['destination']} --message {row['message_id']}"
        else:
            yield f"  {since}"


def full_id(conn: psycopg.Connection[Any], name: str, given: str) -> UUID:
    """The id of the parked message that begins or ends with `given` (6 characters or more). Raises `NoSuchMessage`."""
    wanted = given.lower()
    known = [row["message_id"] for row in read_parked(conn, name) if row["disposition"] == "parked"]
    found = [one for one in known if one.startswith(wanted) or one.endswith(wanted)]
    if len(found) == 1 and len(wanted) >= 6:
        return UUID(found[0])
    try:
        return UUID(given)
    except ValueError:
        many = "several parked messages have" if found else "no parked message has"
        raise NoSuchMessage(f"{many} the id {given}", hint=f"see: relay parked {name}") from None


def decide(
    conn: psycopg.Connection[Any], name: str, *, key: str | None, message_id: UUID | None, discard_reason: str | None
) -> Decided:
    """Try parked messages again (all of them, when neither key nor id is given), or give them up for a reason."""
    row = conn.execute("select * from relay.retry(%s, %s, %s, %s)", [name, key, message_id, discard_reason]).fetchone()
    return Decided(*row) if row else Decided(0, 0)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
