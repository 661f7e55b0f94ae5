"""A table in Postgres: rows, and the position that they continue, in one statement.

A single statement on purpose: were there a transaction around several, a relay that dies in it would leave the lane locked for as
long as its connection seems to live.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg import sql

from relay.destinations.base import (
    Destination,
    Guarantee,
    InDoubt,
    Limits,
    MalformedUrl,
    Outcome,
    Owner,
    Refused,
    Stored,
    Tail,
    Url,
    read_credentials,
)
from relay.errors import DestinationRefused, DestinationUnavailable, ForeignWriter, TailLost
from relay.message import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_SHAPE = "a table is written postgresql://host:5432/database?table=NAME"
_NAME = re.compile(r"^([a-z_][a-z0-9_]{0,49}\.)?[a-z_][a-z0-9_]{0,49}$")
_LIBPQ = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "target_session_attrs"})
_OPTIONS = frozenset({"table", "lanes"}) | _LIBPQ
_ANSWER_SECONDS = 30.0
_READ_BACK = 1000
_NOWHERE = -1  # a position that no lane has

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

TABLES = """
create table if not exists {table} (
    lane        integer not null,
    position    bigint not null,
    id          uuid not null,
    topic       text not null,
    key         text,
    type        text not null,
    source      text not null,
    time        timestamptz not null,
    lineage     uuid not null,
    compensates uuid,
    causedby    uuid,
    headers     jsonb not null,
    data        jsonb,
    primary key (lane, position)
);
create table if not exists {position} (
    lane     integer primary key,
    owner    text not null,
    position bigint not null default 0,
    id       uuid,
    lineage  uuid
);
"""

# `stored` must be as many as were given: a trigger or a rule that drops rows ends the statement by dividing by zero.
# A session that does not wait for its commits is made to wait for this one.
_APPEND = """
with moved as (
    update {position} set position = %(last)s, id = %(last_id)s, lineage = %(lineage)s
    where lane = %(lane)s and owner = %(owner)s and position = %(expected)s and id is not distinct from %(expected_id)s
    returning lane
), stored as (
    insert into {table} (lane, position, id, topic, key, type, source, time, lineage, compensates, causedby, headers, data)
    select moved.lane, given.*
    from moved, unnest(
        %(positions)s::bigint[], %(ids)s::uuid[], %(topics)s::text[], %(keys)s::text[], %(types)s::text[], %(sources)s::text[],
        %(times)s::timestamptz[], %(lineages)s::uuid[], %(compensates)s::uuid[], %(causes)s::uuid[], %(headers)s::jsonb[],
        %(data)s::jsonb[]
    ) as given
    returning lane
), counted as (
    select (select count(*) from moved) as moved, (select count(*) from stored) as stored,
           set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true)
)
select moved, 1 / (stored = moved * %(count)s)::integer from counted
"""

_STATE = """
select pg_is_in_recovery(),
       exists (select from pg_class where oid in (to_regclass(%(table)s), to_regclass(%(position)s)) and relpersistence <> 'p'),
       to_regclass(%(table)s) is null or to_regclass(%(position)s) is null
"""
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtext('agent-journal relay'));"  # two first runs at once
_LANES = """
insert into {position} (lane, owner) select n, %(owner)s from generate_series(0, %(lanes)s - 1) as n on conflict do nothing
"""


class Postgres(Destination):
    """`postgresql://[user@]host:port/database?table=NAME[&lanes=N]`"""

    guarantee: ClassVar[Guarantee] = "A"

    def __init__(self, url: Url, credentials: str | None = None) -> None:
        super().__init__(url, credentials)
        self._connections: dict[int, Connection] = {}
        self._owner = ""
        schema, _, table = url.target.rpartition(".")
        path = (schema,) if schema else ()
        self._names = {"table": sql.Identifier(*path, table), "position": sql.Identifier(*path, f"{table}_position")}

    @classmethod
    def parse(cls, url: str) -> Url:
        parts = urlsplit(url)
        if parts.password is not None:
            raise MalformedUrl(
                "a password in a URL can be read by others: put it into a file, and give --credentials FILE"
            )
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        database = unquote(parts.path.removeprefix("/"))
        named = parts.hostname and database and "/" not in database and _NAME.match(options.get("table", ""))
        if not named or not options.keys() <= _OPTIONS or parts.fragment:
            raise MalformedUrl(_SHAPE)
        if not options.get("lanes", "1").isdigit():
            raise MalformedUrl("the option lanes is a number")
        try:
            port = parts.port or 5432
        except ValueError as error:
            raise MalformedUrl(_SHAPE) from error
        shown = f"postgresql://{parts.netloc}{parts.path}?{parts.query}"
        user = {"user": unquote(parts.username)} if parts.username else {}
        host = str(parts.hostname)
        return Url(
            shown, "postgresql", options["table"], host=host, port=port, options={**options, "dbname": database, **user}
        )

    # -- opening

    async def open(self, owner: Owner, *, fresh: bool) -> Limits:
        self._owner = owner.mark
        try:
            await self._prepare(owner, fresh=fresh)
            await self._probe()
        except psycopg.Error as error:
            if _lost(error):
                raise self._unavailable(error) from error
            raise DestinationRefused(
                f"table {self.url.target}: {_first_line(error)}", hint=error.diag.message_hint
            ) from error
        return Limits(message_bytes=64 * 1024 * 1024)

    async def _prepare(self, owner: Owner, *, fresh: bool) -> None:
        names = {name: identifier.as_string() for name, identifier in self._names.items()}
        standby, unlogged, absent = (await self._execute(0, _STATE, names))[0]
        table = self.url.target
        if standby:
            raise DestinationRefused("the server is a standby", hint="give the address of the primary")
        if unlogged:
            raise DestinationRefused(f"table {table} is emptied by a crash (unlogged)", hint="alter table … set logged")
        if absent and not fresh:
            raise TailLost(
                f"table {table} is gone, though messages were delivered to it", hint="restore it, or use another --name"
            )
        if absent:
            await self._execute(0, _ONE_AT_A_TIME + TABLES)
        await self._mark(owner, fresh=fresh)

    async def _mark(self, owner: Owner, *, fresh: bool) -> None:
        """The lanes carry their owner's mark: two outboxes, or two destinations of one, would block each other for ever."""
        table = self.url.target
        owners = {row[0] for row in await self._execute(0, "select owner from {position}")}
        if not owners and not fresh:
            raise TailLost(
                f"the positions of table {table} are gone", hint="restore them, or use another table and another --name"
            )
        if not owners:
            await self._execute(0, _LANES, {"owner": owner.mark, "lanes": owner.lanes})
            owners = {row[0] for row in await self._execute(0, "select owner from {position}")}
        if strangers := owners - {owner.mark}:
            raise ForeignWriter(
                f"table {table} belongs to another relay", hint=f"its owner is {min(strangers)}; use another table"
            )

    async def _probe(self) -> None:
        """The guard must be seen to work, and the role to be allowed to append."""
        if await self._append(0, (), Tail(_NOWHERE, None, None, "")):
            raise DestinationRefused(
                f"table {self.url.target} took an append that it had to refuse",
                hint="look for triggers and rules on it and its table of positions, or use another table",
            )

    # -- the lane

    async def tail(self, lane: int, known: Tail | None) -> Tail | None:  # noqa: ARG002  the position outlives the rows
        query = (
            "select p.position, p.id::text, p.lineage::text,"
            " exists (select from {table} as t where t.lane = p.lane and t.position > p.position)"
            " from {position} as p where p.lane = %(lane)s and p.owner = %(owner)s"
        )
        try:
            rows = await self._execute(lane, query, {"lane": lane, "owner": self._owner})
        except psycopg.errors.UndefinedTable as error:
            raise TailLost(f"table {self.url.target} is gone", hint="restore it, or use another --name") from error
        except psycopg.Error as error:
            raise self._unavailable(error) from error
        if not rows:
            return None
        position, message_id, lineage, beyond = rows[0]
        if beyond:
            raise ForeignWriter(
                f"table {self.url.target} has rows behind its position {position}",
                hint="give the relay a table of its own",
            )
        return Tail(position, message_id, lineage, token=str(position)) if position else None

    async def append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> Outcome:
        try:
            moved = await self._append(lane, batch, expected)
        except psycopg.Error as error:
            return _refusal(error, alone=len(batch) == 1)
        except DestinationUnavailable as error:
            return InDoubt(str(error))
        if not moved:
            return Refused("moved", f"table {self.url.target} does not end where it did")
        return Stored(token=str(batch[-1].position))

    async def _append(self, lane: int, batch: Sequence[Message], expected: Tail | None) -> bool:
        """Whether the lane was at the expected position, and so got the rows."""
        arguments: dict[str, object] = {
            "lane": lane,
            "owner": self._owner,
            "expected": expected.position if expected else 0,
            "expected_id": expected.message_id if expected else None,
            "count": len(batch),
            "last": batch[-1].position if batch else 0,
            "last_id": batch[-1].message_id if batch else None,
            "lineage": batch[-1].lineage if batch else None,
            **_columns(batch),
        }
        rows = await self._execute(lane, _APPEND, arguments)
        return bool(rows[0][0])

    async def read_back(self, lane: int, after: Tail | None, upto: Tail) -> AsyncIterator[tuple[int, str]]:
        query = (
            "select position, id::text from {table} where lane = %(lane)s and position > %(after)s and position <= %(upto)s"
            " order by position limit %(limit)s"
        )
        last = after.position if after else 0
        while True:
            arguments = {"lane": lane, "after": last, "upto": upto.position, "limit": _READ_BACK}
            try:
                rows = await self._execute(lane, query, arguments)
            except psycopg.Error as error:
                raise self._unavailable(error) from error
            for position, message_id in rows:
                yield position, message_id
            if len(rows) < _READ_BACK:
                return
            last = rows[-1][0]

    async def close(self) -> None:
        for lane in list(self._connections):
            await self._drop(lane)

    # -- the server

    @property
    def _where(self) -> str:
        return f"Postgres at {self.url.host}:{self.url.port}"

    async def _execute(
        self, lane: int, query: str, arguments: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        connection = await self._connected(lane)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                cursor = await connection.execute(sql.SQL(query).format(**self._names), arguments)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            if _lost(error):
                await self._drop(lane)
            raise
        except TimeoutError as error:
            await self._drop(lane)
            raise self._unavailable(error) from error
        except BaseException:
            await self._drop(lane)  # what was sent on it must not arrive behind our back
            raise

    async def _connected(self, lane: int) -> Connection:
        """A lane's own connection: lanes never wait for each other."""
        connection = self._connections.get(lane)
        if connection is None or connection.closed:
            self._connections[lane] = connection = await self._connect()
        return connection

    async def _connect(self) -> Connection:
        options = {name: value for name, value in self.url.options.items() if name not in {"table", "lanes"}}
        options |= _credentials(self.credentials)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await psycopg.AsyncConnection.connect(
                    host=self.url.host,
                    port=self.url.port,
                    autocommit=True,
                    prepare_threshold=None,
                    application_name="relay",
                    **options,  # type: ignore[arg-type]
                )
        except (psycopg.Error, TimeoutError) as error:
            raise self._cannot_connect(error) from error

    async def _drop(self, lane: int) -> None:
        connection = self._connections.pop(lane, None)
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    def _unavailable(self, error: BaseException) -> DestinationUnavailable:
        return DestinationUnavailable(f"{self._where} did not answer: {_first_line(error)}")

    def _cannot_connect(self, error: BaseException) -> DestinationUnavailable:
        said = str(error)
        if "authentication" in said or "no password" in said or "pg_hba" in said:
            hint = "give the file with the credentials: --credentials FILE"
            return DestinationUnavailable(f"{self._where} refuses the credentials", hint=hint)
        if "certificate" in said:
            hint = (
                "give the file of the authority that signed it (&sslrootcert=FILE), and the host's name as it is in it"
            )
            return DestinationUnavailable(f"{self._where} shows a certificate that is not trusted", hint=hint)
        if "does not support SSL" in said:
            hint = "set ssl = on there; or leave sslmode out of the URL, if the line is safe"
            return DestinationUnavailable(f"{self._where} speaks no TLS", hint=hint)
        return DestinationUnavailable(
            f"{self._where} cannot be reached", hint="check host, port and database, and that the server runs"
        )


def _credentials(path: str | None) -> dict[str, str]:
    """User and password, or a password alone."""
    if path is None:
        return {}
    user, colon, password = read_credentials(path).partition(":")
    return {"user": user, "password": password} if colon else {"password": user}


def _columns(batch: Sequence[Message]) -> dict[str, object]:
    return {
        "positions": [m.position for m in batch],
        "ids": [m.message_id for m in batch],
        "topics": [m.topic for m in batch],
        "keys": [m.key for m in batch],
        "types": [m.type for m in batch],
        "sources": [m.source for m in batch],
        "times": [m.created_at for m in batch],
        "lineages": [m.lineage for m in batch],
        "compensates": [m.compensates for m in batch],
        "causes": [m.caused_by for m in batch],
        "headers": [m.headers for m in batch],
        "data": [m.data for m in batch],
    }


def _lost(error: psycopg.Error) -> bool:
    """Whether it is the connection that failed, so that nobody can say what became of the statement."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (
        error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    )


def _refusal(error: psycopg.Error, *, alone: bool) -> Outcome:
    said = _first_line(error)
    if _lost(error):
        return InDoubt(said)
    if isinstance(error, psycopg.errors.DivisionByZero):
        said = "a trigger or a rule of the table drops rows"
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.SerializationFailure):
        return Refused("moved", said)
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.errors.ProgramLimitExceeded):
        return Refused("message" if alone else "batch", said)
    return Refused("busy", said)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
