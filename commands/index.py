"""Commands that make an index of a store, keep it up to date, join indexes, and push one into a vector database."""

import re
from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option, run_option
from framebank.commands.printing import print_report, progress

TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s)")
SECONDS = {"ms": 0.001, "s": 1.0}
TYPES = ("auto", "flat", "ivf", "hnsw", "ivfpq", "sq8")
ROW_TYPES = ("auto", "float32", "float16")


class Budget(click.ParamType[float]):
    """A time with its unit, such as 50ms or 0.1s, as seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; wrong usage where the text is no time."""
        if isinstance(value, float):
            return value
        found = TIME.fullmatch(str(value).strip())
        if not found or float(found[1]) <= 0:
            self.fail(f"{value!r} is not a time above 0; expected one such as 50ms or 0.1s", param, ctx)
        return float(found[1]) * SECONDS[found[2]]


type_option = click.option(
    "--type", "kind", type=click.Choice(TYPES), help="What is searched: auto is exact while it is fast.  [auto]"
)
budget_option = click.option("--budget", type=Budget(), help="With --type auto: the time of a query.  [50ms]")
recall_option = click.option(
    "--recall", type=click.FloatRange(0, 1, min_open=True), help="The share of true neighbours to find.  [0.95]"
)

rows_option = click.option(
    "--rows", type=click.Choice(ROW_TYPES), help="What vectors of clips and frames are kept as.  [auto]"
)


@click.command(short_help="Index the videos of a store for search and labels.")
@click.argument("store", type=PATH)
@click.argument("index", type=PATH)
@run_option
@click.option("--split", help="The split to index, or all.  [all]")
@click.option("--level", type=click.Choice(("video", "clip", "frame")), help="One vector for each of these.  [video]")
@type_option
@budget_option
@recall_option
@rows_option
@device_option
@click.option(
    "--update", is_flag=True, help="Bring INDEX up to date with STORE; enrolled classes and the calibration stay."
)
@click.option("--remove", multiple=True, metavar="ID", help="With --update: take this video out, and leave it out.")
@click.option("--add", multiple=True, metavar="ID", help="With --update: take it in again.")
@click.option("--overwrite", is_flag=True, help="Replace an existing index.")
@json_option
def index(
    store: Path,
    index: Path,
    run_path: Path | None,
    split: str | None,
    level: str | None,
    kind: str | None,
    budget: float | None,
    recall: float | None,
    rows: str | None,
    device: str,
    update: bool,
    remove: tuple[str, ...],
    add: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Index the videos of STORE for search and labelling, in the folder INDEX.

    With --level clip or frame, a search finds the seconds of a video too. With --type auto the search is exact if a
    query takes no longer than --budget; otherwise it is the smallest of the other types that finds --recall of the true
    neighbours. What was measured is printed. With --rows float16 the vectors of clips and frames take half of the
    bytes; auto does so from a million of them on.

    If videos of STORE were added, removed, embedded again, moved or relabelled, --update brings INDEX up to date, with
    the split, the run, the level and the type that it was made with. Only what is new is read. Enrolled classes and the
    calibration stay, and the thresholds are set again.

    \b
    framebank index bank index
    framebank index bank index --split train --run run
    framebank index bank frames --level frame --type sq8
    framebank index bank index --update --remove run/7
    """
    if update and overwrite:
        raise click.UsageError("--update keeps the existing index and --overwrite replaces it; give one of them")
    if (remove or add) and not update:
        raise click.UsageError("--remove and --add name videos of an existing index; give --update too")
    made_with = (level, kind, budget, recall, rows)
    if update and any(value is not None for value in made_with):
        raise click.UsageError("--update keeps the level and the type of INDEX; make a new index for others")
    from framebank.library.indexing.build import index as make_index
    from framebank.library.indexing.update import update_index
    from framebank.library.stores import open_store

    bank = open_store(store)
    if update:
        made = update_index(index, bank, split=split, run_path=run_path, device=device, remove=remove, add=add)
        print_report(made.to_dict(), as_json=as_json, lines=made.lines())
    else:
        asked = {"level": level, "type": kind, "budget": budget, "recall": recall, "rows": rows}
        new = make_index(
            bank,
            index,
            run=run_path,
            split=split or "all",
            overwrite=overwrite,
            device=device,
            **{name: value for name, value in asked.items() if value is not None},  # type: ignore[arg-type]
        )
        print_report(new.to_dict(), as_json=as_json, lines=new.lines())


@click.command("index-merge", short_help="Join indexes that were made on several machines.")
@click.argument("indexes", type=PATH, nargs=-1, required=True)
@click.argument("out", type=PATH)
@type_option
@budget_option
@recall_option
@click.option("--overwrite", is_flag=True, help="Replace an existing index.")
@json_option
def index_merge(
    indexes: tuple[Path, ...],
    out: Path,
    kind: str | None,
    budget: float | None,
    recall: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Join INDEXES of parts of a bank into one index in the folder OUT. No row of a store is read.

    All must be of the same encoder and sampling, pooled in the same way, and of one level. The type is that of the
    first index, unless --type is given. A video that is in two indexes must have the same vector in both. `framebank
    index STORE OUT --update` ties OUT to a store that holds all the videos.

    \b
    framebank index-merge index-1 index-2 index-3 index
    """
    from framebank.library.indexing.merge import merge_indexes

    made = merge_indexes(indexes, out, type=kind, budget=budget, recall=recall, overwrite=overwrite)
    print_report(made.to_dict(), as_json=as_json, lines=made.lines())


@click.command("index-push", short_help="Write an index into Qdrant or PostgreSQL.")
@click.argument("index", type=PATH)
@click.option("--to", required=True, metavar="TARGET", help="qdrant:URL, qdrant:FOLDER or pgvector:DSN.")
@click.option("--name", default="framebank", help="The collection or table.")
@click.option("--batch", default=500, type=click.IntRange(1), help="Points that are written together.")
@json_option
def index_push(index: Path, to: str, name: str, batch: int, as_json: bool) -> None:
    """Write what INDEX searches into a vector database: vectors, seconds, and what is known of the videos.

    This goes one way, and the store stays the truth. The collection or table is made if it is not there. The id of a
    point is always the same: a second push writes no point twice. The key of a Qdrant server is read from
    QDRANT_API_KEY, a password of PostgreSQL as by psql, from PGPASSWORD or the file .pgpass.

    \b
    framebank index-push index --to qdrant:http://localhost:6333
    framebank index-push index --to pgvector:postgresql://localhost/films --name clips
    """
    from framebank.library.indexing.push import push_index

    made = push_index(index, to, name=name, batch=batch, watch=progress)
    print_report(made.to_dict(), as_json=as_json, lines=made.lines())
