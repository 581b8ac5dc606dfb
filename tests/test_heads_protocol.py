from dataclasses import replace

import torch

from framebank.heads.bank import load_bank
from framebank.heads.protocol import made_by
from framebank.heads.recipe import Recipe
from framebank.store import Manifest
from framebank.tests.heads_world import SPEC, prompts_of


def facts_of(world, manifest=None, **changes):
    bank = load_bank(world.store, manifest or world.manifest, world.prompts.labels, device=torch.device("cpu"))
    given = {"spec": SPEC, "split": "all", "recipe": Recipe(), "prompts": world.prompts, "run": "a", **changes}
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
