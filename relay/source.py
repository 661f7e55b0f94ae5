"""The outbox as a relay sees it: every statement that a relay runs on Postgres stands here.

Two connections, autocommit: one reads and seals, one renews leases and stores checkpoints, so that a long read never costs a lease.
No session state and no prepared statements, so transaction poolers work.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row

from outbox.pg.errors import from_database
from outbox.pg.resources import expected_revision
from relay.errors import RelayError
from relay.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from relay.destinations.base import Limits, Tail, Url

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_log = logging.getLogger("relay.source")

MEMBERS_PER_READ = 1000
_LAST_PLACE = 2**63 - 1
_of_point = attrgetter(
    "seal", "position", "passed", "last_seal", "last_id", "message_id", "token"
)  # as SQL takes a point
_place = itemgetter(0, 1)  # of the columns of relay.envelope: seal and place
BYTES_PER_READ = 4 * 1024 * 1024  # two reads are in memory: one is delivered, the next is there already
# Of a connection to a host that is gone without a word, unless the DSN says otherwise: seconds, and milliseconds.
_NOTICE_A_DEAD_LINE = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# A standby that is not promoted yet, a restart, a lock held too long: the relay waits.
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
_NOT_MIGRATED = (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable)


class SourceUnavailable(RelayError):
    """Postgres cannot be reached. The relay waits for it."""

    retryable = True


class SourceBusy(SourceUnavailable):
    """Somebody holds a lock for too long: nothing was changed, trying again helps."""

    exit_code = 6


class OptionsDiffer(RelayError):
    """Topics, lanes and start are recorded at the first run, and are not what is asked for now."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Point:
    """How far a lane got: everything up to seal, and the message (last_seal, last_id) at position; its token at the destination.

    `passed` is the position up to which seal counts. It is beyond `position` where the last messages were set aside, and before it
    where the message stands inside a seal that is delivered in parts.
    """

    seal: int
    position: int = 0
    last_seal: int = 0
    last_id: int = 0
    message_id: str | None = None
    token: str = ""
    passed: int = 0

    def after(self, last: Message, seal: int, passed: int, token: str) -> Point:
        """The point once the batch that ends with `last`, and everything up to `seal`, is stored."""
        return Point(seal, last.position, last.seal, last.place, last.message_id, token, passed)

    def through(self, seal: int, passed: int) -> Point:
        """The point once everything up to `seal` is stored, set aside, or not for this lane."""
        return self if seal < self.seal else replace(self, seal=seal, passed=passed)

    @property
    def last_stored(self) -> Point:
        """This point without what was passed over since the last stored message; there a slow append may have put something."""
        if self.passed <= self.position:
            return self
        return replace(self, seal=max(self.last_seal - 1, 0), passed=0)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lane that this process holds, where it stood when it was taken."""

    lane: int
    epoch: int
    point: Point


@dataclass(frozen=True, slots=True)
class _LaneRow:
    """What a relay needs of relay.lane, by name."""

    lane: int
    epoch: int
    seal: int
    position: int
    last_seal: int
    last_id: int
    message_id: UUID | None
    token: str | None
    passed: int

    def lease(self) -> Lease:
        message_id = None if self.message_id is None else str(self.message_id)
        point = Point(self.seal, self.position, self.last_seal, self.last_id, message_id, self.token or "", self.passed)
        return Lease(self.lane, self.epoch, point)


_LANE_COLUMNS = ", ".join(_LaneRow.__dataclass_fields__)


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

    async def next(self, lane: int, seal: int, position: int, until: int | None, *, and_seal: bool) -> Span | None:
        """What comes after a seal, up to the seal `until` (None: whatever there is); None when there is no further seal."""
        rows = await self._read_all(
            "select * from relay.next_messages(%s, %s, %s, %s, %s, %s, %s)",
            [self.destination, [lane], seal, until, MEMBERS_PER_READ, BYTES_PER_READ, and_seal],
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
            [self.destination, lease.lane, lease.epoch, *_of_point(point)],
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
                *_of_point(point),
                in_doubt,
            ],
        )
        return None if row is None else bool(row[0])

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

    async def _lane_row(self, query: str, arguments: Sequence[Any]) -> _LaneRow | None:
        with translated():
            async with self._keeper, _live(self._keeping).cursor(row_factory=class_row(_LaneRow)) as cursor:
                await cursor.execute(query, arguments)
                return await cursor.fetchone()


async def _require_schema(connection: Connection) -> None:
    """Code and database must fit together."""
    row = await (await connection.execute("select version_num from journal.schema_version")).fetchone()
    found, expected = row[0] if row else None, expected_revision()
    if found != expected:
        hint = "run: journal migrate" if found is None or found < expected else "upgrade agent-journal"
        raise RelayError(f"the database is at schema revision {found}, this relay expects {expected}", hint=hint)


def tail_of(point: Point) -> Tail | None:
    """What a destination should hold when a checkpoint is exact; None before the first message."""
    from relay.destinations.base import Tail  # noqa: PLC0415  a type elsewhere in this module

    return None if point.position == 0 else Tail(point.position, point.message_id, None, point.token)


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _live(connection: Connection | None) -> Connection:
    if connection is None:
        raise SourceUnavailable("not connected to the database")
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """What the driver raises, as an error of ours with something to do about it."""
    try:
        yield
    except psycopg.Error as error:
        raise _fault(error) from error


def _fault(error: psycopg.Error) -> RelayError:
    ours = from_database(error)
    if isinstance(ours, RelayError):
        return ours
    if isinstance(error, _NOT_MIGRATED):
        return RelayError("the database is not migrated, or not to this version", hint="run: journal migrate")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return RelayError("this role may not run a relay", hint="grant journal_operator to it")
    if isinstance(error, psycopg.errors.InvalidParameterValue):
        return OptionsDiffer(str(error.diag.message_primary), hint=error.diag.message_hint)
    if isinstance(error, _PASSING):
        return _passing(error)
    return RelayError(f"the database refused: {_first_line(error)}")


def _passing(error: psycopg.Error) -> SourceUnavailable:
    if isinstance(error, psycopg.errors.LockNotAvailable):
        hint = "look for a transaction that stays open, and try again"
        return SourceBusy(f"the database is busy: {_first_line(error)}", hint=hint)
    hint = "check --dsn, DATABASE_URL and PG*"
    return SourceUnavailable(f"the database does not answer: {_first_line(error)}", hint=hint)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
