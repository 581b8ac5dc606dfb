"""Auto: what is tried, what judges it and what is chosen, on worlds in which the right choice is known."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from framebank.heads.bank import Bank, load_bank
from framebank.heads.confidence.scaling import fit_scaling
from framebank.heads.metrics import wilson_interval
from framebank.heads.training import auto
from framebank.heads.training.auto import find_recipe
from framebank.heads.training.averaging import AverageGain, JudgedAverage
from framebank.heads.training.candidates import GENTLE_LR, candidates_of, with_steps
from framebank.heads.training.judging import CandidateGround, select
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError
from framebank.tests.worlds.heads import texts_of

CPU = torch.device("cpu")
BASE = Recipe(head="mean", classifier="linear", loss="ce", val_fraction=0.0)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def train(world):
    return load_bank(world.store, world.manifest.split("train"), world.prompts.labels, device=CPU)


@pytest.fixture(scope="module")
def val(world):
    return load_bank(world.store, world.manifest.split("val"), world.prompts.labels, device=CPU)


def ground_of(train, *, val=None, groups=None, prompts=None):
    groups = torch.arange(len(train)) if groups is None else groups
    texts = {way: texts_of(prompts, scoring=way) for way in ("probabilities", "embeddings")} if prompts else {}
    return CandidateGround.of(train, val=val, groups=groups, prompts_of=texts, frame_norm=True, device=CPU)


def first_frames(bank):
    """Videos of a frame each: nothing is in an order."""
    return replace(bank, x=bank.x[:, :1], mask=bank.mask[:, :1])


def take_few_steps(patch):
    """Larger and fewer steps than a real set gets, and one temporal head of two: the world is learned by then."""

    def shortened(*given, **options):
        found = [one for one in candidates_of(*given, **options) if one.name != "attentive + linear"]
        return [replace(one, recipes=tuple(map(shorter, one.recipes))) for one in found]

    def shorter(recipe):
        return with_steps(replace(recipe, lr=3e-3), 200, num_videos=48) if recipe.epochs else recipe

    patch.setattr(auto, "candidates_of", shortened)
    patch.setattr(auto, "FEWEST_STEPS", 10)


@pytest.fixture
def few_steps(monkeypatch):
    take_few_steps(monkeypatch)


@pytest.fixture(scope="module")
def found(world, train, one_thread):
    with pytest.MonkeyPatch.context() as patch:
        take_few_steps(patch)
        return find_recipe(ground_of(train, prompts=world.prompts), BASE, budget=600)


def test_the_chosen_way_is_scaled_by_the_folds_that_judged_it(found, world, train, few_steps):
    assert found.scaling and found.scaling.videos == 48 == len(found.scaling.scores)
    judged = find_recipe(ground_of(train, val=train, prompts=world.prompts), BASE, budget=0)
    assert judged.scaling is None  # the validation videos scale the run when it is trained


def test_an_average_is_scaled_by_its_own_logits_and_not_by_those_of_the_best_way_alone(train, few_steps, monkeypatch):
    ground = ground_of(first_frames(train))
    target = ground.targets(ground.parts())
    logits = 0.5 * F.one_hot(target, 4).float()  # they are right, and hardly say so

    def clearly_better(held, best, **others):
        members = tuple(one.member(weight=0.5, temperature=1.0) for one in held[:2])
        return JudgedAverage(members, AverageGain(0.2, 0.1, 0.1, torch.ones(48, dtype=torch.bool)), logits=logits)

    alone = find_recipe(ground, BASE, budget=600)
    monkeypatch.setattr(auto, "choose_average", clearly_better)
    found = find_recipe(ground, BASE, budget=600)
    assert (alone.members, len(found.members)) == ((), 2)
    assert found.scaling.temperature == fit_scaling(logits, target, sources=str).temperature
    assert found.scaling.temperature < 0.5 * alone.scaling.temperature


def test_a_temporal_head_is_found_where_the_order_tells_classes_apart(found):
    """Two of the four classes are one another's reversal, so that the mean of the frames is right in three of four."""
    worth = {one.name: one.score for one in found.tried}
    assert (found.recipe.head, found.chosen) == ("mit", "mit + linear")
    assert "sees the order of the frames" in found.why
    assert worth[found.chosen] > 0.95
    assert max(worth[name] for name in ("ridge", "lda", "knn", "linear")) < 0.9
    assert (found.tried[-1].name, found.members) == ("average", ())
    for one in found.tried:
        if one.score is None:
            assert one.reason
            continue
        assert one.interval == pytest.approx(wilson_interval(round(one.score * one.videos), one.videos))
    assert [one.name for one in found.tried][:2] == ["lda", "linear"]
    assert found.judged_by == "5-fold cross-validation over 48 videos"


def test_texts_that_are_of_other_things_do_not_help(world, train, few_steps):
    prompts = replace(world.prompts, embeddings=world.prompts.embeddings[:1].repeat(12, axis=0))
    found = find_recipe(ground_of(first_frames(train), prompts=prompts), BASE, budget=600)
    assert "the texts do not help" in found.texts
    assert "the texts of 4 of 4 classes are nearly those of another" in found.texts
    assert not found.recipe.reads_texts


def test_validation_videos_judge_where_there_are_any(train, val, few_steps):
    ground = ground_of(first_frames(train), val=first_frames(val))
    found = find_recipe(ground, BASE, budget=600)
    assert found.judged_by == "12 validation videos"
    assert {one.videos for one in found.tried if one.score is not None} == {12}


def test_a_video_is_never_judged_by_what_was_trained_on_its_group(train):
    """Random labels, each video twice: its copy in the training set would make the nearest neighbour always right."""
    few = select(first_frames(train), torch.arange(48).repeat(2))
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (48,), generator=generator).repeat(2)
    noisy = replace(few, target=labels, x=torch.randn(48, 1, 64, generator=generator).repeat(2, 1, 1))
    told = {}
    for name, groups in (("kept together", torch.arange(48).repeat(2)), ("divided", torch.arange(96))):
        tried = find_recipe(ground_of(noisy, groups=groups), BASE, budget=1e-9).tried
        told[name] = tried[0].score
    assert told["kept together"] < 0.5 < told["divided"]


def test_fewer_folds_judge_where_a_step_takes_longer_than_was_planned(train):
    ground, lda = ground_of(train), candidates_of(BASE, num_videos=48, num_frames=8, has_texts=False)[0]
    parts = ground.parts()
    hurried, whole = (auto._judge(ground, lda, lda.recipes[0], parts, left=left) for left in (0.0, 600.0))
    assert len(hurried.judged.right) == len(ground.targets(parts[:2])) < len(whole.judged.right)
    assert torch.equal(hurried.logits, whole.logits[: len(hurried.logits)])


def test_a_budget_too_small_for_more_tries_one_and_says_so(train):
    found = find_recipe(ground_of(train), BASE, budget=1e-9)
    assert found.chosen == "lda"
    assert all(one.reason == "no time was left; --budget gives more" for one in found.tried[1:-1])
    assert found.tried[-1].reason == "fewer than two ways can be trained in the time that is left"


def test_one_video_of_each_class_judges_nothing(train):
    found = find_recipe(ground_of(select(train, torch.tensor([0, 12, 24, 36]))), BASE)
    assert (found.recipe.classifier, found.recipe.epochs, found.tried) == ("ridge", 0, ())
    assert "nothing can be judged" in found.why


def test_two_videos_of_each_class_keep_lda_which_no_fold_can_judge(train):
    two = select(first_frames(train), torch.tensor([0, 1, 12, 13, 24, 25, 36, 37]))
    found = find_recipe(ground_of(two), BASE)
    assert (found.chosen, found.recipe.classifier, found.tried[0].name, found.tried[0].score) == (
        "lda",
        "lda",
        "lda",
        None,
    )
    assert "the folds have too few videos for lda" in found.why
    same = replace(two, x=two.x[torch.tensor([0, 0, 2, 2, 4, 4, 6, 6])])
    assert find_recipe(ground_of(same), BASE).chosen != "lda"  # no class has two different videos


def test_one_video_of_each_class_and_good_texts_take_the_texts(world, train):
    ground = ground_of(train, prompts=world.prompts)
    few = select(train, torch.tensor([0, 12, 24, 36]))
    assert find_recipe(ground_of(few, prompts=world.prompts), BASE).chosen == "ridge"  # right in two of four
    pooled = F.normalize(ground.pooled.x[torch.tensor([0, 12, 24, 36]), 0], dim=-1)
    good = replace(world.prompts, embeddings=pooled.repeat_interleave(3, dim=0).numpy())
    apart = replace(few, x=few.x.clone(), target=few.target)
    apart.x[3] = apart.x[3].roll(1, dims=-1)  # fall, which has the mean of rise, becomes another thing
    good.embeddings[9:] = F.normalize(apart.x[3].float().mean(0), dim=-1).numpy()
    found = find_recipe(ground_of(apart, prompts=good), BASE)
    assert (found.chosen, found.tried[0].name, found.tried[0].score) == ("text-residual", "zero-shot", 1.0)
    assert (found.recipe.text, found.recipe.lr) == ("residual", GENTLE_LR)


def test_one_class_and_no_numbers_are_refused(train):
    with pytest.raises(DataError, match="there is one class only, of 12 training videos; expected two classes or more"):
        find_recipe(ground_of(select(train, torch.arange(12))), BASE)
    broken = train.x.clone()
    broken[5, 2, 3] = torch.nan
    with pytest.raises(DataError, match=f"the embedding of '{train.video_ids[5]}' holds values that are not numbers"):
        find_recipe(ground_of(replace(train, x=broken)), BASE)


@pytest.mark.parametrize(("videos", "steps"), [(40, 600), (700, 600), (1900, 600), (100_000, 3910)])
def test_steps_follow_from_the_size_of_the_set(videos, steps):
    """600 steps for a small set, of whole epochs; ten passes over one that 600 would not get through."""
    chosen = candidates_of(BASE, num_videos=videos, num_frames=8, has_texts=False)[-1].recipes[0]
    each = -(-videos // chosen.batch_size)
    assert steps <= chosen.epochs * each < steps + each


def test_ways_that_pool_are_all_there_are_for_single_frames():
    assert all(one.pools for one in candidates_of(BASE, num_videos=50, num_frames=1, has_texts=True))


@pytest.mark.parametrize("spread", [0.01, 1.0])
def test_folds_that_divide_a_recording_never_make_a_run_surer(spread):
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(2).repeat_interleave(20)
    rows = torch.randn(20, 1, 16, generator=generator).repeat(1, 2, 1).reshape(40, 1, 16)  # two clips of each
    rows = rows + spread * torch.randn(rows.shape, generator=generator) + 2 * F.one_hot(target, 16)[:, None]
    ids = tuple(map(str, range(40)))
    bank = Bank(ids, rows.half(), torch.ones(40, 1, dtype=torch.bool), target, 40, num_classes=2)
    near, known = ground_of(bank), ground_of(bank, groups=torch.arange(40) // 2)
    assert ("of 40 training videos that judged" in near.shared_sources_note(near.parts(), 40)) == (spread < 1)
    assert not known.shared_sources_note(known.parts(), 40)
