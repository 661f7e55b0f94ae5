"""Every type that can be a column goes through capture and back byte for byte, whatever the settings of the writer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.journal.capture.support import cover, one, rows

_SETTINGS = {
    "datestyle": ["ISO, MDY", "SQL, DMY", "German", "Postgres, MDY"],
    "intervalstyle": ["postgres", "postgres_verbose", "sql_standard", "iso_8601"],
    "timezone": ["UTC", "Asia/Kathmandu", "America/St_Johns", "<-13:45>+13:45"],
    "bytea_output": ["hex", "escape"],
    "extra_float_digits": ["-15", "0", "3"],
    "xmloption": ["content"],
    "search_path": ["pg_catalog", "public", "pg_temp, odd, public"],
    "quote_all_identifiers": ["on", "off"],
}
# Whatever the type's input function accepts of these is a value to try.
_VALUES = [
    "", " ", "a", "ab  ", "'", '"', "\\", "\\\\", "a,b", "(a)", "{}", "{a}", "NULL", "null", "true", "f",
    "Ärger 表 😀", "\t\n", "%s{n}", "0", "1", "-1", "7", "32767", "-32768", "2147483647", "-2147483648",
    "9223372036854775807", "-9223372036854775808", "4294967295", "0.1", "1.50", "-0", "1e-300",
    "1.7976931348623157e308", "4.9e-324", "3.4028235e38", "NaN", "Infinity", "-Infinity", "1e-400", "0.000",
    "123456789012345678901234567890.123456789012345678901234567890", "2026-01-02", "0001-01-01", "4713-01-01 BC",
    "5874897-12-31", "infinity", "-infinity", "2026-03-29 02:30:00", "1900-01-01 00:00:00.000001+00",
    "294276-12-31 23:59:59.999999", "2026-01-02 03:04:05.678901+05:45", "23:59:59.999999", "24:00:00",
    "00:00:00-15:59", "12:34:56.789+14:00", "1 year 2 mons -3 days 04:05:06.789", "-178000000 years",
    "1 microsecond", "$1.50", "-$92,233,720,368,547,758.08", "\\x", "\\xdeadbeef00", "\\000\\377", "101", "B101",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000",
    '{"a": 1.50, "a": 2, "b": [null, "\\u00e4", {"c": {}}]}', '{"nul": "\\u0000"}', "[]", '"text"', " {  } ",
    '{"n": 1e400}', "<a b='c'>d</a>", "$.a[*] ? (@ > 1)", "1.2.3.4", "1.2.3.4/24", "1.2.0.0/16", "::1/128",
    "fe80::1", "08:00:2b:01:02:03", "08:00:2b:01:02:03:04:05", "(1,2)", "((1,2),(3,4))", "[(1,2),(3,4)]",
    "<(1,2),3>", "{1,2,3}", "(1.1e-300,-0)", "(NaN,Infinity)", "((0,0),(1,1),(2,0))", "empty", "[1,5)", "(,)",
    "[,5]", "(1,)", "{[1,5),[7,9)}", "[2026-01-01,2026-02-01)", "[\"2026-01-01 00:00:00\",infinity]", "{(,)}",
    "'fat':1A,3 'rat'", "fat & rat:AB | !(cat <-> dog)", "1/2", "16/B374D848", "(0,1)", "(4294967295,65535)",
    "100:200:150,160", "10:20:", "pg_class", "pg_catalog.pg_class", "=(integer,integer)", "pg_catalog.=", "now",
    "now()", "integer", "english", "simple", "C", "postgres", "public", "[1,2,3.5]", "a=>1,b=>NULL", "Top.Science",
    "{1,NULL,-1}", '{{a,"b c"},{"\\"",NULL}}', "[0:1]={1,2}", '{"(1,a)"}', "{NULL}", "{2026-01-02,infinity}",
    "{0.1,NaN,-0}", '{"\\\\x00"}', "{t,f}", "postgres=arwdDxt/postgres", "{=r/postgres}", '(1,"x, ""y""")',
]  # fmt: skip


@pytest.fixture
def admin(superuser_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        yield connection


def test_every_type_of_the_server(conn: psycopg.Connection, admin: psycopg.Connection) -> None:
    conn.execute(_TRY)
    names = [*built_in(conn), *users(admin, conn)]
    tried = [
        column
        for start in range(0, len(names), _COLUMNS)
        for column in through(conn, admin, names[start : start + _COLUMNS])
    ]
    assert len(tried) > 150
    without = {name for name, values in tried if not values}
    assert {name for name in without if not name.startswith(("pg_", "gtsvector", "xml"))} == set()


def built_in(conn: psycopg.Connection) -> list[str]:
    """Types of the catalog that a column can have, and their arrays; not those of the catalogs' rows."""
    found = rows(
        conn,
        """select format_type(oid, -1) as name from pg_type t
            where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm')
              and not exists (select from pg_type e where e.oid = t.typelem and e.typtype in ('c', 'p'))
            order by oid""",
    )
    return [r["name"] for r in found]


def users(admin: psycopg.Connection, conn: psycopg.Connection) -> list[str]:
    """An enum, a composite, domains, a range of users, arrays of each, and what extensions this server has."""
    conn.execute("create schema if not exists odd")
    conn.execute("""create type odd."Mood, is" as enum ('a', 'a,b', '', 'Ärger 表 😀')""")
    conn.execute("""create type odd.pair as ("a ""b" int, b text)""")
    conn.execute("create domain odd.short as text check (length(value) < 9)")
    conn.execute("create domain odd.deep as odd.short default 'x'")
    conn.execute("create domain odd.amount as numeric(20, 3)")
    conn.execute("create domain odd.list as int[]")
    conn.execute("create type odd.span as range (subtype = float8, multirange_type_name = odd.spans)")
    names = ['odd."Mood, is"', "odd.pair", "odd.short", "odd.deep", "odd.amount", "odd.list", "odd.span", "odd.spans"]
    for extension, types in {
        "hstore": ["hstore"],
        "citext": ["citext"],
        "ltree": ["ltree", "lquery"],
        "vector": ["vector"],
    }.items():
        if one(admin, "select exists (select from pg_available_extensions where name = %s)", extension):
            admin.execute(f"create extension {extension} schema public".encode())
            names += [f"public.{name}" for name in types]
    return names + [f"{name}[]" for name in names]


_MADE: list[Callable[[random.Random], str]] = [
    lambda chance: repr(chance.uniform(-1, 1) * 10 ** chance.randint(-30, 30)),
    lambda chance: str(chance.randint(-(2**63), 2**63)),
    lambda chance: str(chance.randint(-(2**15), 2**15)),
    lambda chance: f"{chance.randint(1, 9999):04}-06-{chance.randint(1, 30)} 07:08:{chance.uniform(0, 59):09.6f}+03:30",
    lambda chance: f"{chance.randint(-99, 99)} mons {chance.randint(-999, 999)} days {chance.random()} secs",
    lambda chance: "".join(map(chr, chance.sample(range(32, 0xD7FF), 9))),
    lambda chance: "\\x" + chance.randbytes(9).hex(),
    lambda chance: f"{{{chance.randint(-9, 9)},NULL,{chance.randint(-9, 9)}}}",
    lambda chance: f"[{chance.randint(-9, 0)},{chance.randint(0, 9)})",
    lambda chance: f"({chance.random()},{chance.random()})",
]
# As many types share a table as this: covering one takes longer than trying all values of a type.
_COLUMNS = 20
_TRY = """
create function pg_temp.try_values(number int, type_name text, candidates text[], settings jsonb) returns int language plpgsql as $$
declare
    taken   int := 0;
    setting record;
    row_of  text;
begin
    for turn in 0 .. 3 loop
        for setting in select * from jsonb_each(settings) loop
            perform set_config(setting.key, setting.value ->> (turn % jsonb_array_length(setting.value)), true);
        end loop;
        row_of := null;
        for n in 1 .. cardinality(candidates) loop
            continue when n % 4 <> turn;
            begin
                execute format('select %L::%s', candidates[n], type_name);
                row_of := concat_ws(', ', row_of, format('(%s, %L::%s)', number * 1000 + n, candidates[n], type_name));
                taken := taken + 1;
            exception when others then null;
            end;
        end loop;
        if row_of is not null then
            execute format('insert into public.t (id, v%s) values %s', number, row_of);
        end if;
    end loop;
    return taken;
end $$"""


def through(conn: psycopg.Connection, admin: psycopg.Connection, names: list[str]) -> list[tuple[str, int]]:
    """Write values of types under shuffled settings; how many each took. All must come back as the same bytes."""
    columns = ", ".join(f"v{number} {name}" for number, name in enumerate(names, 1))
    conn.execute("drop table if exists public.t")
    conn.execute(f"create table public.t (id int primary key, {columns})".encode())
    cover(conn, "public.t")
    taken = []
    with conn.transaction():
        for number, name in enumerate(names, 1):
            values = shuffled(_VALUES, name)
            taken.append((name, one(conn, _TRIED, number, name, values, Jsonb(_SETTINGS))))
        conn.execute("update public.t set id = -id")
        conn.execute("insert into public.t values (0)")
    segment = segment_of(admin)
    for number, name in enumerate(names, 1):
        lost = rows(
            admin,
            f"""select t.id, t.v{number}::text from public.t left join journal.{segment} s on s.n1 = t.id
                 where s.n1 is null or not record_image_eq(row(t.v{number}), row(s.n{number + 1}::{name}))""",
        )
        assert lost == [], name
    return taken


_TRIED = "select pg_temp.try_values(%s, %s, %s, %s)"


def shuffled(values: list[str], seed: str) -> list[str]:
    """The values, and some of chance, in another order for each type, so that each meets other settings."""
    chance = random.Random(seed)
    values = [*values, *(made(chance) for made in _MADE for _ in range(3))]
    return chance.sample(values, len(values))


def segment_of(admin: psycopg.Connection) -> str:
    """The segment of the table."""
    query = (
        "select 'segment_' || segment_id from journal.segment where relation = 'public.t'::regclass and kind = 'typed'"
    )
    found: str = one(admin, query)
    return found
