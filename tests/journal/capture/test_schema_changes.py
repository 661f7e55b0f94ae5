"""Schema changes while others write: no image is wrong or partial, and no write fails for the journal's sake. [4, 5, 6]"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Condition, Thread

import psycopg

from tests.journal.capture.support import Image, changes, cover, status

_CHANGES = [
    "alter table t add column c int default 7",
    "alter table t rename a to x; alter table t rename b to a; alter table t rename x to b",
    "select journal.cover('t')",
    "alter table t alter column c type text",
    "alter table t drop column c, add column c numeric default 8",
    "select journal.cover_again('t')",
    "alter table t set schema elsewhere",
    "alter table t rename to u; alter table u rename to t; alter table t drop column c",
    "select journal.cover('t')",
    "alter table t drop constraint t_pkey; alter table t add primary key (id)",
    "select journal.prune(rotate_after => '0')",
]
_RECREATE = """
    drop table t;
    create table t (a text, id int primary key, b text);
    select journal.cover('t')"""
_WRITES = [
    "insert into t (id, a, b) values (%(id)s, %(a)s, %(b)s) on conflict (id) do update set a = excluded.a, b = excluded.b",
    "update t set a = %(a)s, b = %(b)s where id = %(id)s",
    "delete from t where id = %(id)s",
]


class Writers:
    """Clients that write rows in which `a` and `b` belong together; what failed for another reason than an old snapshot."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._moved = Condition()
        self._done = [0, 0, 0]
        self._ending = False
        self.errors: list[str] = []

    @contextmanager
    def writing(self) -> Iterator[None]:
        threads = [Thread(target=self._write, args=(number,)) for number in range(len(self._done))]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending = True
            for thread in threads:
                thread.join()

    def wait(self) -> None:
        """Until each has written a little more."""
        with self._moved:
            goal = [done + 2 for done in self._done]
            assert self._moved.wait_for(lambda: all(map(int.__ge__, self._done, goal)), 20), self.errors

    def _write(self, number: int) -> None:
        isolation = "repeatable read" if number == 0 else "read committed"
        with psycopg.connect(self._dsn, autocommit=True, prepare_threshold=2) as conn:
            conn.execute(
                f"set search_path = public, elsewhere; set default_transaction_isolation = '{isolation}'".encode()
            )
            for n in count():
                if self._ending:
                    return
                row = {"id": number * 10 + n % 5, "a": f"A{number}:{n}", "b": f"B{number}:{n}"}
                try:
                    with conn.transaction():
                        conn.execute(_WRITES[n % 4 % 3].encode(), row)
                        conn.execute(_WRITES[0].encode(), row | {"id": number * 10 + 7})
                except psycopg.errors.SerializationFailure:
                    pass
                except psycopg.Error as error:
                    self.errors.append(str(error))
                with self._moved:
                    self._done[number] += 1
                    self._moved.notify_all()


def kept(image: Image) -> tuple[str | None, ...]:
    """The values that no change of the schema touches, in any order of columns; they must belong together."""
    a, b = sorted(value for value in image.values() if value and value[0] in "AB")
    assert a[1:] == b[1:], image
    return image["id"], a, b


def test_no_image_is_wrong_while_others_write(conn: psycopg.Connection, dsn: str) -> None:
    conn.execute("create schema elsewhere; create table t (id int primary key, a text, b text)")
    conn.execute("set search_path = public, elsewhere")
    cover(conn, "t")
    writers = Writers(dsn)
    with writers.writing():
        for change in _CHANGES:
            writers.wait()
            with conn.transaction():
                conn.execute(change.encode())
        writers.wait()
        with conn.transaction():
            conn.execute("lock table t")
            check(conn)
            conn.execute(_RECREATE.encode())
        writers.wait()
    assert writers.errors == []
    check(conn)


def check(conn: psycopg.Connection) -> None:
    """All after-images less all before-images are what is there."""
    net: Counter[tuple[str | None, ...]] = Counter()
    for _, before, after in changes(conn, "t"):
        net.update([kept(after)] if after else [])
        net.subtract([kept(before)] if before else [])
    assert {row: times for row, times in net.items() if times} == dict.fromkeys(
        (kept(dict(zip(("id", "a", "b"), row, strict=True))) for row in conn.execute("select id::text, a, b from t")), 1
    )
    assert status(conn, "t") == "covered"
