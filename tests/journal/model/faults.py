"""Faults to put into the rollback of a test database, each a way in which it could be wrong, to see that the checker sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from tests.journal.model import stories
from tests.journal.model.history import History
from tests.journal.model.stories import story
from tests.journal.model.world import text


@dataclass(frozen=True)
class Fault:
    """What is wrong, in which function, and how: its body is replaced, or a part of it; `also` what else has to be wrong.

    `shown` is a history that shows it; its seed, if it has one, decides what becomes of conflicts. Without one it is looked
    for in random histories, because nearly every one shows it.
    """

    name: str
    function: str
    body: str = ""
    old: str = ""
    new: str = ""
    also: Fault | None = None
    shown: History | None = None

    def inject(self, conn: psycopg.Connection) -> None:
        """Raises `ValueError` where the function is no longer as the fault supposes."""
        found = conn.execute(
            "select pg_get_functiondef(p.oid) from pg_proc p where p.proname = %s and p.pronamespace = 'journal'::regnamespace",
            [self.function],
        ).fetchone()
        if found is None:
            raise ValueError(f"there is no function {self.function}")
        definition: str = found[0]
        broken = self._broken(definition)
        if broken == definition:
            raise ValueError(f"{self.function} has no {self.old!r}: let the fault follow the function")
        conn.execute(text(broken))
        if self.also is not None:
            self.also.inject(conn)

    def _broken(self, definition: str) -> str:
        if not self.body:
            return definition.replace(self.old, self.new)
        return re.sub(r"(AS (\$\w*\$)\n).*\2", lambda m: f"{m[1]}{self.body}\n{m[2]}", definition, flags=re.DOTALL)


_ROW = "insert into t (k, v) values (1, 5)"
_UPDATED = story(stories.PLAIN, _ROW, "S: update t set v = 6")
_THERE_AND_BACK = ("S: update t set v = 6", "T: update t set v = 7", "T: update t set v = 6")
_FORCING, _CASCADING = (
    6,
    42,
)  # where others were in the way, the rollback of a history with this seed forces, or cascades
_BLIND = Fault(
    "ignores what others changed and changed back",
    "undo_trace_others",
    body="begin return; end",
    shown=story(stories.PLAIN, _ROW, *_THERE_AND_BACK),
)
FAULTS = (
    Fault(
        "ignores that others changed the value",
        "undo_judge",
        old="x.live and x.culprit is null then 'restore'",
        new="x.live then 'restore'",
        also=_BLIND,
        shown=story(stories.PLAIN, _ROW, "S: update t set v = 6", "T: update t set v = 7"),
    ),
    _BLIND,
    Fault(
        "removes rows that others refer to",
        "undo_check_referenced",
        body="begin return 0; end",
        shown=story(stories.OWNED, (), "S: insert into parent values (1, 1)", "T: insert into child values (2, 2, 1)"),
    ),
    Fault(
        "restores what the session left, not what was before",
        "undo_update",
        old="'u.b' || c.attnum, c.as_text",
        new="'u.a' || c.attnum, c.as_text",
    ),
    Fault(
        "does not put keys back first",
        "undo_apply_keys",
        old="if not moving then",
        new="if true then",
        shown=story(stories.PLAIN, _ROW, "S: update t set k = 2"),
    ),
    Fault(
        "does not follow rows through changed keys",
        "undo_trace",
        body="begin return; end",
        shown=story(stories.PLAIN, _ROW, "S: update t set k = 2", "S: update t set k = 3"),
    ),
    Fault(
        "does not follow children of moved keys",
        "undo_follow",
        body="begin return; end",
        shown=story(
            stories.NAMED_AFTER,
            "insert into parent (k) values (4)",
            "S: insert into child (k) values (4)",
            "S: update parent set k = 3 where k = 4",
        ),
    ),
    Fault(
        "folds nothing",
        "undo_identify",
        body="begin return false; end",
        shown=story(stories.PLAIN, _ROW, "S: update t set v = 6", "S: update t set v = 7"),
    ),
    Fault(
        "leaves inserted rows",
        "undo_statement_of",
        old="'delete from %s t using %s u where %s",
        new="'delete from %s t using %s u where false and %s",
    ),
    Fault(
        "does not correct what triggers do",
        "undo_correct",
        body="begin return; end",
        shown=story(stories.WHOLE_AND_PARTS, stories.TOTALS, "S: delete from part; delete from whole"),
    ),
    Fault("counts a change twice", "undo_add", old="+ (m.value)::bigint)", new="+ 2 * (m.value)::bigint)"),
    Fault(
        "leaves a trace of a dry run",
        "undo_run",
        old="raise exception using errcode = 'JR999'",
        new="if mode <> 'dry_run' then raise exception using errcode = 'JR999'; end if",
        shown=_UPDATED,
    ),
    Fault(
        "does not journal itself",
        "undo_enter",
        old="perform journal.set_binding(rollback_id, null);",
        new="",
        shown=_UPDATED,
    ),
    Fault(
        "takes a maintained column for the user's",
        "undo_probe",
        body="begin return '{}'; end",
        shown=story(
            stories.TOUCHED,
            "insert into t (k, v, w) values (1, 5, 5)",
            "S: update t set v = 6",
            "T: update t set w = 6",
        ),
    ),
    Fault(
        "does not look into partial indexes",
        "undo_check_unique_index",
        body="begin return 0; end",
        shown=story(
            stories.FLAGGED,
            "insert into t (k, v, w) values (1, 1, 5), (2, 2, 5)",
            "S: update t set v = 3 where k = 1",
            "T: update t set v = 1 where k = 2",
        ),
    ),
    Fault(
        "does not hand on a place in a partial index",
        "undo_make_way",
        body="begin return; end",
        shown=story(
            stories.FLAGGED,
            "insert into t (k, v, w) values (1, 1, 5), (2, 2, 5), (3, 3, 5)",
            "S: update t set v = 4 where k = 1; update t set v = 1 where k = 2",
            "S: update t set v = 5 where k = 2; update t set v = 1 where k = 3",
        ),
    ),
    Fault(
        "skips in silence",
        "undo_conflicts",
        body="begin return '[]'; end",
        shown=story(
            stories.PLAIN,
            "insert into t (k, v) values (1, 5), (2, 5)",
            "S: update t set v = 6",
            "T: delete from t where k = 1",
        ),
    ),
    Fault(
        "looks past partitions",
        "undo_rows",
        old="THEN ''::text",
        new="THEN 'only '::text",
        shown=story(stories.DIVIDED, _ROW, "S: update t set k = 2"),
    ),
    Fault(
        "takes a reference to nothing for one",
        "undo_check_referencing",
        old="string_agg(format('w.w%s is not null', k.n), ' and ') as complete",
        new="'true' as complete",
        shown=story(
            stories.MATCHED,
            ("insert into place (k1, k2) values (1, 1)", "insert into t (k) values (1)"),
            "S: update t set v = 1, w = 1",
        ),
    ),
    Fault(
        "leaves what a foreign key set in part",
        "undo_statement_of",
        old="continue when columns = '{}'",
        new="continue when true",
        shown=story(
            stories.SET_IN_PART,
            ("insert into place (k1, k2) values (1, 1)", "insert into t (k, v, w) values (1, 1, 1)"),
            "S: delete from place",
        ),
    ),
    Fault(
        "gives new numbers",
        "undo_statement_of",
        old="overriding system value",
        new="overriding user value",
        shown=story(stories.NUMBERED, "insert into t (v) values (5)", "S: delete from t"),
    ),
    Fault(
        "puts a counter back to what it was",
        "undo_counters",
        body="begin return '{}'; end",
        shown=story(stories.COUNTED, _ROW, "S: update t set v = v + 1", "T: update t set v = v + 10"),
    ),
    Fault(
        "forgets what others added to a counter",
        "undo_rebase",
        old="t.%2$s - (u.a%1$s - u.b%1$s)",
        new="u.b%1$s",
        shown=story(stories.COUNTED, _ROW, "S: update t set v = v + 1", "T: update t set v = v + 10"),
    ),
    Fault(
        "takes a declared column for the session's",
        "undo_columns",
        old="coalesce(coalesce(i.attnum, a.attnum) = any (o.maintained), false)",
        new="false",
        shown=story(
            stories.DECLARED,
            "insert into t (k, v, w) values (1, 5, 5)",
            "S: update t set v = 6, w = 6",
            "T: update t set w = 7",
        ),
    ),
    Fault(
        "leaves what sessions within the session did",
        "undo_members",
        old="WHERE (undo_members.with_children AND",
        new="WHERE (false AND",
        shown=story(stories.PLAIN, _ROW, "Sa: update t set v = 6", parents=(("Sa", "S"),)),
    ),
    Fault(
        "takes all steps back",
        "undo_statements",
        old="((undo_statements.step_ids IS NULL) OR (b.step_id = ANY (undo_statements.step_ids)))",
        new="true",
        shown=story(
            stories.PLAIN,
            "insert into t (k, v) values (1, 5), (2, 5)",
            "S: update t set v = 6 where k = 1",
            "S: update t set v = 6 where k = 2",
            steps=(0,),
        ),
    ),
    Fault(
        "takes back one session of several",
        "undo_members",
        old="(s.session_id = ANY (undo_members.session_ids))",
        new="(s.session_id = undo_members.session_ids[1])",
        shown=story(stories.PLAIN, _ROW, "S: update t set v = 6", "S2: update t set v = 7", targets=("S", "S2")),
    ),
    Fault(
        "cascades to bystanders",
        "undo_built_on",
        body="begin return query select s.session_id from journal.session s where s.kind = 'agent'; end",
        shown=story(
            stories.PLAIN,
            "insert into t (k, v) values (1, 5), (2, 5)",
            "S: update t set v = 6 where k = 1",
            "T: update t set v = 7 where k = 1",
            "B: update t set v = 7 where k = 2",
            seed=_CASCADING,
        ),
    ),
    Fault(
        "cascades to nobody",
        "undo_built_on",
        body="begin return; end",
        shown=story(stories.PLAIN, _ROW, "S: update t set v = 6", "T: update t set v = 7", seed=_CASCADING),
    ),
    Fault(
        "overwrites in silence",
        "undo_run",
        old="journal.undo_conflicts(shown, true)",
        new="'[]'",
        shown=story(stories.PLAIN, _ROW, "S: update t set v = 6", "T: update t set v = 7", seed=_FORCING),
    ),
)
