"""What a rollback must come to, worked out from what the tables held after each step: the journal is not asked.

Rows are followed by their identity, columns by their values. What the session changed and nobody changed after it has to be
as it was before; what nobody but others changed has to stay; where both were, the rollback has to refuse.
"""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from tests.journal.model.schema import ForeignKey, Schema, Table
from tests.journal.model.world import Confused, Event, Row, State

Value = str | None
ABSENT = "\0absent"
Key = tuple[str, tuple[Value, ...]]


class Verdict(Enum):
    UNTOUCHED = "nobody of ours was here"
    RESTORE = "must be restored"
    CONFLICT = "must be refused"
    EITHER = "may be restored or refused"


@dataclass
class Line:
    """One row through time. A row that the session deletes and inserts again under the same key goes on."""

    table: Table
    number: int
    changes: list[tuple[bool, Row | None, Row | None]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    slots: set[tuple[Value, ...]] = field(default_factory=set)
    rids: set[int] = field(default_factory=set)
    current: Row | None = None
    expected: Row | None = None
    base: Row | None = None
    bases: dict[int, Value] = field(default_factory=dict)
    verdict: Verdict = Verdict.UNTOUCHED
    rewritten: bool = False
    why: str = ""


@dataclass
class Expectation:
    """The lines of a history, and the state that a rollback of the session should lead to, if nothing stands in the way."""

    schema: Schema
    lines: list[Line]
    current: State
    state: State
    followers: set[tuple[str, int]] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    @property
    def ours(self) -> list[Line]:
        return [line for line in self.lines if line.verdict is not Verdict.UNTOUCHED]

    def having(self, verdict: Verdict) -> list[Line]:
        return [line for line in self.lines if line.verdict is verdict]


def slot_of(table: Table, row: Row) -> tuple[Value, ...]:
    """The key of a row, as its equality sees it."""
    return tuple(table.column(k).normal(row[table.index(k)]) for k in table.key)


def rid_of(table: Table, row: Row) -> int:
    return int(row[table.index("rid")] or 0)


def expect(schema: Schema, events: Sequence[Event], current: State, own: Iterable[str]) -> Expectation:
    """The expectation for a rollback of the actors `own`, after `events`."""
    lines = [line for table in schema.tables for line in _lines(table, events, current, set(own))]
    for line in lines:
        _judge(line)
    _forgive_reused_slots(lines)
    made = Expectation(schema, lines, current, merged(schema, lines, current))
    made.followers = follow(schema, made.lines, made.state)
    made.violations = [*violations(schema, made.state), *_renumbered(lines)]
    return made


def _renumbered(lines: Iterable[Line]) -> Iterable[str]:
    """Rows that would have to get a number back in a column that always numbers itself: no UPDATE does that."""
    for line in lines:
        if line.current is not None and line.expected is not None:
            for column, one, other in zip(line.table.stored, line.current, line.expected, strict=True):
                if column.identity == "always" and one != other:
                    yield f"{line.table.name} {column.name}: {one} is to be {other}"


def _lines(table: Table, events: Sequence[Event], current: State, own: set[str]) -> list[Line]:
    tracker = _Tracker(table, own)
    for event in events:
        tracker.note(event)
    for rid, row in current[table.name].items():
        tracker.line(rid).current = row
    return list(tracker.lines.values())


@dataclass
class _Tracker:
    table: Table
    own: set[str]
    lines: dict[int, Line] = field(default_factory=dict)
    members: dict[int, int] = field(default_factory=dict)
    now: int = 0
    vacated: dict[tuple[Value, ...], int] = field(default_factory=dict)

    def line(self, rid: int) -> Line:
        number = self.members.setdefault(rid, rid)
        return self.lines.setdefault(number, Line(self.table, number))

    def note(self, event: Event) -> None:
        self.now += 1
        ours = event.actor in self.own or event.actor.partition(".")[0] in self.own
        before, after = event.before[self.table.name], event.after[self.table.name]
        gone = {rid: before[rid] for rid in before.keys() - after.keys()}
        come = {rid: after[rid] for rid in after.keys() - before.keys()}
        for rid in before.keys() & after.keys():
            if before[rid] != after[rid]:
                self._add(rid, ours, before[rid], after[rid])
        if ours:
            self.vacated |= {slot_of(self.table, row): self.members.setdefault(rid, rid) for rid, row in gone.items()}
        else:
            self._note_rewritten(event)
        for rid, row in come.items():
            self._add(rid, ours, self._replaced(rid, row, gone, ours=ours), row)
        for rid, row in gone.items():
            self._add(rid, ours, row, None)
        for row in after.values():
            self.vacated.pop(slot_of(self.table, row), None)
        numbers = [self.members.get(rid, rid) for rid in after]
        if len(set(numbers)) < len(numbers):
            raise Confused(f"two rows of {self.table.name} go on as one")

    def _note_rewritten(self, event: Event) -> None:
        for name, rid in event.rewritten:
            if name == self.table.name:
                self.line(rid).rewritten = True

    def _replaced(self, rid: int, row: Row, gone: dict[int, Row], *, ours: bool) -> Row | None:
        """The row that a new one takes the place of in the same step. A new row of ours is heir to ours that left its key."""
        heir = self.vacated.get(slot_of(self.table, row)) if ours else None
        if heir is not None and not self._were_both_there(rid, heir):
            self._join(rid, heir)
        self.members.setdefault(rid, rid)
        old = next((r for r in gone if self.members.get(r) == self.members[rid]), None)
        return gone.pop(old) if old is not None else None

    def _were_both_there(self, rid: int, heir: int) -> bool:
        """Whether a row that comes back has lived beside the one that left its key: then each goes on by itself."""
        one, other = (self.lines.get(number) for number in (self.members.get(rid, rid), heir))
        return one is not None and other is not None and one is not other and _overlap(one, other)

    def _join(self, rid: int, heir: int) -> None:
        """Lets a row go on where another left its key. It may have been there before: then both have been one all the time."""
        line = self.lines.pop(heir, Line(self.table, heir))
        former = self.lines.pop(self.members.get(rid, heir), None)
        if former is not None:
            course = sorted(
                zip((*former.times, *line.times), (*former.changes, *line.changes), strict=True), key=lambda c: c[0]
            )
            line.times, line.changes = [t for t, _ in course], [c for _, c in course]
            line.slots |= former.slots
            line.rids |= former.rids
        self.lines[heir] = line
        self.members |= dict.fromkeys((rid, *line.rids), heir)

    def _add(self, rid: int, ours: bool, before: Row | None, after: Row | None) -> None:
        line = self.line(rid)
        line.rids.add(rid)
        line.times.append(self.now)
        line.changes.append((ours, before, after))
        if ours:
            line.slots |= {slot_of(self.table, row) for row in (before, after) if row is not None}


def _overlap(one: Line, other: Line) -> bool:
    return any(begin < end2 and begin2 < end for begin, end in _stays(one) for begin2, end2 in _stays(other))


def _stays(line: Line) -> Iterable[tuple[int, int]]:
    """From when until when the row was there, by what happened to it."""
    since = -1
    for time, (_, before, after) in zip(line.times, line.changes, strict=True):
        if before is not None and after is None:
            yield since, time
        elif before is None:
            since = time
    if line.changes[-1][2] is not None:
        yield since, sys.maxsize


def _judge(line: Line) -> None:
    """Column by column: as it was before us, as it is, or in conflict; then the row as a whole."""
    values: list[Value] = []
    bases: list[Value] = []
    verdicts: set[str] = set()
    for number, column in enumerate(line.table.stored):
        current = _cell(line.current, number)
        if column.maintained:
            values.append(current)
            bases.append(current)
            continue
        changes = [(o, _cell(b, number), _cell(a, number)) for o, b, a in line.changes]
        found = _judge_counter(changes, current) if column.counter else None
        verdict, value, base = found or _judge_cell(changes, current)
        verdicts.add(verdict)
        values.append(value)
        bases.append(base)
        if verdict != "kept":
            line.bases[number] = base
        if verdict == "conflict":
            line.why += f" {column.name}"
    line.base = None if ABSENT in bases else tuple(bases)
    line.verdict = _row_verdict(line, verdicts)
    if line.verdict in {Verdict.RESTORE, Verdict.EITHER}:
        _set_expected(line, values)
    else:
        line.expected = line.current


def reborn(line: Line) -> Line | None:
    """The row since others inserted it again: to the rollback another one than that which we had deleted."""
    starts = [n for n, (ours, before, _) in enumerate(line.changes) if n > 0 and not ours and before is None]
    if not starts:
        return None
    later = replace(line, changes=line.changes[starts[-1] :], times=line.times[starts[-1] :], bases={}, why="")
    _judge(later)
    return later


def _row_verdict(line: Line, verdicts: set[str]) -> Verdict:
    if not any(ours for ours, _, _ in line.changes):
        return Verdict.UNTOUCHED
    if "conflict" in verdicts:
        return Verdict.EITHER if line.table.summary is not None else Verdict.CONFLICT
    if "settled" in verdicts or (_inserted(line) and _written_since(line)) or _is_rekeyed_by_both(line):
        return Verdict.EITHER
    return Verdict.RESTORE


def _inserted(line: Line) -> bool:
    """Whether the row is ours: who writes it afterwards, even without changing it, may count on it."""
    return next(before for ours, before, _ in line.changes if ours) is None


def _written_since(line: Line) -> bool:
    first = next(n for n, (ours, _, _) in enumerate(line.changes) if ours)
    return line.rewritten or not all(ours for ours, _, _ in line.changes[first:])


def _is_rekeyed_by_both(line: Line) -> bool:
    """Whether we and others changed its key, be it in different columns: it counts as one value."""
    changes = [(ours, b, a) for ours, b, a in line.changes if b is not None and a is not None]
    return {ours for ours, b, a in changes if slot_of(line.table, b) != slot_of(line.table, a)} == {True, False}


def _set_expected(line: Line, values: list[Value]) -> None:
    stored = [v for v, c in zip(values, line.table.stored, strict=True) if not c.maintained]
    absent = [v == ABSENT for v in stored]
    if all(absent):
        line.expected = None
    elif any(absent):
        line.verdict, line.expected = Verdict.EITHER, line.current
    else:
        line.expected = tuple(None if v == ABSENT else v for v in values)


def _judge_cell(changes: list[tuple[bool, Value, Value]], current: Value) -> tuple[str, Value, Value]:
    """What is to be said of one column, the value it should have, and the one that it had before us."""
    runs = _runs(changes)
    first = next((n for n, (ours, _, _) in enumerate(runs) if ours), None)
    if first is None:
        return "kept", current, current
    base = runs[first][1]
    if all(ours for ours, _, _ in runs[first:]):
        return "restored", base, base
    return "settled" if current == base else "conflict", current, base


def _judge_counter(changes: list[tuple[bool, Value, Value]], current: Value) -> tuple[str, Value, Value] | None:
    """By difference: what we added goes, what others added stays. None where there is no difference, as a value is missing: then it
    is a column like any other. What was missing in the hands of others, or went with the row, may be refused."""
    runs = list(itertools.dropwhile(lambda run: not run[0], _runs(changes)))
    ours = [(before, after) for mine, before, after in runs if mine]
    theirs = [cell for mine, *cells in runs if not mine for cell in cells]
    if not theirs:
        return None
    if current == ABSENT and ours[-1][1] == ABSENT:
        current = ours.pop()[0]
    cells = [*(cell for pair in ours for cell in pair), current]
    if any(cell in {None, ABSENT} for cell in cells):
        return None
    base = str(int(str(current)) - sum(int(str(after)) - int(str(before)) for before, after in ours))
    certain = not any(cell in {None, ABSENT} for cell in theirs) and runs[-1][2] != ABSENT
    return "restored" if certain else "settled", base, base


def _runs(changes: list[tuple[bool, Value, Value]]) -> list[tuple[bool, Value, Value]]:
    """What each side did in one go counts as a whole; what comes to nothing is nothing, if it was ours."""
    runs: list[tuple[bool, Value, Value]] = []
    for ours, before, after in changes:
        if before == after:
            continue
        if runs and ours and runs[-1][0]:
            runs[-1] = (True, runs[-1][1], after)
            if runs[-1][1] == runs[-1][2]:
                runs.pop()
        else:
            runs.append((ours, before, after))
    return runs


def _cell(row: Row | None, number: int) -> Value:
    return ABSENT if row is None else row[number]


def _forgive_reused_slots(lines: list[Line]) -> None:
    """A row of ours that is gone, and whose place somebody else's row has taken: by its key the two are one.

    One that we changed may be refused, or be nothing: where the other row has the values that ours had before us.
    """
    taken = {(line.table.name, slot_of(line.table, line.current)): line for line in lines if line.current is not None}
    for line in lines:
        if line.current is None and line.verdict in {Verdict.RESTORE, Verdict.CONFLICT}:
            others = [taken.get((line.table.name, slot)) for slot in line.slots]
            met = [x for x in others if x is not None and any(not ours for ours, _, _ in x.changes)]
            if met and (line.verdict is Verdict.RESTORE or any(_has(x.current, line.bases) for x in met)):
                line.verdict = Verdict.EITHER


def _has(row: Row | None, values: dict[int, Value]) -> bool:
    return row is not None and all(row[number] == value for number, value in values.items())


def merged(schema: Schema, lines: Iterable[Line], current: State) -> State:
    """The state with every line at its expected row."""
    state: State = {table.name: dict(current[table.name]) for table in schema.tables}
    for line in lines:
        if line.verdict is not Verdict.UNTOUCHED and line.current is not None:
            state[line.table.name].pop(rid_of(line.table, line.current), None)
    for line in lines:
        if line.verdict is not Verdict.UNTOUCHED and line.expected is not None:
            state[line.table.name][rid_of(line.table, line.expected)] = line.expected
    return state


def follow(schema: Schema, lines: Sequence[Line], state: State) -> set[tuple[str, int]]:
    """Lets the children of rows that get their key back follow, where the foreign key cascades. Returns who followed."""
    following = _Following(schema, state, _pinned(lines))
    for line in lines:
        if line.current is not None and line.expected is not None and line.current != line.expected:
            following.moved[line.table.name].append((line.current, line.expected))
    keys = [(table, key) for table in schema.tables for key in table.foreign_keys]
    while sum(following.through(table, key) for table, key in keys):
        pass
    return following.followers


def _pinned(lines: Iterable[Line]) -> set[tuple[str, int, str]]:
    """Cells that the rollback sets itself."""
    return {
        (line.table.name, rid_of(line.table, line.expected), column.name)
        for line in lines
        if line.expected is not None
        for number, column in enumerate(line.table.stored)
        if line.current is None or line.current[number] != line.expected[number]
    }


@dataclass
class _Following:
    schema: Schema
    state: State
    pinned: set[tuple[str, int, str]]
    moved: dict[str, list[tuple[Row, Row]]] = field(default_factory=lambda: defaultdict(list))
    followers: set[tuple[str, int]] = field(default_factory=set)

    def through(self, table: Table, key: ForeignKey) -> bool:
        """Lets rows of a table follow through one foreign key; whether any did."""
        if key.on_update != "cascade":
            return False
        parent = self.schema.table(key.parent)
        pairs = [(_reference(parent, key.referenced, old), new) for old, new in self.moved[parent.name]]
        return sum(self._one(table, key, here, parent, new) for here, new in pairs) > 0

    def _one(self, table: Table, key: ForeignKey, here: tuple[Value, ...] | None, parent: Table, new: Row) -> bool:
        if here is None or here == _reference(parent, key.referenced, new):
            return False
        found = [rid for rid, row in self.state[table.name].items() if _reference(table, key.columns, row) == here]
        free = [rid for rid in found if not self._is_settled(table, rid, key)]
        for rid in free:
            row = self.state[table.name][rid]
            values = list(row)
            for child, referenced in zip(key.columns, key.referenced, strict=True):
                values[table.index(child)] = new[parent.index(referenced)]
            self.state[table.name][rid] = tuple(values)
            self.moved[table.name].append((row, tuple(values)))
            self.followers.add((table.name, rid))
        return bool(free)

    def _is_settled(self, table: Table, rid: int, key: ForeignKey) -> bool:
        return (table.name, rid) in self.followers or any((table.name, rid, c) in self.pinned for c in key.columns)


def _reference(table: Table, columns: Sequence[str], row: Row) -> tuple[Value, ...] | None:
    values = tuple(table.column(c).normal(row[table.index(c)]) for c in columns)
    return None if None in values else values


def is_entangled(expected: Expectation) -> bool:
    """Whether a key goes back to which foreign keys of both kinds refer: those that follow it and those that hold it.

    What follows has to be seen before the rest is undone, and what holds lets go only with the rest. No order of statements
    does both as long as the constraints are not deferrable, so such a rollback may be refused. So may one that puts a key back
    that is held, and that another row takes or leaves: in one statement their images would have no order.
    """
    keys = [key for table in expected.schema.tables for key in table.foreign_keys]
    for key in keys:
        held = [line for line in expected.ours if line.table.name == key.parent and _has_moved(line, key.referenced)]
        followed = any(k.parent == key.parent and k.on_update == "cascade" for k in keys)
        if key.on_update != "cascade" and any(
            followed or _is_met(line, expected.ours, key.referenced) for line in held
        ):
            return True
    return False


def _is_met(moved: Line, lines: Iterable[Line], columns: Sequence[str]) -> bool:
    others = (line for line in lines if line is not moved and line.table is moved.table)
    return any(_stands_at(moved, columns) & _stands_at(other, columns) for other in others)


def _stands_at(line: Line, columns: Sequence[str]) -> set[tuple[Value, ...] | None]:
    return {_reference(line.table, columns, row) for row in (line.current, line.expected) if row is not None} - {None}


def _has_moved(line: Line, columns: Sequence[str]) -> bool:
    if line.current is None or line.expected is None:
        return False
    return _reference(line.table, columns, line.current) != _reference(line.table, columns, line.expected)


def bystanders(schema: Schema, events: Sequence[Event], own: set[str], others: set[str]) -> set[str]:
    """Who of the others shares nothing with us, nor with those who do: no row, no unique place, no reference."""
    reach = set[Key]()
    waiting = {actor: _places(schema, events, {actor}) for actor in others}
    reached = _places(schema, events, own)
    while reached:
        reach |= reached
        met = {actor for actor, places in waiting.items() if places & reach}
        reached = {place for actor in met for place in waiting.pop(actor)}
    return set(waiting)


def _places(schema: Schema, events: Sequence[Event], actors: set[str]) -> set[Key]:
    """What actors have touched, as far as others may build on it. Tables with triggers or indexes of their own are taken whole."""
    found = set[Key]()
    for event in events if actors else ():
        if event.actor in actors:
            for table in schema.tables:
                before, after = event.before[table.name], event.after[table.name]
                touched = [rid for rid in before.keys() | after.keys() if before.get(rid) != after.get(rid)]
                touched += [rid for name, rid in event.rewritten if name == table.name]
                for rid in touched:
                    found |= _places_of(schema, table, rid, [r for r in (before.get(rid), after.get(rid)) if r])
    return found


def _places_of(schema: Schema, table: Table, rid: int, rows: Iterable[Row]) -> set[Key]:
    found: set[Key] = {(table.name, (str(rid),))}
    if (
        table.indexes
        or table.triggers
        or any(t.summary and table.name in {t.name, t.summary.of} for t in schema.tables)
    ):
        found.add((table.name, ()))
    unique = {table.key, *(u.columns for u in table.uniques)}
    for row in rows:
        for columns in unique:
            found.add((table.name, ("unique", *columns, *(_reference(table, columns, row) or ()))))
        for key in table.foreign_keys:
            value = _reference(table, key.columns, row)
            if value is not None:
                found.add((key.parent, ("unique", *key.referenced, *value)))
    return found


def violations(schema: Schema, state: State) -> list[str]:
    """The constraints that a state would violate, each named with a row."""
    return [
        v
        for table in schema.tables
        for v in (*_duplicates(table, state), *_orphans(schema, table, state), *_checks(table, state))
    ]


def _duplicates(table: Table, state: State) -> Iterable[str]:
    for columns in (table.key, *(u.columns for u in table.uniques)):
        seen: dict[tuple[Value, ...], int] = {}
        for rid, row in state[table.name].items():
            value = _reference(table, columns, row)
            if value is not None and value in seen:
                yield f"{table.name} {columns}: {value} in rows {seen[value]} and {rid}"
            if value is not None:
                seen[value] = rid
    for index in table.indexes:
        places = {
            rid: place for rid, row in state[table.name].items() if (place := index.place(table, row)) is not None
        }
        for (rid, place), (other, taken) in itertools.combinations(places.items(), 2):
            if index.meet(place, taken):
                yield f"{table.name} {index.sql(table.name)}: {place} and {taken} in rows {rid} and {other}"


def _orphans(schema: Schema, table: Table, state: State) -> Iterable[str]:
    for key in table.foreign_keys:
        parent = schema.table(key.parent)
        there = {_reference(parent, key.referenced, row) for row in state[parent.name].values()}
        for rid, row in state[table.name].items():
            value = _reference(table, key.columns, row)
            if value is not None and value not in there:
                yield f"{table.name} row {rid} refers to {key.parent} {value}"
            if key.full and value is None and any(row[table.index(c)] is not None for c in key.columns):
                yield f"{table.name} row {rid} refers to {key.parent} in part"


def _checks(table: Table, state: State) -> Iterable[str]:
    for check in table.checks:
        for rid, row in state[table.name].items():
            if not check.holds({c.name: v for c, v in zip(table.stored, row, strict=True)}):
                yield f"{table.name} row {rid}: {check.sql}"
