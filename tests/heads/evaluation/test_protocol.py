from dataclasses import replace

import torch

from framebank.heads.bank import load_bank
from framebank.heads.evaluation.protocol import made_by
from framebank.heads.training.recipe import Recipe
from framebank.store import LabelSet, Manifest
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of

HASHES = ("prompts_hash", "videos_hash", "protocol_hash")


def facts_of(world, manifest=None, **changes):
    labels = changes.get("prompts", world.prompts).labels
    bank = load_bank(world.store, manifest or world.manifest, labels, device=torch.device("cpu"))
    given = {
        "labels": labels,
        "spec": SPEC,
        "split": "all",
        "recipe": Recipe(),
        "prompts": world.prompts,
        "run": "a",
        **changes,
    }
    return made_by(bank=bank, **given)


def test_facts(world):
    facts = facts_of(world)
    assert facts["videos_listed"] == facts["videos_evaluated"] + 2  # one lost, one unlabelled
    assert facts["texts"] == "names"
    assert facts["templates"] == list(world.prompts.templates)
    assert facts["recipe"] == Recipe().to_dict()
    assert (facts["model"], facts["sampling"], facts["run"]) == ("tiny", "segments:8", "a")
    assert "schema_version" not in facts


def test_the_hash_is_of_everything_that_decides(world):
    known = facts_of(world)["protocol_hash"]
    assert facts_of(world)["protocol_hash"] == known
    changes = [
        {"spec": replace(SPEC, sampling="segments:4")},
        {"split": "test"},
        {"recipe": Recipe(seed=1)},
        {"recipe": None},
        {"prompts": prompts_of(num_templates=2)},
        {"manifest": Manifest(world.manifest.videos[1:])},
    ]
    hashes = [facts_of(world, **change)["protocol_hash"] for change in changes]
    assert len({known, *hashes}) == len(changes) + 1


def test_the_order_of_the_videos_decides_nothing(world):
    turned = Manifest(world.manifest.videos[::-1])
    assert facts_of(world, turned)["protocol_hash"] == facts_of(world)["protocol_hash"]


def test_the_order_of_the_classes_decides_nothing(world):
    turned = world.prompts.select(CLASSES[::-1])
    assert turned.texts != world.prompts.texts
    found, known = facts_of(world, prompts=turned), facts_of(world)
    assert [found[name] for name in HASHES] == [known[name] for name in HASHES]


def test_the_text_of_another_class_is_another_text(world):
    """The same texts in the same order, and the names of two classes changed over."""
    names = ("clap", "wave", *CLASSES[2:])
    other, known = facts_of(world, prompts=replace(world.prompts, labels=LabelSet(names))), facts_of(world)
    assert other["prompts_hash"] != known["prompts_hash"]
    assert other["videos_hash"] == known["videos_hash"]


def test_the_label_of_a_video_is_among_the_facts(world):
    first, *rest = world.manifest.videos
    other = Manifest((replace(first, label="clap"), *rest))
    assert first.label == "wave"
    assert facts_of(world, other)["videos_hash"] != facts_of(world)["videos_hash"]
