"""Errors of the relay: SQLSTATE class RL, numbered in the order of this tree.

    RelayError                   RL000
    |- DestinationRefused        RL001
    |- DestinationUnavailable    RL002
    |- ForeignWriter             RL003
    |- SourceRewound             RL004
    |- TailLost                  RL005
    `- LeaseLost                 RL006

A number once given is never given again: outsiders match on it. What only this process tells apart has its parent's number.
"""

from __future__ import annotations

from outbox.pg.errors import Fault


class RelayError(Fault):
    """Root of the errors of the relay."""

    sqlstate = "RL000"


class DestinationRefused(RelayError):
    """The destination's settings would break the guarantee, or it refuses a message for good."""

    sqlstate = "RL001"
    exit_code = 3


class DestinationUnavailable(RelayError):
    """The destination cannot be reached, or takes nothing at the moment."""

    sqlstate = "RL002"
    retryable = True
    hint = "see that it runs and takes writes; a relay that runs tries again by itself"


class ForeignWriter(RelayError):
    """Somebody else writes where this relay delivers."""

    sqlstate = "RL003"
    exit_code = 3


class SourceRewound(RelayError):
    """The database lost messages that were sealed, or that the destination holds: it was restored or copied."""

    sqlstate = "RL004"
    exit_code = 3


class TailLost(RelayError):
    """The destination no longer holds what it had acknowledged."""

    sqlstate = "RL005"
    exit_code = 3


class LeaseLost(RelayError):
    """Another relay has taken the lane."""

    sqlstate = "RL006"
    retryable = True
    exit_code = 6
    hint = "one relay at a time serves a lane: `relay status` says which; the others stand by"


class SourceUnavailable(RelayError):
    """Postgres cannot be reached. The relay waits for it."""

    retryable = True
    hint = "check --dsn, DATABASE_URL and PG*"


class SourceBusy(SourceUnavailable):
    """Somebody holds a lock for too long: nothing was changed, trying again helps."""

    exit_code = 6


class OptionsDiffer(RelayError):
    """Topics, lanes and start are recorded at the first run, and are not what is asked for now."""

    exit_code = 2
