"""The relay's state machine, small enough to be explored whole: seal, lease, append, recover, park, retry.

Two relays share one lane. The network keeps, reorders and drops appends; relays crash, sleep and steal each other's lease at any
moment; the destination refuses one message until an operator lifts its limit; the parked key is tried again. Each action is one
statement or one request of the real thing and is named after it: `take` is relay.take_lane, `recover` is find_place in
relay/recovery.py, `set_aside`, `retry` and `is_aside` are the SQL functions, `note` is relay.note_arrival. A change there belongs
here too.

A place is a number in the order of all seals, and is the position; the destination is the list of places that it stored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 2
FIRST_SEAL = ("a1", "b1", "a2")
SECOND_SEAL = ("a3",)
REFUSED = "a1"


class Park(NamedTuple):
    """A refused message at its place; its key waits up to the place `until` (None: it waits)."""

    place: int
    until: int | None


class Append(NamedTuple):
    """A request on its way, for a tail that it expects."""

    sender: int
    places: tuple[int, ...]
    expected: int


class Relay(NamedTuple):
    """One process. `state`: down (must recover), ready, waiting (for the answer to `sent`) or refused (the message at `cursor`).

    `tail` is what it knows to be stored last, `cursor` the next place to look at, `parks` and `seen` what it has read."""

    epoch: int = 0
    state: str = "down"
    tail: int = -1
    cursor: int = 0
    parks: tuple[Park, ...] = ()
    seen: int = 0
    sent: Append | None = None


class World(NamedTuple):
    """Everything. `sealed`: messages in the order of the seals; `faults` and `lifted` bound and drive the search."""

    sealed: tuple[str, ...] = FIRST_SEAL
    second: bool = False
    parks: tuple[Park, ...] = ()
    arrivals: tuple[tuple[str, int], ...] = ()
    epoch: int = 0
    checkpoint: int = -1
    stored: tuple[int, ...] = ()
    network: frozenset[Append] = frozenset()
    relays: tuple[Relay, Relay] = (Relay(), Relay())
    lifted: bool = False
    retried: bool = False
    faults: int = 0


@dataclass(frozen=True)
class Rules:
    """What the real thing does; a mutant switches one of these off."""

    conditional: bool = True
    reads_back: bool = True
    one_in_flight: bool = True
    key_waits: bool = True
    retry_fences: bool = True
    most_faults: int = 1


class Violation(AssertionError):
    """What must never be, with the steps that lead there."""


def key(message: str) -> str:
    return message[0]


def is_aside(world: World, rules: Rules, parks: tuple[Park, ...], place: int) -> bool:
    message = world.sealed[place]
    for arrived, where in world.arrivals:
        if arrived == message:
            return where != place
    return any(
        park.place == place
        or (
            rules.key_waits
            and key(world.sealed[park.place]) == key(message)
            and park.place < place
            and (park.until is None or place < park.until)
        )
        for park in parks
    )


def explore(rules: Rules) -> int:
    """Go through every state that can be reached; how many there are. Raises `Violation`."""
    start = World()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    todo = deque([start])
    while todo:
        world = todo.popleft()
        wrong = what_is_wrong(world, rules)
        if wrong is not None:
            raise Violation(f"{wrong}: {' / '.join(_path(came_from, world))} -> {_delivered(world)}")
        for step, following in steps(world, rules):
            if following not in came_from:
                came_from[following] = (world, step)
                todo.append(following)
    return len(came_from)


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    taken: list[str] = []
    while (came := came_from[world]) is not None:
        world, step = came
        taken.append(step)
    return taken[::-1]


def _delivered(world: World) -> list[str]:
    return [world.sealed[place] for place in world.stored]


def what_is_wrong(world: World, rules: Rules) -> str | None:
    delivered = _delivered(world)
    if len(set(delivered)) < len(delivered):
        return "a message is there twice"
    for one in "ab":
        mine = [message for message in delivered if key(message) == one]
        if mine != [f"{one}{n}" for n in range(1, len(mine) + 1)]:
            return f"the messages of key {one} are out of order, or one is passed over"
    tail = world.stored[-1] if world.stored else -1
    for place in range(tail):
        if place not in world.stored and not is_aside(world, rules, world.parks, place):
            return f"place {place} is neither stored nor set aside"
    waits = any(park.until is None for park in world.parks)
    for relay in world.relays:
        at_end = relay.state == "ready" and relay.cursor == len(world.sealed) and relay.epoch == world.epoch
        if at_end and not waits and set(delivered) != set(world.sealed):
            return "a relay takes itself to be done, and something is missing"
    return None


def steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    for number, relay in enumerate(world.relays):
        for step, following in _relay_steps(world, rules, number, relay):
            yield f"{step} {number}", following
    for one in world.network:
        rest = world._replace(network=world.network - {one})
        yield from _arrive(rest, rules, one)
        if world.faults < rules.most_faults:
            yield "drop", rest._replace(faults=world.faults + 1)
    if not world.second:
        yield "seal", world._replace(sealed=world.sealed + SECOND_SEAL, second=True)
    if not world.lifted:
        yield "lift", world._replace(lifted=True)
    if world.lifted and not world.retried and any(park.until is None for park in world.parks):
        yield "retry", _retry(world, rules)


def _relay_steps(world: World, rules: Rules, number: int, relay: Relay) -> Iterator[tuple[str, World]]:
    def become(changed: Relay, base: World = world) -> World:
        return base._replace(relays=(changed, base.relays[1]) if number == 0 else (base.relays[0], changed))

    mine = relay.epoch == world.epoch
    if relay.epoch == 0 or not mine:
        free = world.epoch == 0 or world.faults < rules.most_faults  # a lease that ran out too early counts as a fault
        if free:
            taken = world._replace(epoch=world.epoch + 1, faults=world.faults + (world.epoch > 0))
            yield "take", become(Relay(epoch=taken.epoch), taken)
    if relay.state == "down" and mine and relay.epoch:
        yield "recover", become(*_recover(world, rules, relay))
    if relay.state == "ready" or (not rules.one_in_flight and relay.state == "waiting"):
        for step, changed, base in _send(world, rules, number, relay):
            yield step, become(changed, base)
    if relay.state == "ready" and mine and world.checkpoint != relay.tail:
        yield "checkpoint", world._replace(checkpoint=relay.tail)
    if relay.state == "refused":
        yield "set aside", become(*_set_aside(world, relay, mine=mine))
    if relay.state == "waiting" and world.faults < rules.most_faults:
        yield "time out", become(relay._replace(state="down", sent=None), world._replace(faults=world.faults + 1))


def _recover(world: World, rules: Rules, relay: Relay) -> tuple[Relay, World]:
    """From the checkpoint to the tail, beside what is stored: what was set aside and is there has arrived."""
    tail = world.stored[-1] if world.stored else -1
    if rules.reads_back:
        for place in world.stored:
            if place > world.checkpoint and is_aside(world, rules, world.parks, place):
                world = _note(world, place)
    fresh = Relay(relay.epoch, "ready", tail, tail + 1, world.parks, len(world.sealed))
    return fresh, world


def _note(world: World, place: int) -> World:
    message = world.sealed[place]
    arrivals = world.arrivals if message in dict(world.arrivals) else (*world.arrivals, (message, place))
    parks = tuple(p for p in world.parks if not (world.sealed[p.place] == message and p.until is None))
    return world._replace(arrivals=arrivals, parks=parks)


def _send(world: World, rules: Rules, number: int, relay: Relay) -> Iterator[tuple[str, Relay, World]]:
    """Read on, or send what was read; what was read may be old by now, so both are steps of their own."""
    if (
        (relay.parks, relay.seen) != (world.parks, len(world.sealed))
        and relay.state == "ready"
        and relay.epoch == world.epoch
    ):
        yield "read", relay._replace(parks=world.parks, seen=len(world.sealed)), world
    live = [p for p in range(relay.cursor, relay.seen) if not is_aside(world, rules, relay.parks, p)][:BATCH]
    if not live:
        if relay.cursor < relay.seen:
            yield "pass over", relay._replace(cursor=relay.seen), world
        return
    if live[0] == relay.cursor and world.sealed[live[0]] == REFUSED and not world.lifted and relay.state == "ready":
        yield "set aside untried", *_set_aside(world, relay, mine=relay.epoch == world.epoch)  # relays crashed at it
    expected = relay.sent.places[-1] if relay.sent is not None else relay.tail
    for places in {tuple(live), tuple(live[:1])}:  # a batch that was refused is halved
        if relay.sent is not None and live[0] <= relay.sent.places[-1]:
            continue
        sent = Append(number, places, expected)
        after = relay._replace(state="waiting", cursor=places[-1] + 1, sent=sent)
        yield "append", after, world._replace(network=world.network | {sent})


def _arrive(world: World, rules: Rules, one: Append) -> Iterator[tuple[str, World]]:
    """The destination stores or refuses; its answer comes, or is lost."""
    tail = world.stored[-1] if world.stored else -1
    relay = world.relays[one.sender]
    refused = not world.lifted and any(world.sealed[place] == REFUSED for place in one.places)
    if rules.conditional and one.expected != tail:
        answer = relay._replace(state="down", sent=None)
    elif refused and len(one.places) == 1:
        answer = relay._replace(state="refused", cursor=one.places[0], sent=None)
    elif refused:
        answer = relay._replace(state="down", sent=None)
    else:
        world = world._replace(stored=world.stored + one.places)
        answer = relay._replace(state="ready", tail=one.places[-1], sent=None)
    if relay.state == "waiting" and relay.sent == one:
        yield "answer", world._replace(relays=_with(world.relays, one.sender, answer))
        if world.faults < rules.most_faults:
            yield "lose the answer", world._replace(faults=world.faults + 1)
    else:
        yield "arrive late", world


def _with(relays: tuple[Relay, Relay], number: int, changed: Relay) -> tuple[Relay, Relay]:
    return (changed, relays[1]) if number == 0 else (relays[0], changed)


def _set_aside(world: World, relay: Relay, *, mine: bool) -> tuple[Relay, World]:
    down = relay._replace(state="down")
    known = any(park.place == relay.cursor for park in world.parks)
    if not mine or known:
        return down, world
    return down, world._replace(parks=(*world.parks, Park(relay.cursor, None)))


def _retry(world: World, rules: Rules) -> World:
    """One transaction under the lock of sealing: what comes later comes after it."""
    until = len(world.sealed)
    arrived = dict(world.arrivals)
    again: list[str] = []
    parks: list[Park] = []
    for park in world.parks:
        if park.until is not None:
            parks.append(park)
            continue
        held = key(world.sealed[park.place])
        waiting = [m for p, m in enumerate(world.sealed) if p >= park.place and key(m) == held and m not in arrived]
        again += waiting
        parks.append(Park(park.place, until if rules.retry_fences else park.place + 1))
    return world._replace(sealed=world.sealed + tuple(again), parks=tuple(parks), retried=True)


if __name__ == "__main__":  # for `make soak`: ten times the states, in well under a minute
    print(f"{explore(Rules(most_faults=2)):,} states of the relay's model hold")  # noqa: T201
