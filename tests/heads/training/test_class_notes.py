"""What is said of training videos that teach too little, and of validation videos that judge too little."""

from dataclasses import replace

import pytest
import torch

from framebank.heads.bank import load_bank
from framebank.heads.training.class_notes import class_notes
from framebank.store import LabelSet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def banks(world):
    splits = (world.manifest.split(name) for name in ("train", "val"))
    return [load_bank(world.store, split, world.prompts.labels, device=CPU) for split in splits]


def test_one_class_is_nothing_to_tell_apart(banks, world):
    train, val = banks
    labels = world.prompts.labels
    assert class_notes(train, val, labels) == []
    one = replace(train, target=torch.full_like(train.target, 2))
    assert class_notes(one, None, labels) == [
        f"all {len(train)} training videos are of the class {labels.names[2]!r}: there is nothing to tell apart"
    ]


def test_classes_without_a_validation_video(banks, world):
    train, val = banks
    labels = world.prompts.labels
    fewer = replace(val, target=val.target.clamp(max=1))
    (note,) = class_notes(train, fewer, labels)
    assert note == (
        f"no validation video is of the class {labels.names[2]!r} and 1 more; what is chosen is not judged by it"
    )
    several = replace(train, target=torch.ones(len(train), len(labels)))
    assert class_notes(several, fewer, LabelSet(labels.names)) == []
