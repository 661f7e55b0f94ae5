"""What runs in the relay processes of the tests. They are forked from one that has imported everything: a start takes 20 ms."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

# Imported before the fork: relays import these when they are needed.
import nats.aio.client  # noqa: F401
import psycopg  # noqa: F401
import redis.asyncio.connection  # noqa: F401

import relay.destinations.jsonl
import relay.destinations.nats
import relay.destinations.postgres
import relay.destinations.redis
import relay.destinations.stdout  # noqa: F401
from relay.cli import main
from relay.destinations import destination_class
from relay.pace import Pace
from relay.run import Options, run
from relay.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relay.destinations.base import Destination, Limits

_STEPS_OF_THE_SOURCE = ("seal", "take", "checkpoint", "leave")
_STEPS_OF_THE_DESTINATION = ("tail", "append")


def command(dsn: str, arguments: tuple[str, ...], out: str, talk: str) -> None:
    """`relay …` as at the command line."""
    _redirect(out, talk)
    os.environ["DATABASE_URL"] = dsn
    main(list(arguments))


def quick(
    dsn: str,
    url: str,
    credentials: str | None,
    pace: Pace,
    drain: bool,
    batch: int | None,
    die_at: int | None,
    out: str,
    talk: str,
) -> None:
    """`relay run` with a pace of the test's own. Batches hold at most `batch` messages; `die_at` counts the steps of a delivery."""
    _redirect(out, talk)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    if batch is not None:
        _limit_batches(destination_class(url), batch)
    if die_at is not None:
        _make_mortal(destination_class(url), die_at)
    run(Options(dsn, url, credentials=credentials, drain=drain, pace=pace), lambda text: print(text, file=sys.stderr))  # noqa: T201


def _redirect(out: str, talk: str) -> None:
    for path, number in ((out, 1), (talk, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115


def _limit_batches(kind: type[Destination], batch: int) -> None:
    really = kind.open

    async def opened(self: Any, *arguments: Any, **options: Any) -> Limits:
        return replace(await really(self, *arguments, **options), batch_messages=batch)

    kind.open = opened  # type: ignore[method-assign]


def _make_mortal(kind: type[Destination], die_at: int) -> None:
    """After every step of a delivery comes a moment; at one of them the process is killed."""
    moments = itertools.count(1)
    for owner, names in ((Source, _STEPS_OF_THE_SOURCE), (kind, _STEPS_OF_THE_DESTINATION)):
        for name in names:
            setattr(owner, name, _followed_by_a_moment(getattr(owner, name), moments, die_at))


def _followed_by_a_moment(step: Callable[..., Any], moments: Iterator[int], die_at: int) -> Callable[..., Any]:
    @functools.wraps(step)
    async def stepped(*arguments: Any, **options: Any) -> Any:
        result = await step(*arguments, **options)
        if next(moments) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return stepped
