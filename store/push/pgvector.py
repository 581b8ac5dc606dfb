"""Pgvector: a table of PostgreSQL with a column of vectors, as a target of points."""

import contextlib
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from framebank.store.errors import DataError, reason_of
from framebank.store.lazy import require
from framebank.store.push.points import Points

SECONDS = 10  # that a server may take to answer at all
# The columns beside the vector, and what they are in PostgreSQL.
COLUMNS = {
    "id": "uuid primary key",
    "video_id": "text not null",
    "path": "text",
    "label": "text",
    "split": "text",
    "start": "double precision",
    "end": "double precision",
    "level": "text",
    "encoder": "text",
    "columns": "jsonb",
    "duration": "double precision",
}
VECTOR = "embedding"
LATER = "duration"  # a column that tables of earlier versions lack
SECRETS = ("password", "sslpassword")  # of a DSN, which no message shows
MISSING = "the extension vector is not there and cannot be made"


class Pgvector:
    """A table of PostgreSQL at a DSN, as libpq takes it: "postgresql://HOST/DATABASE" or "host=/tmp dbname=films"."""

    def __init__(self, dsn: str, table: str) -> None:
        self.table = table
        self._library: ModuleType = require("psycopg", extra="pgvector", what=f"pgvector, table {table!r}")
        self._place = self._without_password(dsn)
        with self._telling("does not answer"):
            self._connection: Any = self._library.connect(dsn, connect_timeout=SECONDS)

    def __repr__(self) -> str:
        return f"Pgvector({self.shown!r})"

    @property
    def shown(self) -> str:
        """Where it is, without the password."""
        return f"pgvector:{self._place}, table {self.table!r}"

    def prepare(self, dim: int) -> None:
        """Make the extension and the table if they are not there. DataError if its vectors have another width."""
        sql = self._library.sql
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in COLUMNS.items()
        )
        with self._telling(MISSING):
            self._run(sql.SQL("create extension if not exists vector"))
        with self._telling("cannot be made or read"):
            self._run(
                sql.SQL("create table if not exists {} ({}, {} vector({}))").format(
                    sql.Identifier(self.table), columns, sql.Identifier(VECTOR), sql.Literal(dim)
                )
            )
            width = self._run(
                sql.SQL(
                    "select atttypmod from pg_attribute where attrelid = to_regclass(quote_ident({}))"
                    " and attname = {} and atttypid = to_regtype('vector')"
                ).format(sql.Literal(self.table), sql.Literal(VECTOR))
            )
        if width is None:
            raise DataError(f"{self.shown}: has no column {VECTOR!r} of vectors; expected a table that this made")
        if width != dim:
            raise DataError(
                f"{self.shown}: holds vectors of width {width}, those of the index have {dim}; expected a table of "
                "this width, or a name that is not taken"
            )
        with self._telling(f"has no column {LATER!r}, and takes none"):
            self._add_later()

    def _add_later(self) -> None:
        """Give a table of an earlier version the column that it lacks."""
        sql = self._library.sql
        asked = "select 1 from pg_attribute where attrelid = to_regclass(quote_ident({})) and attname = {}"
        if self._run(sql.SQL(asked).format(sql.Literal(self.table), sql.Literal(LATER))) is None:
            added = sql.SQL("alter table {} add column if not exists {} {}")
            self._run(added.format(sql.Identifier(self.table), sql.Identifier(LATER), sql.SQL(COLUMNS[LATER])))

    def write(self, points: Points) -> None:
        """Write points in place of those with the same ids, all or none of them."""
        sql = self._library.sql
        names = [*COLUMNS, VECTOR]
        others = [sql.Identifier(name) for name in names[1:]]
        asked = sql.SQL("insert into {} ({}) values ({}) on conflict (id) do update set {}").format(
            sql.Identifier(self.table),
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(", ").join([sql.Placeholder()] * len(names)),
            sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others),
        )
        rows = [
            (one, *(_cell(payload[name]) for name in names[1:-1]), str(vector.tolist()))
            for one, payload, vector in zip(points.ids, points.payloads, points.vectors, strict=True)
        ]
        with self._telling("does not take the points"), self._connection.transaction():
            self._connection.cursor().executemany(asked, rows)
        with self._telling("does not take the points"):
            self._connection.commit()

    def count(self) -> int:
        """Return how many points the table has."""
        sql = self._library.sql
        with self._telling("cannot be read"):
            return int(self._run(sql.SQL("select count(*) from {}").format(sql.Identifier(self.table))))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _run(self, asked: Any) -> Any:
        """Do one thing, for good; return the first value that it gives, or None."""
        cursor = self._connection.execute(asked)
        row = cursor.fetchone() if cursor.description else None
        self._connection.commit()
        return None if row is None else row[0]

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Turn what the library raises into one sentence."""
        try:
            yield
        except self._library.Error as error:
            raise DataError(f"{self.shown}: {what} ({reason_of(error)})") from error

    def _without_password(self, dsn: str) -> str:
        try:
            parts = self._library.conninfo.conninfo_to_dict(dsn)
        except self._library.Error as error:
            raise DataError(
                "the DSN cannot be read; expected one such as postgresql://HOST/DATABASE or host=HOST dbname=DATABASE"
            ) from error
        return " ".join(f"{name}={value}" for name, value in parts.items() if name not in SECRETS)


def _cell(value: object) -> object:
    """Return what is written for a value of a payload."""
    return json.dumps(value) if isinstance(value, dict) else value
