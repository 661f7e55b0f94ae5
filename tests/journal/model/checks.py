"""What must hold of every rollback, and the course of one check: history, plan, dry run, rollback, again, redo, undo."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from tests.journal.model.history import History
from tests.journal.model.oracle import (
    Expectation,
    Line,
    Value,
    Verdict,
    bystanders,
    expect,
    follow,
    is_entangled,
    merged,
    reborn,
    rid_of,
    slot_of,
    violations,
)
from tests.journal.model.schema import Schema, Table, quoted
from tests.journal.model.world import Confused, Event, Report, Row, State, World

SAME_IN_EVERY_MODE = ("rows", "changes", "tables", "plan_digest", "exit_code", "messages")
STATUSES = ("restore", "remove", "reinsert", "adjust", "noop", "force", "conflict", "refuse")


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold. `kind` names the property; needless refusals are no faults, but they count."""

    kind: str
    detail: str

    @property
    def fault(self) -> bool:
        return not self.kind.startswith("needless")

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


@dataclass
class Result:
    """What came of one history."""

    findings: list[Finding] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, detail: object) -> None:
        self.findings.append(Finding(kind, str(detail)))

    @property
    def faults(self) -> list[Finding]:
        return [f for f in self.findings if f.fault]


def check_history(conn: psycopg.Connection, history: History, namespace: str) -> Result:
    """Run a history in a schema of its own, roll its sessions back, and say what does not hold."""
    result = Result()
    world = World(conn, history.schema, namespace)
    world.build()
    try:
        world.start(history.setup)
        world.cover()
        world.open_sessions(history.actors, history.parents)
        world.run(history.transactions, history.targets[0] if history.steps is not None else None)
        world.close_sessions(history.members)
        _Course(world, history, result).run()
    except Confused as confused:
        result.outcomes[f"confused: {re.sub(r'[0-9]+', 'n', str(confused))[:20]}"] += 1
    finally:
        world.drop()
    return result


@dataclass
class _Course:
    world: World
    history: History
    result: Result

    def run(self) -> None:
        targets = self._targets()
        ids = [self.world.sessions[a] for a in self.history.targets]
        unprobed = _unprobed(self.world)
        first = self._undo("rollback", set(targets), ids, "R1") if targets else None
        if first is None:
            return
        dice = Random(f"{self.history.seed} course").random()
        if dice < 0.5 and not unprobed:
            self._again(ids)
        self.world.run(self.history.late if dice < 0.8 else ())
        if 0.65 < dice < 0.8:
            self._undo("second rollback", {*targets, "R1"}, ids, "R2")
        if dice >= 0.8:
            self._undo_the_rest()
        if dice >= 0.65:
            return
        if self.history.late and self._replaced_and_moved():
            self.result.outcomes["redo after others left out: replaced and moved"] += 1
            return
        second = self._undo("redo", {"R1"}, [first], "R2")
        if second is None or dice < 0.25:
            return
        if dice < 0.5:
            self._undo("undo again", {"R2"}, [second], "R3")
        elif not self.history.late:
            self._undo("rollback after redo", {*targets, "R1", "R2"}, ids, "R3")

    def _undo_the_rest(self) -> None:
        """After some steps of a session the session, after a session within a session the one that opened it."""
        above = dict(self.history.parents)
        actor = self.history.targets[0]
        while actor in above:
            actor = above[actor]
        self.world.close_sessions([actor])
        if self.history.steps is not None:
            own = {*self.world.steps}
        elif actor != self.history.targets[0]:
            own = {actor, *above}
        else:
            return
        self._undo("the rest", {*own, "R1"}, [self.world.sessions[actor]], "R2", whole=True)

    def _targets(self) -> tuple[str, ...]:
        """The actors to be rolled back: sessions, or those of the named steps that took place."""
        if self.history.steps is None:
            return self.history.members
        named = [f"{self.history.targets[0]}.{number}" for number in self.history.steps]
        return tuple(step for step in named if step in self.world.steps)

    def _steps(self, actors: Iterable[str]) -> list[UUID] | None:
        return [self.world.steps[actor] for actor in actors if actor in self.world.steps] or None

    def _replaced_and_moved(self) -> bool:
        """Whether a row was deleted, inserted again and got another key: one row to the rollback, which leaves it
        whole where others have changed it before a redo; two to the model."""
        lines = expect(self.world.schema, self.world.events, self.world.state, self._targets()).ours
        return any(len(line.rids) > 1 and len(line.slots) > 1 for line in lines)

    def _undo(self, what: str, own: set[str], ids: Sequence[UUID], name: str, *, whole: bool = False) -> UUID | None:
        """Refusing first, otherwise if that was refused; the id of the rollback, if it took place and the model can go on."""
        steps = None if whole else self._steps(own)
        otherwise = Random(f"{self.history.seed} {what} otherwise").choice(("skip", "skip", "skip", "force", "cascade"))
        for on_conflict in ("refuse", "skip" if steps and otherwise == "cascade" else otherwise):
            if on_conflict == "cascade":
                self.world.close_sessions(self.history.actors)
            modes = self._modes(f"{what} {on_conflict}")
            checked = _Rollback(self.world, self.result, f"{what} ({on_conflict})", own, ids, on_conflict, modes, steps)
            try:
                report = checked.run(name)
            except psycopg.Error as error:
                self.result.add("error", f"{what} ({on_conflict}): {error.sqlstate} {error}")
                return None
            self.result.outcomes[f"{what} {report['outcome']}"] += 1
            if on_conflict == "cascade":
                return None  # the others' sessions are closed, and perhaps taken back
            if report["committed"]:
                return UUID(report["rollback_id"])
            if report["outcome"] != "refused":
                return None
        return None

    def _modes(self, what: str) -> tuple[str, ...]:
        """How a rollback is tried before: all in all each way often enough, at bearable cost."""
        ways = (("plan", "dry_run"), ("plan",), ("dry_run",), ("rehearse",), (), ())
        return Random(f"{self.history.seed} {what}").choice(ways)

    def _again(self, ids: Sequence[UUID]) -> None:
        report = self.world.roll_back(ids, "apply", "skip", steps=self._steps(self._targets()))
        if report["outcome"] != "nothing" or self.world.look()[0] != self.world.state:
            self.result.add("again", f"rolling back twice: {report['outcome']} {report['rows']}")


@dataclass
class _Rollback:
    """One rollback and its checks."""

    world: World
    result: Result
    what: str
    own: set[str]
    ids: Sequence[UUID]
    on_conflict: str
    modes: tuple[str, ...] = ("plan", "dry_run")
    steps: list[UUID] | None = None

    def run(self, name: str) -> Report:
        world = self.world
        before, events, unprobed = world.state, list(world.events), _unprobed(world)
        rehearsals = self._rehearsals()
        digest = rehearsals[0]["plan_digest"] if rehearsals else None
        report = world.roll_back(self.ids, "apply", self.on_conflict, digest, self.steps)
        world.note(name)
        expected = expect(world.schema, events, before, self.own | self._cascaded(report))
        if not is_entangled(expected):
            self._check_modes(*rehearsals, report)
        self._check_counts(report)
        self._check_sessions(report, events)
        if report["committed"] and self.on_conflict == "skip":
            self._check_skipped(expected, report, world.state)
        elif report["outcome"] == "done":
            self._force(expected, report)
            self._check_done(expected, world.state)
        else:
            self._check_nothing_happened(
                expected, report, before, world.state, excused=unprobed or is_entangled(expected)
            )
        self._check_summaries(world.state)
        return report

    def add(self, kind: str, detail: object) -> None:
        self.result.add(kind, f"{self.what}: {detail}")

    def _cascaded(self, report: Report) -> set[str]:
        """Whose work the rollback took back because it was in the way: with cascade, and only where something was."""
        ids = {UUID(s["session_id"]) for s in report["sessions"] if s["why"] == "cascade"}
        if ids and self.on_conflict != "cascade":
            self.add("cascade", f"not asked for: {ids}")
        return {actor for actor, session in self.world.sessions.items() if session in ids}

    def _force(self, expected: Expectation, report: Report) -> None:
        """What was overwritten has to be as it was before us, and has to be told."""
        told = {(_table_of(self.world, c), _slot_of(self.world, c)) for c in report["conflicts"] if c["forced"]}
        if told and self.on_conflict != "force":
            self.add("force", f"not asked for: {told}")
        for line in expected.ours:
            if any((line.table.name, slot) in told for slot in _known_as(line)):
                line.verdict, line.expected = Verdict.RESTORE, line.base
        expected.state = merged(expected.schema, expected.lines, expected.current)
        expected.followers = follow(expected.schema, expected.lines, expected.state)

    def _rehearsals(self) -> list[Report]:
        world = self.world
        ledger = world.ledger() if self.modes else None
        reports = [world.roll_back(self.ids, mode, self.on_conflict, steps=self.steps) for mode in self.modes]
        if self.modes and (world.look() != (world.state, world.versions) or world.ledger() != ledger):
            self.add("trace", f"{self.modes} left a trace")
        return reports

    def _check_modes(self, *reports: Report) -> None:
        rewritten = any(c["reason"] == "trigger_rewrote" for r in reports for c in r["conflicts"])
        for name in SAME_IN_EVERY_MODE:
            values = [_comparable(r[name]) for r in reports[rewritten:]]
            if any(v != values[0] for v in values):
                self.add("modes differ", f"{name}: {values}")
        cascading = [(t, f) for t in self.world.schema.tables for f in t.foreign_keys if f.on_update == "cascade"]
        following = {(t.name, name) for t, f in cascading for c in f.columns for name in (c, quoted(c))}
        conflicts = [
            sorted(_conflict(c, following=(_table_of(self.world, c), c["column"]) in following) for c in r["conflicts"])
            for r in reports[rewritten:]
        ]
        if any(c != conflicts[0] for c in conflicts):
            self.add("modes differ", f"conflicts: {conflicts}")

    def _check_counts(self, report: Report) -> None:
        for name in ("rows", "changes"):
            counts = report[name]
            if counts["total"] != sum(counts[s] for s in STATUSES):
                self.add("counts", f"{name} do not add up: {counts}")
        recorded = self.world.recorded([UUID(s["session_id"]) for s in report["sessions"]], self.steps)
        if report["changes"]["total"] != recorded:
            self.add("counts", f"{recorded} changes were recorded, {report['changes']['total']} are accounted for")
        if sum(t["rows"]["total"] for t in report["tables"]) != report["rows"]["total"]:
            self.add("counts", "tables do not add up")

    def _check_sessions(self, report: Report, events: Sequence[Event]) -> None:
        """The sessions named and those that they opened; with cascade those built on them, and whoever is in the way."""
        named = {UUID(s["session_id"]) for s in report["sessions"] if s["why"] != "cascade"}
        wanted = {self.world.sessions[actor] for actor in self.own & self.world.sessions.keys()} or set(self.ids)
        if self.steps is None and named != wanted:
            self.add("sessions", f"took back {named}, not {wanted}")
        aside = bystanders(self.world.schema, events, self.own, self._cascaded(report))
        if aside:
            self.add("cascade", f"{aside} had nothing to do with it")
        if self.on_conflict == "cascade" and report["outcome"] == "refused" and self._is_among_sessions(events):
            self.add("needless refusal (cascade)", [_short(c) for c in report["conflicts"]])

    def _is_among_sessions(self, events: Sequence[Event]) -> bool:
        """Whether nobody but sessions wrote, and all that they did can be taken back."""
        writers = {event.actor for event in events}
        if not writers <= self.world.sessions.keys() or _unprobed(self.world):
            return False
        expected = expect(self.world.schema, events, self.world.state, writers)
        return (
            not expected.violations
            and not is_entangled(expected)
            and all(x.verdict is Verdict.RESTORE for x in expected.ours)
        )

    def _check_done(self, expected: Expectation, found: State) -> None:
        for line in expected.having(Verdict.CONFLICT):
            self.add("missed conflict", f"{line.table.name} {line.slots}:{line.why}")
        self._compare(expected, expected.state, found, _touched(expected.ours) | expected.followers)

    def _check_nothing_happened(
        self, expected: Expectation, report: Report, before: State, found: State, *, excused: bool
    ) -> None:
        if found != before:
            self.add("changed by a refusal", list(_differences(self.world.schema, before, found, set())))
        open_lines = [
            line
            for line in expected.ours
            if line.expected != line.current and line.verdict is Verdict.RESTORE and line.table.summary is None
        ]
        left = {(_table_of(self.world, c), _slot_of(self.world, c)) for c in report["conflicts"] if c["key"]}
        open_lines = [x for x in open_lines if not any((x.table.name, slot) in left for slot in _known_as(x))]
        if report["outcome"] == "nothing":
            if open_lines and not expected.violations:
                self.add("nothing done", f"{[(x.table.name, x.slots) for x in open_lines]} are not restored")
        elif not expected.violations and not excused and all(x.verdict is Verdict.RESTORE for x in expected.ours):
            self.add(needless(expected.ours, report), [_short(c) for c in report["conflicts"]])

    def _check_skipped(self, expected: Expectation, report: Report, found: State) -> None:
        reported = {(_table_of(self.world, c), _slot_of(self.world, c)) for c in report["conflicts"] if c["key"]}
        for line in expected.ours:
            if not any((line.table.name, slot) in reported for slot in _known_as(line)):
                if line.verdict is Verdict.CONFLICT:
                    self.add("missed conflict", f"{line.table.name} {line.slots}:{line.why}")
                continue
            shared = sum(1 for x in expected.ours if x.table is line.table and _known_as(x) & _known_as(line)) > 1
            if shared and _is_there(line, line.expected, found):
                continue
            line.why = f"reported {line.expected}"
            later = reborn(line)
            line.expected = later.expected if later and _is_there(line, later.expected, found) else line.current
        wanted = merged(expected.schema, expected.lines, expected.current)
        followers = follow(expected.schema, expected.lines, wanted)
        self._compare(expected, wanted, found, _touched(expected.ours) | followers)

    def _compare(self, expected: Expectation, wanted: State, found: State, masked: set[tuple[str, int]]) -> None:
        differing = list(_differences(expected.schema, wanted, found, masked))
        if differing:
            self.add("wrong state", differing)

    def _check_summaries(self, state: State) -> None:
        for table in self.world.schema.tables:
            if table.summary is not None:
                self._check_summary(table, state)

    def _check_summary(self, table: Table, state: State) -> None:
        summary = table.summary
        assert summary is not None
        if not any(t.name == summary.of for t in self.world.schema.tables):
            return
        of = self.world.schema.table(summary.of)
        wanted: Counter[tuple[int, str]] = Counter()
        for row in state[of.name].values():
            group = int(row[of.index(summary.group)] or -1) if row[of.index(summary.group)] is not None else -1
            wanted[group, "n"] += 1
            wanted[group, "total"] += int(row[of.index(summary.total)] or 0)
        found: Counter[tuple[int, str]] = Counter()
        for row in state[table.name].values():
            group = int(row[table.index("grp")] or 0)
            found[group, "n"], found[group, "total"] = (
                int(row[table.index("n")] or 0),
                int(row[table.index("total")] or 0),
            )
        if {k: v for k, v in wanted.items() if v} != {k: v for k, v in found.items() if v}:
            self.add("summary", f"should be {dict(wanted)}, is {dict(found)}")


def needless(lines: Iterable[Line], report: Report) -> str:
    """The name of a refusal for which the model sees no reason, by what the report says."""
    reasons = ", ".join(sorted({c["reason"] for c in report["conflicts"]})) or "no reason"
    moved = any(line.current is not None and slot_of(line.table, line.current) not in line.slots for line in lines)
    return f"needless refusal{' of a moved row' if moved else ''} ({reasons})"


def _comparable(value: Any) -> Any:
    """Without the maintained columns: of tables that are empty they are found only when the rollback fills them."""
    return [{k: v for k, v in t.items() if k != "maintained"} for t in value] if isinstance(value, list) else value


def _conflict(conflict: dict[str, Any], *, following: bool) -> str:
    names = ["table", "key", "column", "reason", "base", "ours", "constraint"]
    if not following and not str(conflict["table"]).endswith(".summary"):
        names.append("theirs")  # of what triggers or foreign keys keep, the live value follows the rollback
    return str({name: conflict[name] for name in names})


def _short(conflict: dict[str, Any]) -> tuple[Any, ...]:
    return conflict["table"], conflict["key"], conflict["column"], conflict["reason"], conflict["constraint"]


def _table_of(world: World, conflict: dict[str, Any]) -> str:
    name = str(conflict["table"]).removeprefix(f"{world.namespace}.")
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _slot_of(world: World, conflict: dict[str, Any]) -> tuple[Value, ...]:
    table = world.schema.table(_table_of(world, conflict))
    return tuple(table.column(k).normal(conflict["key"][k]) for k in table.key)


def _unprobed(world: World) -> bool:
    """Whether a table is empty whose triggers maintain columns: which ones, nobody can try, so they count as anybody's."""
    tables = (t for t in world.schema.tables if any(c.maintained for c in t.columns))
    return any(not world.state[table.name] for table in tables)


def _known_as(line: Line) -> set[tuple[Value, ...]]:
    """The keys under which a report may name a row: those that we knew, and the one that somebody gave it since."""
    return line.slots if line.current is None else {*line.slots, slot_of(line.table, line.current)}


def _is_there(line: Line, row: Row | None, found: State) -> bool:
    if row is None:
        return line.number not in found[line.table.name]
    return _masked(line.table, found[line.table.name].get(rid_of(line.table, row))) == _masked(line.table, row)


def _touched(lines: Iterable[Line]) -> set[tuple[str, int]]:
    rows = ((line.table, row) for line in lines for row in (line.current, line.expected) if row is not None)
    return {(table.name, rid_of(table, row)) for table, row in rows}


def _masked(table: Table, row: Row | None) -> Row | None:
    return row and tuple(None if c.maintained else v for v, c in zip(row, table.stored, strict=True))


def _differences(schema: Schema, wanted: State, found: State, masked: set[tuple[str, int]]) -> Iterator[str]:
    """Rows that are not as they should be; of `masked` ones the maintained columns may be anything. Summaries are checked apart."""
    for table in schema.tables:
        if table.summary is not None:
            continue
        for rid in sorted(wanted[table.name].keys() | found[table.name].keys()):
            one, other = wanted[table.name].get(rid), found[table.name].get(rid)
            if (table.name, rid) in masked:
                one, other = _masked(table, one), _masked(table, other)
            if one != other:
                yield f"{table.name} {rid}: wanted {one}, found {other}"


__all__ = ["Finding", "Result", "check_history", "violations"]
