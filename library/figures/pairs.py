"""Pairs: two or more runs on the same videos: which is better, or that these videos cannot tell."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from framebank.library.checks import typed
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    import numpy as np

    from framebank.heads.evaluation.measured import MeasuredRun
    from framebank.heads.evaluation.paired import PairedDifference
    from framebank.heads.evaluation.paired_precision import PrecisionDifference

SHOWN = 5  # videos of the flips in the printed lines


class HasPath(Protocol):
    """An open run, such as a TrainedRun."""

    @property
    def path(self) -> Path:
        """The folder of the run."""


@dataclass(frozen=True, repr=False)
class RunPair:
    """How the run `run` compares with the first one, with the videos that it gained and lost.

    Of runs of several labels, `paired` is that of their mean average precision, and no video is gained or lost.
    """

    run: Path
    paired: "PairedDifference | PrecisionDifference"
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values of `paired`, and the videos of the flips beside their counts if there are flips."""
        values = self.paired.to_dict()
        if "flips" not in values:
            return {"run": str(self.run), **values}
        videos = {"gained_videos": list(self.gained), "lost_videos": list(self.lost)}
        return {"run": str(self.run), **values, "flips": {**values["flips"], **videos}}

    def __repr__(self) -> str:
        return "\n".join(self.paired.lines())


@dataclass(frozen=True, repr=False)
class RunPairs:
    """The run `first` compared with each of the others, on the videos of `split`. With two runs, a sequence of one."""

    first: Path
    split: str
    pairs: tuple[RunPair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values. With two runs, the figures are at the top level too."""
        figures = self.pairs[0].to_dict() if len(self.pairs) == 1 else {}
        found = {"first": str(self.first), "split": self.split, "pairs": [pair.to_dict() for pair in self.pairs]}
        return {**figures, **found}

    def lines(self) -> list[str]:
        """Return what was found, with a paragraph for each run."""
        lines: list[str] = []
        for pair in self.pairs:
            lines += [*([""] if lines else []), f"{self.first} (A) and {pair.run} (B), split {self.split}"]
            lines += pair.paired.lines()
            lines += [f"gained     {listed(pair.gained, most=SHOWN)}"] * bool(pair.gained)
            lines += [f"lost       {listed(pair.lost, most=SHOWN)}"] * bool(pair.lost)
        return lines

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@typed
def compare(
    correct_a: "np.ndarray",
    correct_b: "np.ndarray",
    groups: "np.ndarray | None" = None,
    seed: int = 0,
    *,
    equivalent_within: float | None = None,
) -> "PairedDifference":
    """Compare classifier B with A on the same videos, given which videos each has right.

    The two arrays are (V,) booleans in the same order of videos, or (S, V) for S seeds, which are compared in pairs.
    `groups` (V,) says which videos come from one source; the bootstrap, with draws from `seed`, then draws sources.
    `equivalent_within` asks whether the two are equal within that many points. The result has `difference` (B minus A,
    a fraction), `interval` (95 %), `mcnemar_p`, `flips` (`gained`, `lost`), `smallest_difference` and `verdict` (on B:
    "better", "worse" or "cannot tell"). DataError if the arrays do not fit.

    >>> import numpy as np
    >>> import framebank as fb
    >>> fb.compare(np.array([True, False] * 40), np.array([True, True, True, False] * 20)).verdict
    'better'
    """
    import numpy as np

    from framebank.heads.evaluation.paired import compare_paired

    correct_a, correct_b = np.asarray(correct_a), np.asarray(correct_b)
    return compare_paired(correct_a, correct_b, groups=groups, seed=seed, equivalent_within=equivalent_within)


@typed
def compare_scores(
    scores_a: "np.ndarray",
    scores_b: "np.ndarray",
    targets: "np.ndarray",
    groups: "np.ndarray | None" = None,
    *,
    equivalent_within: float | None = None,
) -> "PrecisionDifference":
    """Compare classifier B with A on the same videos of several labels, given the scores of both.

    The scores are (V, C), or (S, V, C) for S seeds, which are compared in pairs; `targets` (V, C) is 1 where a video
    has a label. Videos without a label do not count. `groups` (V,) says which videos come from one source. The result
    has `map_a`, `map_b`, `difference` (B minus A, a fraction), `interval` (95 %, by a jackknife over the sources),
    `smallest_difference` and `verdict` (on B: "better", "worse" or "cannot tell"). DataError if the arrays do not fit.

    >>> import numpy as np
    >>> import framebank as fb
    >>> targets = np.arange(180).reshape(90, 2) % 3 == 0
    >>> noise = np.random.default_rng(0).random((90, 2))
    >>> fb.compare_scores(noise, noise + targets, targets).verdict
    'better'
    """
    import numpy as np

    from framebank.heads.evaluation.paired_precision import compare_precision, maps_of_scores

    hits = np.asarray(targets)
    first, second = (
        maps_of_scores(np.asarray(scores), hits, name=name)
        for name, scores in (("scores_a", scores_a), ("scores_b", scores_b))
    )
    if groups is not None and np.shape(groups) != (len(hits),):
        raise DataError(f"groups has the shape {np.shape(groups)}; expected ({len(hits)},), a value for each video")
    sources = None if groups is None else np.asarray(groups)[hits.any(1)]
    return compare_precision(first, second, groups=sources, equivalent_within=equivalent_within)


@typed
def compare_runs(*runs: "HasPath | str | Path", seed: int = 0, equivalent_within: float | None = None) -> RunPairs:
    """Compare evaluated runs with the first of them, from the predictions in their folders.

    The videos are aligned by their ids. They are drawn by source if the store has groups or UCF's names (`_g01_`). A
    folder of runs named seed-0, seed-1, ... counts as one run with several seeds, which are compared in pairs. With
    more than two runs, the p-values are corrected by Holm's method before the verdicts. Runs of several labels a video
    are compared by their mean average precision, with a jackknife, which draws nothing and needs no seed. DataError if
    a run was never evaluated, or if two were evaluated on different splits, classes or videos.

    >>> import framebank as fb
    >>> fb.compare_runs("run-mean", "run-transformer").pairs[0].paired.verdict                 # doctest: +SKIP
    'better'
    """
    from framebank.heads.evaluation.measured import judges_each, read_measured

    folders = [Path(run) if isinstance(run, str | Path) else run.path for run in runs]
    if len(folders) < 2:
        raise DataError("one run alone cannot be compared; expected two or more")
    if len({folder.absolute() for folder in folders}) < len(folders):
        raise DataError("a run is given twice; expected different runs")
    measured = [read_measured(folder) for folder in folders]
    if judges_each(measured[0]):
        return _by_precision(folders, measured, equivalent_within=equivalent_within)
    return _by_accuracy(folders, measured, seed=seed, equivalent_within=equivalent_within)


def _by_accuracy(
    folders: Sequence[Path],
    measured: "Sequence[dict[int | None, MeasuredRun]]",
    *,
    seed: int,
    equivalent_within: float | None,
) -> RunPairs:
    """Compare runs of one label a video: which videos each has right."""
    from framebank.heads.evaluation.measured import align
    from framebank.heads.evaluation.paired import compare_paired
    from framebank.heads.evaluation.verdict import corrected

    aligned = align(measured)
    _warn_of_stores(folders, measured)
    first, *others = aligned.correct
    found = corrected(
        [
            compare_paired(first, other, groups=aligned.groups, seed=seed, equivalent_within=equivalent_within)
            for other in others
        ]
    )
    pairs = []
    for folder, other, paired in zip(folders[1:], others, found, strict=True):
        net = other.sum(0, dtype=int) - first.sum(0, dtype=int)
        gained, lost = (
            tuple(video_id for video_id, own in zip(aligned.video_ids, flipped, strict=True) if own)
            for flipped in ((net > 0).tolist(), (net < 0).tolist())
        )
        pairs.append(RunPair(folder, paired, gained, lost))
    return RunPairs(folders[0], aligned.split, tuple(pairs))


def _by_precision(
    folders: Sequence[Path],
    measured: "Sequence[dict[int | None, MeasuredRun]]",
    *,
    equivalent_within: float | None,
) -> RunPairs:
    """Compare runs of several labels a video: the mean average precision of each."""
    from framebank.heads.evaluation.jackknife import JackknifedMap
    from framebank.heads.evaluation.measured import align_scores
    from framebank.heads.evaluation.paired_precision import compare_precision
    from framebank.heads.evaluation.verdict import corrected

    aligned = align_scores(measured)
    _warn_of_stores(folders, measured)
    first, *others = ([JackknifedMap.of(one, aligned.hits) for one in seeds] for seeds in aligned.scores)
    found = corrected(
        [
            compare_precision(first, other, groups=aligned.groups, equivalent_within=equivalent_within)
            for other in others
        ]
    )
    pairs = tuple(RunPair(folder, paired) for folder, paired in zip(folders[1:], found, strict=True))
    return RunPairs(folders[0], aligned.split, pairs)


def _warn_of_stores(folders: Sequence[Path], measured: "Sequence[dict[int | None, MeasuredRun]]") -> None:
    """Warn if runs were scored on different stores: their rows differ too, not only what was learned."""
    stores = [next(iter(one.values())).store for one in measured]
    other = next((number for number, store in enumerate(stores) if store.resolve() != stores[0].resolve()), None)
    if other is not None:
        warn(
            f"{folders[0]} was scored on the store {stores[0]} and {folders[other]} on {stores[other]}; the difference "
            "is that of the rows too"
        )


def pairs_of_recipes(folder: Path, seeds: Mapping[str, int]) -> tuple[RunPairs | None, tuple[str, ...]]:
    """Return the best of the recipes of a comparison beside each other one, and a note for what cannot be paired.

    `seeds` says of each recipe that ran how many of its seeds did, the best recipe first; one that has fewer than
    another one is left out. The runs lie in `folder`/NAME/seed-N, as `framebank compare` left them. None where fewer
    than two recipes are left.
    """
    most = max(seeds.values(), default=0)
    notes = tuple(
        f"not paired: {name}: was trained with {number} of {counted(most, 'seed')}"
        for name, number in seeds.items()
        if number < most
    )
    names = [name for name, number in seeds.items() if number == most]
    if len(names) < 2:
        return None, notes
    try:
        return compare_runs(*(folder / name for name in names)), notes
    except DataError as error:
        return None, (*notes, f"not paired: {error}")
