"""How often things happen; the home of these defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds. `lease`: after which another relay may take a lane over; `refused_delay`: between two attempts at a message that
    the destination refuses."""

    lease: float = 10.0
    checkpoint: float = 1.0
    longest_delay: float = 5.0
    refused_delay: float = 30.0
