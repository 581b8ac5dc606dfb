"""An index is pushed into Qdrant's own folder and into a real PostgreSQL with pgvector: once, again, and wrongly."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.store.indexes.index import Index
from framebank.store.push.pgvector import Pgvector
from framebank.store.push.points import _value
from framebank.store.push.targets import TARGETS, open_target
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.heads import DIM, write_world
from framebank.tests.worlds.postgres import postgres_programs, running_postgres

pytestmark = pytest.mark.usefixtures("one_thread")
Read = Callable[[str, str], dict[str, tuple[np.ndarray, dict[str, Any]]]]


@dataclass(frozen=True)
class Database:
    """Where to push to, and what reads a collection back: for each id the vector and the payload."""

    to: str
    read: Read


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of videos, one of frames and one of another width; the list has a column camera."""
    folder = tmp_path_factory.mktemp("push")
    write_world(folder / "bank")
    listed = folder / "bank" / "manifest.csv"
    with listed.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with listed.open("w", newline="", encoding="utf-8") as file:
        more = [[*header, "camera", "height", "duration"], *([*row, 'it\'s "left"', "720", "12.5"] for row in rows)]
        csv.writer(file).writerows(more)
    for level in ("video", "frame"):
        fb.index(folder / "bank", folder / level, level=level, split="test", type="flat", device="cpu")
    narrow = Index.load(folder / "video")
    other = Index(narrow.own_vectors[:, :5], list(narrow.own), spec=_narrow(narrow), made_by=narrow.made_by)
    other.save(folder / "narrow")
    return folder


def _narrow(index: Index) -> Any:
    from dataclasses import replace

    return replace(index.spec, dim=5)


@pytest.fixture(scope="module", params=sorted(TARGETS))
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "qdrant":
        pytest.importorskip("qdrant_client", reason="qdrant-client is not installed: pip install framebank[qdrant]")
        place = str(tmp_path_factory.mktemp("qdrant"))
        yield Database(f"qdrant:{place}", lambda to, name: _read_qdrant(to.partition(":")[2], name))
        return
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install framebank[pgvector]")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with pgvector here: apt-get install postgresql-NN-pgvector, or framebank[dev]")
    with running_postgres(programs) as dsn:
        yield Database(f"pgvector:{dsn}", lambda to, name: _read_postgres(to.partition(":")[2], name))


def _read_qdrant(place: str, name: str) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    import qdrant_client

    client = qdrant_client.QdrantClient(path=place)
    points, _ = client.scroll(name, limit=10_000, with_payload=True, with_vectors=True)
    client.close()
    return {str(point.id): (np.asarray(point.vector), dict(point.payload or {})) for point in points}


def _read_postgres(dsn: str, name: str) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    import psycopg

    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(f'select * from "{name}"')
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {str(row.pop("id")): (np.array(json.loads(row.pop("embedding"))), row) for row in rows}


@pytest.mark.parametrize("level", ["video", "frame"])
def test_all_that_is_searched_is_there_once(framebank: Any, database: Database, indexes: Path, level: str) -> None:
    asked = ("index-push", indexes / level, "--to", database.to, "--name", level, "--batch", 7)
    index = Index.load(indexes / level)
    count = len(index.searched_vectors)
    first = framebank(*asked)
    assert first.stdout.splitlines()[0].startswith(f"pushed {count} {level}s -> {database.to.partition(':')[0]}:")
    before = database.read(database.to, level)
    again = json.loads(framebank(*asked, "--json").stdout)  # the ids are the same, so nothing is there twice
    after = database.read(database.to, level)
    assert (again["pushed"], again["holds"], again["level"], len(after)) == (count, count, level, count)
    assert before.keys() == after.keys()
    rows, own = index.searched.rows, list(index.own)
    expected = {
        (own[place].video_id, *(rows.spans[row].tolist() if rows else (None, None))): index.searched_vectors[row]
        for row, place in enumerate(rows.video_of.tolist() if rows else range(len(own)))
    }
    assert len(expected) == count
    for vector, payload in after.values():
        video = index.video(payload["video_id"])
        np.testing.assert_allclose(vector, expected[payload["video_id"], payload["start"], payload["end"]], atol=1e-6)
        assert (payload["label"], payload["split"], payload["path"]) == (video.label, "test", str(video.path))
        assert (payload["level"], payload["encoder"]) == (level, index.spec.encoder)
        assert payload["columns"] == {"camera": 'it\'s "left"', "height": 720.0, "duration": 12.5}
        assert payload["duration"] == 12.5


def test_the_database_answers_as_the_index_does(database: Database, indexes: Path) -> None:
    made = fb.push_index(indexes / "frame", database.to, name="asked", batch=1000)
    index = Index.load(indexes / "frame")
    assert "points" in repr(made) and made.holds == len(index.searched_vectors) and "pushed" in made._repr_html_()
    query = index.searched_vectors[3]
    scores = {name: float(vector @ query) for name, (vector, _) in database.read(database.to, "asked").items()}
    best = index.search(query[None], 1)[0][0]
    target = open_target(database.to, "asked")
    if isinstance(target, Pgvector):
        found = target._run(f"select id from asked order by embedding <=> '{query.tolist()}' limit 1")
    else:
        (point,) = target._client.query_points("asked", query=query.tolist(), limit=1).points
        found = point.id
    target.close()
    assert scores[str(found)] == pytest.approx(best.score, abs=1e-5) == max(scores.values())


def test_a_table_of_an_earlier_version_gets_the_column_that_it_lacks(database: Database, indexes: Path) -> None:
    fb.push_index(indexes / "video", database.to, name="earlier")
    target = open_target(database.to, "earlier")
    if not isinstance(target, Pgvector):
        target.close()
        pytest.skip("Qdrant has no columns")
    target._run("alter table earlier drop column duration")
    target.close()
    fb.push_index(indexes / "video", database.to, name="earlier")
    assert {payload["duration"] for _, payload in database.read(database.to, "earlier").values()} == {12.5}


def test_what_has_another_width_is_refused(framebank: Any, database: Database, indexes: Path) -> None:
    fb.push_index(indexes / "video", database.to, name="width")
    before = database.read(database.to, "width")
    told = sentence(framebank("index-push", indexes / "narrow", "--to", database.to, "--name", "width", exit_code=1))
    assert f"holds vectors of width {DIM}, those of the index have 5" in told
    assert database.read(database.to, "width").keys() == before.keys()


def test_a_table_of_something_else_is_refused(framebank: Any, database: Database, indexes: Path) -> None:
    target = open_target(database.to, "other")
    if isinstance(target, Pgvector):
        target._run("create table other (id int)")
        expected = "has no column 'embedding' of vectors"
    else:
        models = target._library.models
        sizes = {"a": models.VectorParams(size=DIM, distance=models.Distance.COSINE)}
        target._client.create_collection("other", vectors_config=sizes)
        expected = "has vectors with names"
    target.close()
    told = framebank("index-push", indexes / "video", "--to", database.to, "--name", "other", exit_code=1)
    assert expected in sentence(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--to", "milvus:there"), "'milvus' names no database to push to; expected qdrant:URL or pgvector:DSN"),
        (("--to", "qdrant:"), "'qdrant:' does not say where the database is; expected qdrant:http://HOST:6333 or"),
        (
            ("--to", "pgvector"),
            "'pgvector' does not say where the database is; expected pgvector:postgresql://HOST/DATAB",
        ),
        (("--to", "qrant:there"), "'qrant' names no database to push to; near names: 'qdrant'; expected qdrant:URL or"),
        (("--to", "qdrant:ftp://there"), "is not an address of Qdrant"),
        (("--to", "qdrant:localhost:6333"), "is not an address of Qdrant; expected http://HOST:6333 or a folder"),
        (("--to", "qdrant:http://u:secret@127.0.0.1:9"), "127.0.0.1:9, collection 'framebank': does not answer ("),
        (("--to", "pgvector:postgresql://u:secret@127.0.0.1:9/x"), "port=9, table 'framebank': does not answer"),
        (("--to", "pgvector:what is this"), "the DSN cannot be read"),
        (("--to", "qdrant::memory:", "--name", "x" * 64), "expected 1 to 63 printable bytes"),
    ],
)
def test_wrong_places_are_one_sentence(framebank: Any, indexes: Path, words: tuple[str, ...], told: str) -> None:
    pytest.importorskip("qdrant_client")
    pytest.importorskip("psycopg")
    said = framebank("index-push", indexes / "video", *words, exit_code=1)
    assert told in sentence(said) and "secret" not in said.stderr


def test_a_folder_of_something_else_is_left_alone(framebank: Any, indexes: Path) -> None:
    pytest.importorskip("qdrant_client")
    before = sorted(indexes.glob("bank/**/*"))
    told = sentence(framebank("index-push", indexes / "video", "--to", f"qdrant:{indexes / 'bank'}", exit_code=1))
    assert "holds other files; expected a new folder, or one of Qdrant's client" in told
    assert sorted(indexes.glob("bank/**/*")) == before


def test_a_cell_that_is_no_finite_number_stays_a_text() -> None:
    assert [_value(cell) for cell in ("720", "-1.5e3", "1e999", "7 m", "")] == [720.0, -1500.0, "1e999", "7 m", ""]


@pytest.mark.parametrize(("kind", "library"), [("qdrant", "qdrant_client"), ("pgvector", "psycopg")])
def test_a_missing_package_is_one_sentence(
    framebank: Any, indexes: Path, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    told = sentence(framebank("index-push", indexes / "video", "--to", f"{kind}:host=there", exit_code=1))
    assert f"{library} is not installed (pip install framebank[{kind}])" in told
