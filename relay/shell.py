"""What every command of `relay` shares: errors as one line and an exit code, the option --dsn, a connection."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from outbox.pg.dsn import DsnError, resolve_dsn
from relay.destinations.base import MalformedUrl
from relay.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOTHING = 4
EXIT_INTERRUPTED = 130


class App(click.Group):
    """The group of all commands; turns every error into one clear line and its exit code."""

    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> NoReturn:
        """Run one command and exit. A command returns its exit code, or None for 0."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        options["standalone_mode"] = False
        try:
            code = super().main(words, *positional, **options)
        except (click.Abort, KeyboardInterrupt):
            say("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            sys.exit(_fail("usage", error.format_message(), None, EXIT_USAGE, as_json=as_json))
        except (DsnError, MalformedUrl) as error:
            sys.exit(_fail("usage", str(error), getattr(error, "hint", None), EXIT_USAGE, as_json=as_json))
        except RelayError as error:
            sys.exit(
                _fail(
                    error.sqlstate, str(error), error.hint, error.exit_code, as_json=as_json, retryable=error.retryable
                )
            )
        sys.exit(code if isinstance(code, int) else 0)


def say(text: str) -> None:
    """Talk, to stderr."""
    click.echo(text, err=True)


def _fail(code: str, message: str, hint: str | None, exit_code: int, *, as_json: bool, retryable: bool = False) -> int:
    line = message.strip().splitlines()[0] if message.strip() else code
    if as_json:
        error = {"code": code, "message": line, "hint": hint, "retryable": retryable}
        click.echo(json.dumps({"schema": "error/1", "error": error}))
        return exit_code
    say(f"{'usage' if exit_code == EXIT_USAGE else 'error'}: {line}")
    if hint:
        say(f"hint: {hint}")
    return exit_code


def with_dsn(command: Callable[..., int | None]) -> Callable[..., int | None]:
    option = click.option("--dsn", metavar="DSN", help="Database; default: DATABASE_URL, then PG*. Without a password.")
    return option(functools.wraps(command)(command))


def require_known(conn: psycopg.Connection[Any], name: str | None) -> None:
    row = conn.execute("select relay.lanes_of(%s)", [name]).fetchone()
    if name is not None and (row is None or row[0] is None):
        raise click.UsageError(f"there is no destination {name}; see: relay status")


@contextmanager
def connected(dsn: str | None) -> Iterator[psycopg.Connection[Any]]:
    import psycopg  # noqa: PLC0415

    from relay.faults import translated  # noqa: PLC0415

    with translated(), psycopg.connect(resolve_dsn(dsn), autocommit=True, connect_timeout=10) as conn:
        yield conn
