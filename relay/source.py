"""The outbox as a relay sees it: every statement that a relay runs on Postgres stands here.

Two connections, autocommit: one reads and seals, one renews leases and stores checkpoints, so that a long read never costs a lease.
No session state and no prepared statements, so transaction poolers work.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row

from outbox.pg.resources import expected_revision
from relay.errors import OptionsDiffer, RelayError, SourceUnavailable
from relay.faults import translated
from relay.message import Message
from relay.point import LaneRow, of_point

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from relay.destinations.base import Limits, Url
    from relay.point import Lease, Point

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_log = logging.getLogger("relay.source")

MEMBERS_PER_READ = 1000
_LAST_PLACE = 2**63 - 1
_place = itemgetter(0, 1)  # of the columns of relay.envelope: seal and place
BYTES_PER_READ = 4 * 1024 * 1024  # two reads are in memory: one is delivered, the next is there already
# Of a connection to a host that is gone without a word, unless the DSN says otherwise: seconds, and milliseconds.
_NOTICE_A_DEAD_LINE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_LANE_COLUMNS = ", ".join(LaneRow.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Span:
    """Seals up to `through`, and a lane's messages of them. Not whole: one seal alone, too large to be read at once."""

    through: int
    whole: bool
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Registration:
    """What a destination's first run records. None: as recorded, or the default."""

    topics: Sequence[str] | None = None
    lanes: int | None = None
    started_from: str | None = None
    on_refusal: str | None = None


class Source:
    """One relay's view of the outbox, for one destination."""

    def __init__(self, dsn: str, destination: str) -> None:
        self.destination = destination
        self._dsn = dsn
        self._reading: Connection | None = None
        self._keeping: Connection | None = None
        self._keeper = asyncio.Lock()
        self._warning: str | None = None
        self.source_name = ""
        self.origin = ""

    async def connect(self) -> None:
        """Connect, seal once (which also finds out whether this database may seal) and learn who it is.

        Raises `SourceUnavailable`, `SourceRewound`, or `RelayError` when the database is not migrated.
        """
        await self.open_connections()
        await self._read_one("select relay.confirm()", [])  # what an earlier connection committed and was warned about
        await self.seal()
        row = await self._read_one("select current_database()::text, relay.origin()::text", [])
        if row is None or row[1] is None:
            raise RelayError("the first seal could not be made", hint="look for a transaction that holds outbox.sealer")
        self.source_name, self.origin = f"/{quote(row[0], safe='')}", row[1]

    async def open_connections(self) -> None:
        """Connect, and nothing else."""
        with translated():
            self._reading = await self._connection()
            self._reading.add_notice_handler(self._heed)
            self._keeping = await self._connection()
            await _require_schema(self._reading)

    async def _connection(self) -> Connection:
        options = {
            **_NOTICE_A_DEAD_LINE,
            **conninfo_to_dict(self._dsn),
            "application_name": f"relay {self.destination}",
        }
        return await psycopg.AsyncConnection.connect(
            make_conninfo("", **options), autocommit=True, prepare_threshold=None
        )

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        """A warning at a commit says that no standby has confirmed it: what it sealed may vanish and must not be delivered."""
        if notice.severity_nonlocalized == "WARNING":
            self._warning = notice.message_primary or "a warning"

    def _check_warning(self) -> None:
        if self._warning is not None:
            warning, self._warning = self._warning, None
            raise SourceUnavailable(f"the database committed with a warning: {warning}", hint="look at its standbys")

    async def close(self) -> None:
        for connection in (self._reading, self._keeping):
            if connection is not None:
                await connection.close()
        self._reading = self._keeping = None

    # -- sealing and reading

    async def seal(self, *, wait: bool = False) -> None:
        """Seal what is committed. With `wait`, what was committed before this call is sealed when it returns."""
        await self._read_one("select outbox.seal(%s)", [wait])

    async def last_seal(self) -> int:
        row = await self._read_one("select relay.last_seal()", [])
        return int(row[0]) if row else 0

    async def next(
        self, lane: int, seal: int, position: int, until: int | None, *, and_seal: bool, members: int = MEMBERS_PER_READ
    ) -> Span | None:
        """What comes after a seal, up to the seal `until` (None: whatever there is), `members` at most; None when there is no
        further seal."""
        rows = await self._read_all(
            "select * from relay.next_messages(%s, %s, %s, %s, %s, %s, %s)",
            [self.destination, [lane], seal, until, members, BYTES_PER_READ, and_seal],
        )
        if not rows:
            return None
        through, whole, first_seal = rows[0][:3]
        if first_seal is None:
            return Span(through, whole, [])
        messages = [row[2:] for row in rows]
        messages.sort(key=_place)
        return Span(through, whole, self._placed(messages, position))

    async def read_part(self, lane: int, seal: int, after_place: int, position: int, *, verify: bool) -> list[Message]:
        """The lane's next messages of one large seal; none when it is read."""
        arguments = [self.destination, [lane], seal, after_place, MEMBERS_PER_READ, BYTES_PER_READ, verify]
        rows = await self._read_all("select * from relay.read_part(%s, %s, %s, %s, %s, %s, %s)", arguments)
        return self._placed(rows, position)

    def _placed(self, rows: Sequence[tuple[Any, ...]], position: int) -> list[Message]:
        return [Message(number, self.source_name, *row) for number, row in enumerate(rows, position + 1)]

    async def position_at(self, lane: int, seal: int) -> int:
        """Position of the lane's last message up to the end of a seal."""
        row = await self._read_one(
            "select relay.position_of(%s, %s, %s, %s)", [self.destination, lane, seal, _LAST_PLACE]
        )
        return int(row[0]) if row else 0

    async def knows_lineage(self, lineage: str) -> bool:
        row = await self._read_one("select relay.knows_lineage(%s::uuid)", [lineage])
        return bool(row and row[0])

    # -- after a restore

    async def needs_rebase(self) -> bool:
        """Whether this database was restored or copied since its last seal."""
        row = await self._read_one("select relay.needs_rebase()", [])
        return bool(row and row[0])

    async def rebase(self) -> int | None:
        """Open a new lineage, and seal what is not sealed; the number of that seal."""
        row = await self._read_one("select outbox.rebase()", [])
        return row[0] if row else None

    async def is_open_lineage(self, lineage: str) -> bool:
        row = await self._read_one("select relay.is_open_lineage(%s::uuid)", [lineage])
        return bool(row and row[0])

    async def last_seal_of(self, lineage: str) -> int:
        row = await self._read_one("select relay.last_seal_of(%s::uuid)", [lineage])
        return int(row[0]) if row else 0

    async def last_seal_at(self, moment: str) -> int:
        """Number of the last seal made at a time or before it."""
        row = await self._read_one("select relay.last_seal_at(%s::timestamptz)", [moment])
        return int(row[0]) if row else 0

    async def nearest_mark(self, lane: int, position: int) -> tuple[int, int]:
        """A seal, and the position up to which it counts, from which to count on to a position."""
        row = await self._read_one("select * from relay.nearest_mark(%s, %s, %s)", [self.destination, lane, position])
        return (0, 0) if row is None else (row[0], row[1])

    async def move(self, lease: Lease, point: Point) -> bool:
        """Put a lane where it was decided that it stands. False when the lease was lost."""
        row = await self._keep_one(
            "select relay.move_lane(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [self.destination, lease.lane, lease.epoch, *of_point(point)],
        )
        return bool(row and row[0])

    # -- registering

    async def registered(self) -> tuple[str, int]:
        """URL and number of lanes. Raises `RelayError` when there is no such destination."""
        row = await self._read_one("select relay.url_of(%s), relay.lanes_of(%s)", [self.destination] * 2)
        if row is None or row[0] is None:
            raise OptionsDiffer(f"there is no destination {self.destination}", hint="see: relay status")
        return row[0], row[1]

    async def finish(self, seal: int) -> None:
        """Nothing after a seal is for this destination, until it is run again."""
        await self._keep_one("select relay.finish(%s, %s)", [self.destination, seal])

    async def registered_lanes(self) -> int | None:
        """Number of lanes, or None before the first run."""
        row = await self._read_one("select relay.lanes_of(%s)", [self.destination])
        return None if row is None or row[0] is None else int(row[0])

    async def check_options(self, wanted: Registration) -> None:
        """Raises `OptionsDiffer` when the destination was first run with other options."""
        await self._read_one(
            "select relay.check_registered(%s, %s, %s, %s)",
            [self.destination, _listed(wanted.topics), wanted.lanes, wanted.started_from],
        )

    async def is_fresh(self) -> bool:
        """Whether nothing was delivered to the destination yet."""
        row = await self._read_one("select relay.is_fresh(%s)", [self.destination])
        return bool(row and row[0])

    async def register(self, url: Url, guarantee: str, limits: Limits, wanted: Registration) -> None:
        """Record the destination at its first run. Raises `OptionsDiffer`."""
        await self._read_one(
            "select relay.register(%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.destination,
                url.shown,
                guarantee,
                limits.message_bytes,
                _listed(wanted.topics),
                wanted.lanes,
                wanted.started_from,
                wanted.on_refusal,
            ],
        )

    # -- leases and checkpoints

    async def take(self, lane: int, holder: UUID, holder_name: str, seconds: float) -> Lease | None:
        """Take a lane, or None while another relay holds it."""
        query = f"select {_LANE_COLUMNS} from relay.take_lane(%s, %s, %s, %s, make_interval(secs => %s))"  # noqa: S608  no input in it
        row = await self._lane_row(query, [self.destination, lane, holder, holder_name, seconds])
        return None if row is None else row.lease()

    async def look(self, lane: int) -> Lease | None:
        """A lane as it is stored now, whoever holds it."""
        query = f"select {_LANE_COLUMNS} from relay.lane_state(%s, %s)"  # noqa: S608
        row = await self._lane_row(query, [self.destination, lane])
        return None if row is None else row.lease()

    async def checkpoint(self, lease: Lease, point: Point, seconds: float, *, in_doubt: bool) -> bool | None:
        """Store how far a lane got, and renew its lease. Whether the destination is paused; None when the lease was lost."""
        row = await self._keep_one(
            "select * from relay.checkpoint(%s, %s, %s, make_interval(secs => %s), %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self.destination,
                lease.lane,
                lease.epoch,
                seconds,
                lease.point.position,
                *of_point(point),
                in_doubt,
            ],
        )
        return None if row is None else bool(row[0])

    async def try_alone(self, lease: Lease, message: Message, careful_from: int) -> bool:
        """Note that this message is appended by itself. False when the lease was lost."""
        row = await self._keep_one(
            "select relay.try_alone(%s, %s, %s, %s, %s)",
            [self.destination, lease.lane, lease.epoch, message.message_id, careful_from],
        )
        return bool(row and row[0])

    async def set_aside(self, lease: Lease, message: Message, error: str) -> bool:
        """Park a message that the destination refused alone and for good. False when the lease was lost."""
        row = await self._keep_one(
            "select relay.set_aside(%s, %s, %s, %s, %s, %s, %s)",
            [self.destination, lease.lane, lease.epoch, message.seal, message.place, message.message_id, error],
        )
        return bool(row and row[0])

    async def note_arrival(self, message: Message) -> None:
        """A message that was set aside is stored at the destination."""
        await self._keep_one(
            "select relay.note_arrival(%s, %s, %s, %s)",
            [self.destination, message.seal, message.place, message.message_id],
        )

    async def is_paused(self) -> bool:
        row = await self._keep_one("select relay.is_paused(%s)", [self.destination])
        return bool(row and row[0])

    async def tend(self) -> None:
        """Make the next partition of messages, and drop the oldest, when it is time for either."""
        made = await self._keep_one("select outbox.rotate()::text", [])
        if made is not None and made[0] is not None:
            _log.info("made partition %s", made[0])
        dropped = await self._keep_one("select relay.prune()", [])
        if dropped is not None and dropped[0] is not None:
            _log.info("dropped partition %s: every destination passed it long ago", dropped[0])

    async def leave(self, lease: Lease) -> None:
        await self._keep_one("select relay.leave_lane(%s, %s, %s)", [self.destination, lease.lane, lease.epoch])

    async def left_over(self) -> tuple[int, int]:
        """Held messages of all topics, and messages parked at this destination."""
        row = await self._read_one("select * from relay.left_over(%s)", [self.destination])
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    async def report_error(self, error: str, *, stopped: bool) -> None:
        await self._keep_one("select relay.report_error(%s, %s, %s)", [self.destination, error, stopped])

    async def report_recovery(self) -> None:
        await self._keep_one("select relay.report_recovery(%s)", [self.destination])

    # -- how statements run

    async def _read_one(self, query: str, arguments: Sequence[Any]) -> tuple[Any, ...] | None:
        rows = await self._read_all(query, arguments)
        return rows[0] if rows else None

    async def _read_all(self, query: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        with translated():
            rows = await (await _live(self._reading).execute(query, arguments)).fetchall()
        self._check_warning()
        return rows

    async def _keep_one(self, query: str, arguments: Sequence[Any]) -> tuple[Any, ...] | None:
        with translated():
            async with self._keeper:
                return await (await _live(self._keeping).execute(query, arguments)).fetchone()

    async def _lane_row(self, query: str, arguments: Sequence[Any]) -> LaneRow | None:
        with translated():
            async with self._keeper, _live(self._keeping).cursor(row_factory=class_row(LaneRow)) as cursor:
                await cursor.execute(query, arguments)
                return await cursor.fetchone()


async def _require_schema(connection: Connection) -> None:
    """Code and database must fit together."""
    row = await (await connection.execute("select version_num from journal.schema_version")).fetchone()
    found, expected = row[0] if row else None, expected_revision()
    if found != expected:
        hint = "run: journal migrate" if found is None or found < expected else "upgrade agent-journal"
        raise RelayError(f"the database is at schema revision {found}, this relay expects {expected}", hint=hint)


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _live(connection: Connection | None) -> Connection:
    if connection is None:
        raise SourceUnavailable("not connected to the database")
    return connection
