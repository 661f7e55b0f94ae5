"""Cases 36 to 41: types come back exact, byte for byte, whatever the settings were when they were captured."""

from __future__ import annotations

import pytest

from tests.journal.rollback.history import History

SETTINGS = (
    "set datestyle = 'SQL, DMY'",
    "set intervalstyle = iso_8601",
    "set timezone = 'Asia/Kathmandu'",
    "set bytea_output = escape",
    "set extra_float_digits = -5",
    "set xmlbinary = hex",
)

BUILT_IN = [
    ("numeric", ["1.5", "1.50", "NaN", "Infinity", "-0.000", "1e-400"]),
    ("float8", ["-0", "4.9406564584124654e-324", "0.1", "1e308", "NaN", "-Infinity"]),
    ("float4", ["-0", "1.4e-45", "0.1", "3.4e38"]),
    ("json", ['{"b":1, "a": 2,"a":3}', '"\\u0000"', "  [1 ,2]", "null"]),
    ("jsonb", ['{"b": 1.50, "a": [null]}', "1e2", "null", '"x"']),
    ("int[]", ["[0:2]={1,NULL,3}", "{{1,2},{3,4}}", "{}", "{NULL}"]),
    ("text[]", ['{"a b","\\"",NULL,"NULL",""}', "{}", "[-1:0]={x,y}"]),
    ("numeric[]", ["{1.50,NaN}", "{1.5,NaN}"]),
    ("int4range", ["[1,5)", "empty", "(,5)", "[1,)"]),
    ("tstzrange", ['["2024-01-01 00:00+00","2024-06-01 00:00+02")', "(,infinity)", "empty"]),
    ("int4multirange", ["{}", "{[1,3),[5,7)}"]),
    ("bytea", ["\\x00ff5c27", "\\x", "\\x5c5c"]),
    ("uuid", ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("inet", ["10.0.0.1/8", "10.0.0.1", "::1"]),
    ("cidr", ["10.0.0.0/8", "::/0"]),
    ("macaddr", ["08:00:2b:01:02:03", "00:00:00:00:00:00"]),
    ("bit(5)", ["00000", "10110"]),
    ("bit varying", ["", "101"]),
    ("char(4)", ["a", "ab  ", ""]),
    ("varchar(5)", ["a ", ""]),
    ('"char"', ["a", ""]),
    ("name", ["abc", ""]),
    ("text", ["", " ", "NULL", "\\N", 'a"b,c(d)\\', "日本\n\t"]),
    ("money", ["12.34", "-0.01"]),
    ("interval", ["1 mon -1 day +00:00:00.000001", "-1 year", "0"]),
    ("date", ["0044-03-15 BC", "infinity", "-infinity", "2024-02-29"]),
    ("timestamp", ["0044-03-15 12:00:00.000001 BC", "infinity", "294276-12-31 23:59:59"]),
    ("timestamptz", ["0044-03-15 12:00+05 BC", "-infinity", "2024-03-10 02:30:00.123456-08"]),
    ("time", ["24:00:00", "00:00:00.000001"]),
    ("timetz", ["12:00:00+05:30", "24:00:00-15:59"]),
    ("tsvector", ["'a':1A,2B 'b c':3", ""]),
    ("tsquery", ["'a' & !'b'", ""]),
    ("point", ["(1,-0)", "(NaN,0.1)"]),
    ("path", ["((0,0),(1,1))", "[(0,0),(1,1)]"]),
    ("polygon", ["((0,0),(1,0),(1,1))"]),
    ("pg_lsn", ["0/0", "FFFFFFFF/1"]),
    ("xid8", ["0", "18446744073709551615"]),
    ("regclass", ["pg_class", "pg_catalog.pg_type"]),
    ("regtype", ["integer", "text[]"]),
    ("oid", ["0", "4294967295"]),
    ("boolean", ["t", "f"]),
]


def test_cases_36_to_38_built_in_types(history: History) -> None:
    """numeric 1.5 vs 1.50, NaN, Infinity; float -0 and subnormals; json whitespace, key order, duplicate keys, `\\u0000`; arrays:
    bounds, multidimensional, empty; ranges, multiranges; bytea, uuid, inet, bit, tsvector, money, "char", name, regclass, BC and
    infinite dates: exact after capture under other settings."""
    _come_back(history, BUILT_IN)


def test_case_38_xml(history: History) -> None:
    """xml, where the server knows it."""
    if not history.one(
        "select exists (select from pg_settings where name = 'xmlbinary') and current_setting('server_version_num')::int < 160000"
    ):
        pytest.skip("the embedded servers are built without libxml")
    _come_back(history, [("xml", ["<a b='1'>x</a>", "text <b/>"])])


@pytest.mark.parametrize("extension", ["hstore", "citext", "ltree"])
def test_case_38_contributed_types(history: History, extension: str) -> None:
    """hstore, citext, ltree, where the server has them."""
    if not history.one("select exists (select from pg_available_extensions where name = %s)", extension):
        pytest.skip(f"this server has no {extension}")
    if not history.one("select rolsuper or true from pg_roles where rolname = current_user"):
        pytest.skip("may not create extensions")
    values = {"hstore": ['"a"=>"1", "b"=>NULL', ""], "citext": ["Abc", "abc", ""], "ltree": ["a.b", "A.b"]}
    _come_back(history, [(extension, values[extension])], f"create extension {extension}")


CREATE_TYPES = [
    "create type mood as enum ('sad', 'o k', 'h,appy')",
    "create domain price as numeric check (value >= 0)",
    "create domain tags as text[]",
    "create type pair as (a int, b text)",
    "create type span as range (subtype = float8)",
]
USER_TYPES = [
    ("mood", ["sad", "o k", "h,appy"]),
    ("mood[]", ["{sad,NULL,o k}", "{{sad},{o k}}"]),
    ("price", ["1.50", "1.5", "NaN"]),
    ("tags", ["{a,NULL}", "[0:0]={x}", "{}"]),
    ("pair", ["(1,x)", "(,)", '(2,"a ""q"", b")', "(1,)"]),
    ("pair[]", ['{"(1,x)","(,)"}', "{}", "{NULL}", '[2:2]={"(1,x)"}']),
    ("span", ["[1,2.5)", "empty", "(,)"]),
]


def test_case_37_and_38_types_of_the_user(history: History) -> None:
    """domains, enums, composites, arrays of composites, ranges of one's own."""
    _come_back(history, USER_TYPES, *CREATE_TYPES)


def test_case_38_schema_that_is_not_on_the_path(history: History) -> None:
    """A type in a schema of its own with a name that needs quotes, and a table and key beside it."""
    _come_back(
        history,
        [('app."Mood Of"', ["sad", "ok"])],
        "create schema app",
        "create type app.\"Mood Of\" as enum ('sad', 'ok')",
    )


def test_case_38_enum_label_renamed_since(history: History) -> None:
    """[16] An enum label that was renamed since: restored under its new name, or a CONFLICT that names the type; never wrong."""
    history.given(
        "create type mood as enum ('sad', 'ok')",
        "create table t (id int primary key, m mood)",
        "insert into t values (1, 'sad'), (2, 'ok')",
    )
    history.agent("update t set m = case m when 'sad' then 'ok' else 'sad' end::mood")
    history.others("alter type mood rename value 'sad' to 'blue'")
    done = history.roll_back("skip", predicted=False)
    if done.committed:
        for key, value in history.rows("select id, m::text from t"):
            assert value in {1: {"blue", "ok"}, 2: {"ok", "blue"}}[key]
    else:
        assert done.outcome == "refused"


def test_case_38_enum_label_that_another_one_took_since(history: History) -> None:
    """Labels swapped names, or a new one got the name of one that was renamed: the text of the old value is another value now."""
    history.given(
        "create type mood as enum ('sad', 'ok', 'mad')",
        "create table t (id int primary key, m mood, all_m mood[])",
        "insert into t values (1, 'sad', null), (2, 'sad', '{mad}'), (3, null, '{sad,null}'), (4, 'mad', '{ok}')",
    )
    history.agent("update t set m = 'ok', all_m = null where id <> 2", "delete from t where id = 2")
    history.others("alter type mood rename value 'sad' to 'blue'", "alter type mood add value 'sad' before 'mad'")
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "conflict": 3}
    assert done.reasons == {"retyped"}
    assert done.keys == {"id=1", "id=2", "id=3"}
    assert history.roll_back("force").outcome == "refused"
    later = history.open()
    history.agent("update t set m = 'ok' where id = 4", "insert into t values (5, 'sad')", session=later)
    history.others("alter type mood rename value 'ok' to 'fine'", "alter type mood rename value 'mad' to 'ok'")
    assert history.roll_back("skip", later).keys == {"id=4"}


def test_case_38_label_that_others_added_is_no_conflict(history: History) -> None:
    """A label that is new, and in use since, where the session met it too."""
    history.given(
        "create type mood as enum ('sad', 'ok')",
        "create table t (id int primary key, m mood)",
        "insert into t values (1, 'sad'), (2, 'ok')",
    )
    history.agent("update t set m = 'ok' where id = 1")
    history.others("alter type mood add value 'new' before 'ok'", "update t set m = 'new' where id = 2")
    history.agent("delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    assert history.rows("select id, m::text from t") == {(1, "sad"), (2, "new")}


def test_case_38_composite_type_that_lost_an_attribute(history: History) -> None:
    """Another attribute in the place of one that was dropped would take its value: the text of the old value is not read."""
    history.given(
        "create type place as (street text, zip text)",
        "create type way as (via place[])",
        "create table t (id int primary key, home place, way way, v int)",
        "insert into t select i, row('s', 'z')::place, row(array[row('s', 'z')::place])::way, i from generate_series(1, 4) i",
        "update t set home = null, way = null where id = 4",
    )
    history.agent(
        "update t set home = null where id = 1", "update t set v = 9 where id = 2", "delete from t where id > 2"
    )
    history.others(
        "alter type place drop attribute street",
        "alter type place add attribute land text",
        "alter type way rename attribute via to over",
    )
    done = history.roll_back("skip")
    assert done.rows == {"restore": 1, "reinsert": 1, "conflict": 2}
    assert (done.keys, done.reasons) == ({"id=1", "id=3"}, {"retyped"})


def _come_back(history: History, kinds: list[tuple[str, list[str]]], *before: str) -> None:
    """Every value of these types, and NULL, is changed, deleted and lost to another value under odd settings, and comes back."""
    columns = [(f"c{number}", kind, _literals(kind, values)) for number, (kind, values) in enumerate(kinds)]
    rows = range(max(len(literals) for _, _, literals in columns))
    history.given(
        *before,
        f"create table t (id int primary key, {', '.join(f'{name} {kind}' for name, kind, _ in columns)})",
        "set timezone = UTC",
        *(f"insert into t values ({row}, {', '.join(_nth(row, each) for _, _, each in columns)})" for row in rows),
        f"insert into t select 100 + id, {', '.join(name for name, _, _ in columns)} from t",
    )
    for setting in SETTINGS:
        history.agent_conn.execute(setting.encode())
    history.agent(
        *(
            f"update t set {', '.join(f'{name} = {_nth(row + 1, each)}' for name, _, each in columns)} where id = {row}"
            for row in rows
        ),
        "delete from t where id >= 100",
    )
    history.operator.execute("set array_nulls = off")
    done = history.roll_back()
    assert done.outcome == "done"
    history.expect_start()
    history.redo(done)
    history.roll_back()
    history.expect_start()


def _literals(kind: str, values: list[str]) -> list[str]:
    return [*("'" + value.replace("'", "''") + f"'::{kind}" for value in values), "null"]


def _nth(row: int, literals: list[str]) -> str:
    """What a row holds: the values one after the other, and again."""
    return literals[row % len(literals)]


def test_case_39_toasted_values(history: History) -> None:
    """Toasted values, one untouched, 1 MB changed → exact, untouched ones are not copied."""
    history.given(
        "create table t (id int primary key, big text, small text)",
        """insert into t select g, (select string_agg(md5((g * 40000 + h)::text), '')
           from generate_series(1, 40000) h), 's' from generate_series(1, 2) g""",
        "create table sums as select id, md5(big) as sum from t",
        uncovered=["sums"],
    )
    history.agent("update t set small = 'agent' where id = 1", "update t set big = reverse(big) where id = 2")
    assert history.roll_back().rows == {"restore": 2}
    history.expect_start()
    assert history.one("select count(*) from t join sums using (id) where md5(big) = sum and small = 's'") == 2


def test_case_39_large_value_through_a_whole_session(history: History) -> None:
    """A large value that stays, changes, and goes with its row, over several transactions."""
    history.given(
        "create table t (id int primary key, big text, n int)",
        "insert into t values (1, repeat('abc', 100000), 1), (2, repeat('x', 5000), 1)",
    )
    history.agent("update t set n = 2")
    history.agent("update t set big = 'short' where id = 2", "update t set n = 3")
    history.agent("delete from t")
    assert history.roll_back().rows == {"reinsert": 2}
    history.expect_start()


def test_case_40_generated_columns(history: History) -> None:
    """Stored generated columns → never written; they follow."""
    history.given(
        "create table t (id int primary key, a int, twice int generated always as (a * 2) stored)",
        "insert into t (id, a) values (1, 1), (2, 2)",
    )
    history.agent("update t set a = 10 where id = 1", "delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    assert history.rows("table t") == {(1, 1, 2), (2, 2, 4)}


def test_case_40_virtual_generated_columns(history: History) -> None:
    """Virtual generated columns → never written."""
    if history.operator.info.server_version < 180000:
        pytest.skip("virtual generated columns came with PostgreSQL 18")
    history.given(
        "create table t (id int primary key, a int, twice int generated always as (a * 2) virtual)",
        "insert into t (id, a) values (1, 1), (2, 2)",
    )
    history.agent("update t set a = 10 where id = 1", "delete from t where id = 2")
    assert history.roll_back().rows == {"restore": 1, "reinsert": 1}
    assert history.rows("table t") == {(1, 1, 2), (2, 2, 4)}


@pytest.mark.parametrize("when", ["always", "by default"])
def test_case_40_identity(history: History, when: str) -> None:
    """`generated always as identity` → the same id RESTORED."""
    history.given(
        f"create table t (id int generated {when} as identity primary key, a int)",
        "insert into t (a) values (1), (2), (3)",
    )
    history.agent("delete from t where id = 2", "insert into t (a) values (9)", "update t set a = 7 where id = 1")
    assert history.roll_back().rows == {"restore": 1, "remove": 1, "reinsert": 1}
    history.expect_start()


def test_a_number_that_was_always_generated_is_not_put_back(history: History) -> None:
    """Neither where the session renumbered the row, nor where it deleted it and inserted it again → a conflict, the rest undone."""
    history.given(
        "create table t (k int primary key, serial int generated always as identity, a int)",
        "insert into t (k, a) values (1, 1), (2, 2), (3, 3)",
    )
    history.agent(
        "update t set serial = default where k = 1",
        "delete from t where k = 2",
        "insert into t (k, a) values (2, 2)",
        "update t set a = 7 where k = 3",
    )
    report = history.roll_back("skip")
    assert report.rows == {"restore": 1, "conflict": 2}
    assert {(c["reason"], c["column"]) for c in report.raw["conflicts"]} == {("constraint_added", "serial")}
    assert history.rows("select k, serial, a from t") == {(1, 4, 1), (2, 5, 2), (3, 3, 3)}


ODD = [
    "old",
    "new",
    "t",
    "row",
    "u",
    "x",
    "o",
    "n",
    "i",
    "y",
    "order",
    'a "quoted" name',
    "Großes Ü",
    "é" * 31,
    "%1$s",
    "$barrier$",
    "a'b\\c",
    " ",
]


def test_case_41_odd_column_names(history: History) -> None:
    """A column called `old`, `new`, `t`, `row`, a quoted or 63-character or non-ASCII name → generated SQL unaffected."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in ODD]
    history.given(
        f"create table t ({', '.join(f'{name} int' for name in quoted)}, primary key ({quoted[0]}, {quoted[5]}))",
        f"insert into t select {', '.join('g' for _ in ODD)} from generate_series(1, 3) g",
    )
    history.agent(
        *(f"update t set {name} = {name} + 100 where {quoted[0]} = 1" for name in quoted[1:]),
        f"delete from t where {quoted[1]} = 2",
    )
    done = history.roll_back()
    assert done.outcome == "done"
    history.expect_start()


@pytest.mark.parametrize(
    "name",
    [
        "old",
        "new",
        "t",
        "row",
        "order",
        "journal_undo",
        'a "quoted" name',
        "Großes Ü",
        "é" * 31,
        "%s",
        "$barrier$",
        "a'b\\c",
    ],
)
def test_case_41_odd_table_names(history: History, name: str) -> None:
    """A table of such a name, in a schema of such a name."""
    quoted = '"' + name.replace('"', '""') + '"'
    table = f"{quoted}.{quoted}"
    history.given(
        f"create schema {quoted}",
        f"create table {table} ({quoted} int primary key, v text)",
        f"insert into {table} values (1, 'a'), (2, 'b')",
    )
    history.agent(
        f"update {table} set v = 'x' where {quoted} = 1",
        f"delete from {table} where {quoted} = 2",
        f"insert into {table} values (3, 'c')",
    )
    done = history.roll_back()
    assert done.rows == {"restore": 1, "remove": 1, "reinsert": 1}
    assert history.rows(f"table {table}") == {(1, "a"), (2, "b")}
