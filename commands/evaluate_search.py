"""The command evaluate-search."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option
from framebank.commands.printing import print_report


@click.command("evaluate-search", short_help="Measure an index by queries with known answers.")
@click.argument("index", type=PATH)
@click.argument("queries", type=PATH)
@click.option("--dual-softmax", is_flag=True, help="Weigh each score by a softmax over all queries.")
@click.option("--store", type=PATH, help="The store whose rows moments are read from.  [the store of the index]")
@device_option
@json_option
def evaluate_search(
    index: Path, queries: Path, dual_softmax: bool, store: Path | None, device: str, as_json: bool
) -> None:
    """Measure how well INDEX answers the texts of QUERIES, whose answers are known.

    QUERIES is a CSV with the columns text and video_id. A text may have several videos, and a video several texts. R@1,
    R@5, R@10, the median rank and the mAP are printed, from text to video and from video to text. Rows with a start and
    an end, in seconds, also measure moments in that video: R1 at an IoU of 0.3, 0.5 and 0.7, and the mAP.

    \b
    framebank evaluate-search index queries.csv
    framebank evaluate-search index queries.csv --dual-softmax
    """
    from framebank.library.searching.evaluated import evaluate_search as measure

    found = measure(index, queries, dual_softmax=dual_softmax, store=store, device=device)
    print_report(found.to_dict(), as_json=as_json, lines=found.lines())
