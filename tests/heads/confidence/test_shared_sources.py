from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from framebank.heads.bank import Bank
from framebank.heads.confidence.scaling import fit_scaling
from framebank.heads.confidence.shared_sources import MOST, mean_rows, near_share, note_of_share, shared_sources_note
from framebank.store import Manifest, Video
from framebank.store.errors import DataWarning


def bank_of(rows: np.ndarray, target: np.ndarray, places: np.ndarray) -> Bank:
    """A bank of the videos at some places: two frames, the second of which is no real one, in two views."""
    x = torch.tensor(np.repeat(rows[places], 2, axis=0), dtype=torch.float16)[:, None].repeat(1, 2, 1)
    x[:, 1] = torch.nan
    mask = torch.tensor([True, False]).repeat(len(x), 1)
    ids = tuple(str(place) for place in places)
    return Bank(ids, x, mask, torch.tensor(target[places]), len(places), num_groups=2, num_classes=3)


def drawn(clips: int, *, seed: int = 0) -> tuple[Bank, Bank]:
    """Validation and training videos: three classes of sources with so many clips, drawn without regard to these."""
    rng = np.random.default_rng(seed)
    classes = 2 * rng.normal(size=(3, 1, 1, 32))
    sources = classes + rng.normal(size=(3, 48 // clips, 1, 32))
    rows = (sources + 0.2 * rng.normal(size=(3, 48 // clips, clips, 32))).reshape(-1, 32)
    target = np.repeat(np.arange(3), 48)
    held = rng.permutation(len(rows)) < len(rows) // 4
    places = np.arange(len(rows))
    return bank_of(rows, target, places[held]), bank_of(rows, target, places[~held])


def manifest(groups: dict[str, str] | None = None) -> Manifest:
    """The videos of `drawn`, in groups if these are given."""
    return Manifest([Video(str(n), Path(str(n)), group=(groups or {}).get(str(n), "")) for n in range(144)])


def test_clips_of_one_recording_on_both_sides_are_seen_without_their_names():
    apart, shared = (shared_sources_note(*drawn(clips), manifest()) for clips in (1, 4))
    assert not apart
    assert "of 36 validation videos are, or look, of one source with training videos" in shared


def test_names_of_sources_decide_where_there_are_some():
    val, train = drawn(4)
    apart = {**dict.fromkeys(val.video_ids, "one"), **dict.fromkeys(train.video_ids, "other")}
    assert not shared_sources_note(val, train, manifest(apart))
    assert not shared_sources_note(val, train, manifest({str(n): str(n) for n in range(144)}))  # each is alone
    val, train = drawn(1)
    assert shared_sources_note(val, train, manifest({**apart, **dict.fromkeys(train.video_ids[:2], "one")}))


def test_a_near_video_of_another_class_is_none_of_its_source():
    val, train = drawn(4)
    known = (mean_rows(train), train.target)
    assert near_share(mean_rows(val), val.target, *known) > 0.8
    assert near_share(mean_rows(val), (val.target + 1) % 3, *known) < 0.2


def test_a_class_with_few_training_videos_says_nothing():
    rows, target = torch.zeros(1, 4), torch.zeros(1)
    others = torch.eye(4)[[0, 0, 1]] - torch.eye(4)[[0, 0, 0]]
    assert near_share(rows, target, others, torch.zeros(3)) == 0


def test_the_sentence_begins_above_the_share():
    assert not note_of_share(2 * MOST, 25)
    assert note_of_share(2 * MOST, 250)
    assert note_of_share(0.2, 40).startswith("8 of 40 validation videos are, or look,")


def test_no_validation_videos_say_nothing():
    assert not shared_sources_note(None, drawn(4)[1], manifest())


@pytest.mark.parametrize("clips", [1, 4])
def test_of_several_labels_the_one_of_the_most_alike_videos_counts(clips: int):
    """The last label is of every video: by its usual distance, most are near to a video of their other label."""
    banks = []
    for bank in drawn(clips):
        banks.append(replace(bank, target=F.pad(F.one_hot(bank.target, 3), (0, 1), value=1).float()))
    val, train = banks
    found = near_share(mean_rows(val), val.target, mean_rows(train), train.target)
    assert found > 0.8 if clips > 1 else found < 0.1
    assert bool(shared_sources_note(val, train, manifest())) == (clips > 1)
    some = val.target * torch.tensor([1, 1, 0, 1])  # a label that no validation video has
    assert 0 <= near_share(mean_rows(val), some, mean_rows(train), train.target) <= 1
    none = torch.zeros_like(train.target)
    assert near_share(mean_rows(val), val.target, mean_rows(train), none) == 0


@pytest.mark.parametrize("sharpness", [0.3, 3.0])
def test_videos_of_shared_sources_never_make_a_run_surer(sharpness: float):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(400, 5, generator=generator, dtype=torch.double)
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    free = fit_scaling(sharpness * logits, target)
    with pytest.warns(DataWarning, match="all of them") if sharpness < 1 else nullcontext():
        held = fit_scaling(sharpness * logits, target, sources=lambda: "all of them")
    assert free.temperature == pytest.approx(sharpness, rel=0.15)
    assert held.temperature == max(1.0, free.temperature)
    own = held.apply(sharpness * logits).softmax(1).gather(1, target[:, None])[:, 0]
    assert held.scores == pytest.approx((1 - own).tolist())
