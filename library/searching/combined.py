"""Combined: several queries as one, by the weighted sum of their unit vectors."""

from collections.abc import Sequence

import numpy as np

from framebank.library.searching.asked import SearchQuery
from framebank.store.errors import DataError
from framebank.store.vectors import has_direction, unit

SAME = 1e-3  # the length of the sum of unit vectors that cancel each other


def combined(parts: Sequence[tuple[float, SearchQuery]]) -> SearchQuery:
    """Return what several queries ask together, each with its weight: the weighted sum of their unit vectors.

    A weight below 0 is for what hits should be far from. One query alone, with a weight above 0, stays as it is. One
    text and what is taken from it are judged by the everyday names, which lose the same vectors. Queries made of rows
    are judged as one of them is, if nothing is taken away. Others are not judged. DataError where no weight is above 0,
    where the embedding of a part has no direction, or where nothing is left of the sum.
    """
    most = max(abs(weight) for weight, _ in parts)
    near = [(weight / most, part) for weight, part in parts if weight > 0]
    far = [(weight / most, part) for weight, part in parts if weight < 0]
    if not near:
        raise DataError("every part of the query has a weight below 0; expected something to look for")
    if len(parts) == 1:
        return near[0][1]
    for _, part in parts:
        if not has_direction(part.vector):
            raise DataError(f"the embedding of {part.told!r} is all zeros, or holds values that are not numbers")
    towards = _sum(near)
    away = _sum(far) if far else np.zeros_like(towards)
    told = " + ".join(_told(weight, part) for weight, part in parts if weight > 0)
    told += "".join(f" (minus {_told(-weight, part)})" for weight, part in parts if weight < 0)
    if np.linalg.norm(towards + away) < SAME:
        raise DataError(f"{told!r} leaves nothing to search for; expected queries that do not cancel each other")
    names = near[0][1].names if len(near) == 1 else None
    if names is not None and far:
        less = names + away / max(float(np.linalg.norm(towards)), SAME)
        names = unit(less[np.linalg.norm(less, axis=1) >= SAME])
    out: dict[str, tuple[tuple[float, float], ...]] = {}
    for _, part in near:
        for video_id, seconds in part.leaves_out.items():
            own = out.get(video_id)
            out[video_id] = () if not seconds or own == () else (*(own or ()), *seconds)
    return SearchQuery(
        told,
        unit(towards + away),
        names=names,
        by_own=all(part.by_own for _, part in near) and not far,
        known=near[0][1].known or len(near) > 1,
        leaves_out=out,
    )


def _sum(parts: Sequence[tuple[float, SearchQuery]]) -> np.ndarray:
    summed: np.ndarray = np.sum([weight * unit(part.vector) for weight, part in parts], axis=0)
    return summed


def _told(weight: float, part: SearchQuery) -> str:
    return part.told if weight == 1 else f"{weight:g} x {part.told}"
