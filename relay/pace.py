"""How often things happen; the home of these defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds. `lease`: after which another relay may take a lane over; `refused_delay`: between two attempts at a message that
    the destination refuses; `tending`: between two looks at what partitions to make and to drop."""

    lease: float = 10.0
    checkpoint: float = 1.0
    longest_delay: float = 5.0
    refused_delay: float = 30.0
    tending: float = 60.0
