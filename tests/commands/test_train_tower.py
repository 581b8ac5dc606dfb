import json
from pathlib import Path

import pytest
import torch

from framebank import demo
from framebank.extract.encoders.encoder import Encoder
from framebank.heads.training.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def test_context_from_end_to_end(framebank, store, tmp_path):
    run = tmp_path / "run"
    options = ("--head", "mean", "--loss", "ce", "--epochs", 2, "--lr", "0.01")
    done = framebank("train", store, run, *options, "--set", "text=context", "--json")
    report = json.loads(done.stdout)
    assert (report["recipe"]["text"], report["recipe"]["templates"]) == ("context", ["{}"])
    trained = Run.read(run).model.classifier.text
    assert trained.vectors.shape == (16, 64)
    scored = json.loads(framebank("evaluate", run, "--json").stdout)
    assert scored["videos_evaluated"] == 16
    own = json.loads(framebank("zeroshot", store, "--run", run, "--json").stdout)
    assert (own["top1"], own["made_by"]["templates"]) == (scored["top1"], ["{}"])
    prompts = tmp_path / "prompts.h5"
    framebank("prompts", Path(demo.__file__).parent / "labels.json", prompts, "--model", "demo")
    refused = framebank("evaluate", run, "--prompts", prompts, exit_code=1)
    assert "the context was learned for 16 classes through the text tower, which the run lacks; other" in refused.stderr
    refused = framebank("zeroshot", store, "--run", run, "--templates", "bare", exit_code=1)
    assert "text=context learns what stands around the names; templates (--templates)" in refused.stderr


def test_context_that_starts_as_words_scores_as_the_sentences(framebank, store, tmp_path):
    run = tmp_path / "run"
    words = ("--set", "text=context", "--set", "text.words=a photo of action")
    framebank("train", store, run, "--head", "mean", "--classifier", "text", "--epochs", 0, *words)
    trained = Run.read(run)
    sentences = [f"a photo of action {name}." for name in trained.labels]
    expected = torch.from_numpy(Encoder("demo", device="cpu").encode_texts(sentences))
    torch.testing.assert_close(trained.model.classifier.text.kept, expected, atol=1e-4, rtol=1e-4)


def test_words_of_the_tower_from_end_to_end(framebank, store, tmp_path):
    run, words = tmp_path / "run", ("--recipe", "bike", "--set", "classifier.words=tokens", "--templates", "bare")
    report = json.loads(framebank("train", store, run, *words, "--epochs", 2, "--json").stdout)
    assert report["recipe"]["classifier_options"] == {"words": "tokens"}
    trained = Run.read(run)
    spoken = trained.model.classifier.spoken.sum(1).tolist()
    lengths = Encoder("demo", device="cpu").text_tower().embed(trained.labels)[1]
    assert spoken == (lengths - 2).tolist()
    scored = json.loads(framebank("evaluate", run, "--json").stdout)
    assert scored["videos_evaluated"] == 16
    zeroshot = ("zeroshot", store, "--run", run, "--templates", "bare", "--texts", "names", "--json")
    assert json.loads(framebank(*zeroshot).stdout)["top1"] == scored["top1"]
    others = tmp_path / "others.txt"
    others.write_text("\n".join([*trained.labels, "playing a trombone on a horse"]))
    assert json.loads(framebank(*zeroshot, "--labels", others).stdout)["videos_evaluated"] == 16
    prompts = tmp_path / "prompts.h5"
    framebank("prompts", Path(demo.__file__).parent / "labels.json", prompts, "--model", "demo")
    told = framebank("evaluate", run, "--prompts", prompts, exit_code=1).stderr
    assert "the tokens of 16 classes were read by the text tower, which the run lacks; other classes or" in told


def test_a_lexicon_of_phrases_from_end_to_end(framebank, store, tmp_path):
    phrases, lexicon, run = tmp_path / "phrases.txt", tmp_path / "lexicon.h5", tmp_path / "run"
    phrases.write_text("a person lying on the floor\na box\nboth arms up\nan empty room\n")
    framebank("prompts", phrases, lexicon, "--like", store, "--templates", "bare")
    options = ("--head", "mean", "--classifier", "attributes", "--epochs", 2, "--lexicon", lexicon, "--json")
    report = json.loads(framebank("train", store, run, *options).stdout)
    assert report["lexicon"]["phrases"] == 4
    embeddings = torch.from_numpy(Encoder("demo", device="cpu").encode_texts(phrases.read_text().splitlines()))
    expected = torch.nn.functional.normalize(embeddings, dim=-1)
    torch.testing.assert_close(Run.read(run).model.classifier.lexicon, expected, atol=1e-4, rtol=1e-4)
    lexicon.unlink()
    assert json.loads(framebank("evaluate", run, "--json").stdout)["videos_evaluated"] == 16
    framebank("zeroshot", store, "--run", run, "--templates", "bare")  # other texts of the same classes


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--set", "text.num_suffix=16"), 1, "and 32 more of the context stand around it, but the text tower reads 32"),
        (
            ("--templates", "bare"),
            1,
            "text=context learns what stands around the names; templates (--templates)",
        ),
        (("--set", "text.num_suffixes=1"), 1, "the text 'context' has no option 'num_suffixes'; the nearest is 'num_s"),
    ],
)
def test_context_refuses(framebank, store, tmp_path, options, exit_code, message):
    refused = framebank("train", store, tmp_path / "run", "--set", "text=context", *options, exit_code=exit_code)
    assert message in refused.stderr
    assert not (tmp_path / "run").exists()


def test_compare_hands_the_tower_in(framebank, store, tmp_path):
    recipe = tmp_path / "coop.toml"
    recipe.write_text('head = "mean"\ntext = "context"\nloss = "ce"\nepochs = 1\n')
    options = ("--recipes", f"{recipe},linear-probe", "--seeds", 1, "--set", "epochs=1")
    report = json.loads(framebank("compare", store, tmp_path / "table", *options, "--json").stdout)
    assert {trial["recipe"]: trial["refused"] for trial in report["trials"]} == {"coop": "", "linear-probe": ""}


def test_init_from_the_text_tower(framebank, store, tmp_path):
    run = tmp_path / "run"
    options = ("--head", "vivit", "--init", "text-tower", "--set", "head.width=64", "--set", "head.num_layers=2")
    frozen = ("--set", "head.freeze_blocks=true", "--classifier", "linear", "--epochs", 1)
    done = framebank("train", store, run, *options, *frozen, "--json")
    recipe = json.loads(done.stdout)["recipe"]
    assert recipe["init"] == "text-tower"
    assert (recipe["head_options"]["num_heads"], recipe["head_options"]["quick_gelu"]) == (2, False)
    blocks = Encoder("demo", device="cpu").text_tower().blocks()
    for ours, theirs in zip(Run.read(run).model.head.blocks, blocks, strict=True):
        assert torch.equal(ours.qkv.weight, theirs["attn.in_proj_weight"])
        assert torch.equal(ours.mlp[2].bias, theirs["mlp.c_proj.bias"])
    framebank("evaluate", run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--head", "mit"),
            "init = 'text-tower' fills blocks of a head, and the head 'mit' takes none; expected vivit",
        ),
        (
            ("--head", "vivit"),
            "the text tower are 64 wide and those of the head 128; expected head.width=64",
        ),
        (("--head", "vivit", "--set", "head.width=64"), "2 text blocks given; expected 4, one for each layer"),
        (
            ("--head", "vivit", "--set", "head.width=64", "--set", "head.quick_gelu=true"),
            "quick_gelu is True, but False in the text tower; leave it",
        ),
    ],
)
def test_init_refuses(framebank, store, tmp_path, options, message):
    refused = framebank("train", store, tmp_path / "run", "--init", "text-tower", *options, exit_code=1)
    assert message in refused.stderr
    assert not (tmp_path / "run").exists()


def test_head_mix(framebank, world, tmp_path):
    store, options = world.store.path, ("--head", "conv1d", "--classifier", "linear", "--epochs", 1)
    report = json.loads(framebank("train", store, tmp_path / "half", *options, "--head-mix", "0.5", "--json").stdout)
    assert report["recipe"]["head_mix"] == Run.read(tmp_path / "half").model.head_mix == 0.5
    done = framebank("train", store, tmp_path / "auto", *options, "--head-mix", "auto")
    share = Run.read(tmp_path / "auto").recipe.head_mix
    assert f"\n{100 * share:.0f} % of the frames' mean (head_mix), chosen on those videos: " in done.stdout


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--head-mix", "half"), 2, "--head-mix is 'half'; expected a number from 0 to 1, or auto"),
        (("--head-mix", "1.5"), 1, "head_mix is 1.5; expected 0 to 1"),
        (("--head-mix", "auto", "--shots", 1), 1, "there are no validation videos to choose head_mix on; expected a"),
    ],
)
def test_head_mix_refuses(framebank, store, tmp_path, options, exit_code, message):
    refused = framebank("train", store, tmp_path / "run", *options, exit_code=exit_code)
    assert message in refused.stderr
    assert not (tmp_path / "run").exists()
