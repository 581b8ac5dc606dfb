"""Videos that were mutated, in one extraction: all are accounted for, what is embedded is as a full decode gives it."""

import pytest

from framebank.tests.fuzz.videos import LARGEST_WORKER, MUTATIONS, fuzz_videos
from framebank.tests.worlds.decode import needs_data

VIDEOS = 70


@pytest.mark.slow
@needs_data
def test_mutated_videos(tmp_path):
    """`make fuzz-videos` tries more of them."""
    cases, largest = fuzz_videos(VIDEOS, tmp_path, seed=1)
    assert {case.mutation for case in cases} == set(MUTATIONS)
    assert [f"{case.path.name}: {case.said}" for case in cases if case.outcome == "fault"] == []
    assert {case.outcome for case in cases if case.mutation == "cut"} <= {"refused", "as the original"}
    assert 0 < largest < LARGEST_WORKER
