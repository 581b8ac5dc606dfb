"""Pairs: two or more runs on the same videos; which is better, or that these videos cannot tell."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from framebank.heads.evaluation.paired import Paired


def compare(
    correct_a: "np.ndarray",
    correct_b: "np.ndarray",
    groups: "np.ndarray | None" = None,
    seed: int = 0,
    *,
    equivalent_within: float | None = None,
) -> "Paired":
    """Return what classifier B is worth beside A on the same videos, from which of them each has right.

    The two arrays are (V,) booleans, in the same order of videos, or (S, V) of S seeds, which are taken in pairs.
    `groups` (V,) tells which videos come from one source; the bootstrap, whose draws are those of `seed`, then draws
    sources. `equivalent_within` asks whether the two are equal within so many points. The result has `difference` (B
    less A, a fraction), `interval` (95 %), `mcnemar_p`, `flips` (`gained`, `lost`), `smallest_difference` and `verdict`
    ("better", "worse" or "cannot tell", of B). DataError where the arrays do not fit.

    >>> import numpy as np
    >>> import framebank as fb
    >>> fb.compare(np.array([True, False] * 40), np.array([True, True, True, False] * 20)).verdict
    'better'
    """
    from framebank.heads.evaluation.paired import compare_paired

    return compare_paired(correct_a, correct_b, groups=groups, seed=seed, equivalent_within=equivalent_within)
