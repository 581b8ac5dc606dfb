"""report: write the page of some runs, or of a store."""

from pathlib import Path
from typing import TYPE_CHECKING

from framebank.library.checks import require_least, typed
from framebank.library.watch import Watch, unwatched
from framebank.store.counts import listed
from framebank.store.errors import DataError
from framebank.store.files.place import require_place
from framebank.store.lazy import require

if TYPE_CHECKING:
    from framebank.library.figures.pairs import HasPath
    from framebank.library.reporting.page import ReportPage

PICTURES = 240


@typed
def report(
    *what: "HasPath | str | Path",
    out: str | Path,
    pictures: int = PICTURES,
    device: str = "auto",
    watch: Watch = unwatched,
) -> "ReportPage":
    """Write one HTML file that shows evaluated runs, or a store, to people. It needs no network and no other file.

    Of runs it has the protocol, the accuracy of each class, the confusions with the videos behind each number, the
    flips of a second run, calibration, what order and number of frames are worth, a map of the embeddings, and the
    surest mistakes. Of runs of several labels it has the average precision of each label, what the labels above their
    thresholds are worth, the map, the surest wrong labels and the least sure true ones. A folder of runs named seed-0,
    seed-1, ... is one run: its figures are means over the seeds with their deviation, and the videos are those of the
    first one. Of a store it has what is in it, what failed, balance, lengths, near-duplicates across splits, labels to
    check and a picture of each class. `out` ends in .html and is replaced. If it ends in .md, it becomes a model card
    of one run, as Hugging Face reads it (`model-index`). At most `pictures` videos are read for a frame; 0 reads none.
    A section that cannot be made is left out, and `left_out` says why. DataError if `what` is neither runs nor one
    store, if a run was never evaluated, or if two were evaluated on different splits, classes or videos.

    >>> import framebank as fb
    >>> fb.report("run", out="run.html").headline                                              # doctest: +SKIP
    'run is right in 87.5 % of 160 test videos (95 % 81.5 to 91.8).'
    """
    require_least("pictures", pictures, 0)
    place, folders = Path(out), [Path(one) if isinstance(one, str | Path) else one.path for one in what]
    if place.suffix.lower() not in (".html", ".htm", ".md"):
        raise DataError(
            f"{place}: does not have the name of a page; expected one that ends in .html, or .md for a card"
        )
    require_place(place)
    kind = _kind(folders)
    if place.suffix.lower() == ".md":
        from framebank.library.reporting.card import write_card

        if kind == "store":
            raise DataError(f"{place}: is the name of a model card, and {folders[0]} is a store; expected a run")
        return write_card(folders, place)
    for library in ("jinja2", "markupsafe"):  # told before the sections are made, which takes minutes
        require(library, extra="report", what=place.name)
    if kind == "store":
        from framebank.library.reporting.of_store import report_store

        return report_store(folders[0], place, pictures=pictures, watch=watch)
    from framebank.library.reporting.judged import read_either

    judged, evaluated = read_either(folders)
    if judged:
        from framebank.library.reporting.of_judged import report_judged

        return report_judged(judged, place, pictures=pictures, device=device, watch=watch)
    from framebank.library.reporting.of_runs import report_runs

    return report_runs(evaluated, place, pictures=pictures, device=device, watch=watch)


def _kind(folders: list[Path]) -> str:
    """Return "run" for one run or several, "store" for one store. DataError for anything else."""
    from framebank.store.files.kinds import kind_of

    if not folders:
        raise DataError("there is nothing to report on; expected runs, or a store")
    kinds = []
    for folder in folders:
        if any(folder.glob("seed-*/checkpoint.safetensors")):
            kinds.append("run")  # of several seeds
            continue
        kinds.append(kind_of(folder)[0])
        if kinds[-1] not in ("run", "store"):
            article = "an" if kinds[-1][0] in "aeiou" else "a"
            raise DataError(f"{folder}: is {article} {kinds[-1]}; expected evaluated runs, or a store")
    if "store" in kinds and len(kinds) > 1:
        raise DataError(f"{listed(folders)}: are not all runs; expected evaluated runs, or one store")
    if len({folder.absolute() for folder in folders}) < len(folders):
        raise DataError("a run is given twice; expected different runs")
    return kinds[0]
