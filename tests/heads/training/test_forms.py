"""Runs made before methods were made equal to their authors' code: they open in the form they were trained in."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from framebank.heads.fewshot.build import build_matcher
from framebank.heads.fewshot.recipe import FewshotRecipe
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.training.build import build_model
from framebank.heads.training.forms import EARLIER, EARLIER_OPTIONS, PUBLISHED
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.store.digest import SEAL
from framebank.tests.heads.matchers.test_matchers import episodes
from framebank.tests.worlds.formulas import shaken
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of
from framebank.tests.worlds.published import heads, matchers

pytestmark = pytest.mark.usefixtures("one_thread")

OF_RUNS = [key for key in EARLIER_OPTIONS if key[0] != "matcher"]
OF_MATCHERS = [name for what, name in EARLIER_OPTIONS if what == "matcher"]


def recipe_of(what: str, name: str, **more: object) -> Recipe:
    chosen = {"head": "mean", "classifier": "text", "text": "fixed", what: name}
    return Recipe(**chosen, loss="ce", **more)


def forget(path, *names):
    """Rewrite a file of weights as the earlier version left it: without a form, and without the options named."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["framebank"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    del about["recipe"]["form"], about[SEAL]
    for options in names:
        about["recipe"][options] = {}
    save_file(weights, path, metadata={"framebank": json.dumps(about)})


def frames(size=3):
    return torch.randn(size, 6, DIM, generator=torch.Generator().manual_seed(5)), torch.ones(size, 6, dtype=torch.bool)


@pytest.mark.parametrize(("what", "name"), OF_RUNS)
@torch.no_grad()
def test_a_run_without_a_form_is_of_the_earlier_one(tmp_path, what, name):
    texts = texts_of(prompts_of())
    recipe = recipe_of(what, name, form=EARLIER)
    model = shaken(build_model(recipe, dim=DIM, num_classes=4, texts=texts))
    run = Run(recipe, SPEC, CLASSES, model, "/some/store", {"texts": "names", "templates": ["{}"]})
    run.write(tmp_path, log=[])
    forget(tmp_path / "checkpoint.safetensors", f"{what}_options")
    found = Run.read(tmp_path)
    assert found.recipe == recipe
    assert found.recipe.form == EARLIER
    assert getattr(found.recipe, f"{what}_options") == EARLIER_OPTIONS[what, name]
    assert torch.equal(found.model(*frames()), run.model(*frames()))
    found.write(tmp_path / "again", log=[])
    assert "form = 1" in (tmp_path / "again" / "recipe.toml").read_text()
    assert Run.read(tmp_path / "again").recipe == recipe


@pytest.mark.parametrize("name", OF_MATCHERS)
@torch.no_grad()
def test_a_matcher_without_a_form_is_of_the_earlier_one(tmp_path, name):
    recipe = FewshotRecipe(matcher=name, form=EARLIER)
    matcher = shaken(build_matcher(recipe, dim=12, num_classes=4))
    spec = SPEC.__class__(**{**SPEC.to_dict(), "dim": 12})
    run = FewshotRun(recipe, spec, CLASSES, matcher, "/some/store", {})
    run.write(tmp_path, log=[])
    forget(tmp_path / "matcher.safetensors", "options")
    found = FewshotRun.read(tmp_path)
    assert found.recipe == recipe
    assert found.recipe.options == EARLIER_OPTIONS["matcher", name]
    assert torch.equal(found.matcher(*episodes()), matcher(*episodes()))


def test_what_is_trained_now_is_of_the_published_form(tmp_path):
    recipe = read_recipe("bike")
    assert recipe.form == PUBLISHED
    recipe.write(tmp_path / "recipe.toml")
    assert "form = 2" in (tmp_path / "recipe.toml").read_text()
    assert Recipe.read(tmp_path / "recipe.toml") == recipe
    earlier = recipe.with_settings({"form": "1"})
    assert earlier.classifier_options == {"unit_video": True, "head_frames": False}
    assert recipe.with_settings({"form": "1", "classifier.unit_video": "false"}).classifier_options == {
        "unit_video": False,
        "head_frames": False,
    }
    for wrong in (0, 3):
        with pytest.raises(DataError, match=f"form is {wrong}; expected 1 or 2"):
            recipe.with_settings({"form": str(wrong)})
        with pytest.raises(DataError, match=f"form is {wrong}; expected 1 or 2"):
            FewshotRecipe(form=wrong)


@torch.no_grad()
def test_the_earlier_forms_are_not_the_published_ones():
    far = {
        "attentive": heads.head("attentive", heads.v_jepa_pooler, positions=False, projection=True),
        "hyrsm": matchers.matcher("hyrsm", matchers.hyrsm, doubled_positions=False),
        "hyrsm++": matchers.matcher("hyrsm++", matchers.hyrsm_plus_plus, frame_scale=10.0),
        "sloshnet": matchers.matcher("sloshnet", matchers.sloshnet, negated=False),
        "combine": matchers.matcher("combine", matchers.combine, smoothing=0.1),
    }
    assert all(apart > 2e-5 for apart in far.values()), far


def test_vcs_refuses_a_head_that_makes_no_frames():
    with pytest.raises(DataError, match="the head 'attentive' makes none; expected another, such as transformer"):
        build_model(
            Recipe(head="attentive", classifier="vcs", loss="ce"), dim=DIM, num_classes=4, texts=texts_of(prompts_of())
        )


@pytest.mark.parametrize(("model", "heads"), [("RN50", 8), ("RN50-quickgelu", 8), ("ViT-B-32", 16)])
def test_on_rn50_the_transformer_has_the_heads_of_its_text_tower(model, heads):
    from framebank.heads.text_tower import options_of_model

    options = options_of_model("transformer", {"num_layers": 1}, model=model)
    recipe = Recipe(head="transformer", head_options=options, classifier="linear", loss="ce")
    built = build_model(recipe, dim=1024, num_classes=4, texts=None)
    assert built.head.blocks[0].num_heads == heads
    assert options_of_model("transformer", {"num_heads": 4}, model=model) == {"num_heads": 4}
    assert options_of_model("mit", {}, model=model) == {}


@pytest.mark.parametrize(("dim", "width"), [(12, 48), (512, 2048), (1024, 2048)])
def test_clip_fsar_has_a_feed_forward_of_2048_at_most(dim, width):
    matcher = build_matcher(FewshotRecipe(matcher="clip-fsar"), dim=dim, num_classes=4)
    assert matcher.block.mlp[0].out_features == width
    earlier = build_matcher(FewshotRecipe(matcher="clip-fsar", form=EARLIER), dim=dim, num_classes=4)
    assert earlier.block.mlp[0].out_features == 4 * dim
