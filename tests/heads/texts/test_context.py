import pytest
import torch
import torch.nn.functional as F

from framebank.heads.evaluation.evaluate import evaluate_run
from framebank.heads.temporal.vivit import Vivit
from framebank.heads.text_tower import fill_blocks
from framebank.heads.texts.context import Context
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe, read_recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.heads import CLASSES, DIM, prompts_of
from framebank.tests.worlds.tower import network_of, tokenize, tower_of

CPU = torch.device("cpu")
NAMES = ["archery", "a man riding a bicycle", "juggling balls"]
QUICK = Recipe(head="mean", text="context", text_options={"num_prefix": 3}, loss="ce", epochs=2, batch_size=16, lr=0.01)

pytestmark = pytest.mark.usefixtures("one_thread")


def context_of(names=NAMES, *, seed=0, **options):
    context = Context(DIM, len(names), **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        context.meet(tower_of(DIM), names)
    return context


def encoded(sentences):
    return network_of(DIM).encode_text(tokenize(sentences))


def scored(context, classes=None):
    classes = torch.arange(len(context.kept)) if classes is None else classes
    return context(torch.zeros(*classes.shape, DIM), classes)


@pytest.mark.parametrize("mode", [True, False])
def test_words_around_the_names_are_the_sentences(mode):
    context = context_of(words="a photo of").train(mode)
    torch.testing.assert_close(
        scored(context), encoded([f"a photo of {name}." for name in NAMES]), atol=1e-5, rtol=1e-4
    )


def test_a_suffix_stands_between_the_name_and_the_end():
    context = context_of(num_prefix=2, num_suffix=3, stop=False)
    tokens, _ = tower_of(DIM).embed(["this is on the beach"])
    with torch.no_grad():
        context.vectors.copy_(tokens[0, 1:6])
    expected = encoded([f"this is {name} on the beach" for name in NAMES])
    torch.testing.assert_close(scored(context), expected, atol=1e-5, rtol=1e-4)


def test_starts_as_noise_of_the_seed():
    context = context_of(num_prefix=8, num_suffix=8)
    assert context.vectors.shape == (16, 32)
    assert context.vectors.std().item() == pytest.approx(0.02, rel=0.2)
    assert torch.equal(context.vectors, context_of(num_prefix=8, num_suffix=8).vectors)
    assert not torch.equal(context.vectors, context_of(num_prefix=8, num_suffix=8, seed=1).vectors)


def test_a_context_of_its_own_for_each_class():
    context = context_of(num_prefix=4, class_specific=True)
    assert context.vectors.shape == (3, 4, 32)
    scored(context)[1].sum().backward()
    reached = context.vectors.grad.abs().sum((1, 2)) > 0
    assert reached.tolist() == [False, True, False]


def test_only_the_context_is_learned():
    context = context_of()
    assert [name for name, _ in context.named_parameters()] == ["vectors"]
    scored(context).sum().backward()
    assert (context.vectors.grad.abs().sum(1) > 0).all()


def test_chunks_and_recomputation_change_nothing():
    grads = []
    for options in ({}, {"chunk_size": 2}, {"chunk_size": 1, "recompute": True}):
        context = context_of(**options)
        found = scored(context)
        found.square().sum().backward()
        grads.append((found.detach(), context.vectors.grad))
    for found, grad in grads[1:]:
        torch.testing.assert_close(found, grads[0][0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(grad, grads[0][1], atol=1e-4, rtol=1e-4)


def test_recomputation_keeps_less():
    def kept(**options):
        sizes = []
        context = context_of(**options)
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            scored(context)
        return sum(sizes)

    assert kept(recompute=True) < kept() / 4


def test_draws_of_a_loss_are_rows_of_the_classes():
    context = context_of()
    classes = torch.tensor([2, 0, 2])
    torch.testing.assert_close(scored(context, classes), scored(context)[classes], atol=1e-6, rtol=1e-5)
    templates = context(torch.zeros(4, 3, DIM), torch.arange(3))
    assert templates.shape == (4, 3, DIM)
    assert torch.equal(templates[0], templates[3])


def test_evaluation_keeps_what_the_tower_says_now():
    context = context_of()
    with torch.no_grad():
        context.vectors.add_(0.1)
    expected = scored(context).detach()
    assert not context.kept.any()
    context.eval()
    torch.testing.assert_close(context.kept, expected)
    torch.testing.assert_close(scored(context), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_prefix": 0}, "has 0 vectors before the name and 0 after; expected 1 or more"),
        ({"num_suffix": -1}, "has 16 vectors before the name and -1 after; expected 1 or more"),
        ({"chunk_size": 0}, "encodes 0 classes at a time; expected 1 or more"),
        (
            {"num_suffix": 16},
            "'a man riding a bicycle.' is 8 tokens with start and end, and 32 more of the context stand around it, but "
            "the text tower reads 24; expected a shorter name, or fewer by text.num_prefix and text.num_suffix",
        ),
    ],
)
def test_refuses(options, message):
    with pytest.raises(DataError) as caught:
        context_of(**options)
    assert str(caught.value).startswith("text = 'context'")
    assert str(caught.value).endswith(message)


def job_of(world, recipe, **options):
    train = world.manifest.split("train")
    return TrainingJob(world.store, train, recipe, prompts=world.prompts, device=CPU, **options)


@pytest.mark.parametrize(
    "changes", [{}, {"loss": "kl"}, {"loss": "ce + 0.5 kl", "average": 0.5}, {"val_fraction": 0.0}]
)
def test_a_run_scores_without_the_tower(world, tmp_path, changes):
    recipe = Recipe.from_dict({**QUICK.to_dict(), **changes}, where="here")
    job = job_of(world, recipe, tower=lambda: tower_of(DIM))
    before = job.model.classifier.text.vectors.detach().clone()
    run = job.save(tmp_path / "run", log=list(job.epochs()))
    text = job.model.classifier.text
    assert not torch.allclose(before, text.vectors, atol=1e-4)
    torch.testing.assert_close(text.train()(torch.zeros(4, DIM), torch.arange(4)), text.kept)  # of the best epoch
    again = Run.read(tmp_path / "run")
    x, mask = torch.randn(3, 6, DIM), torch.ones(3, 6, dtype=torch.bool)
    assert torch.equal(again.model(x, mask), run.model.eval()(x, mask))
    assert torch.equal(again.model.classifier.text.vectors, text.vectors)
    matrix = again.model.classifier.class_embeddings()
    torch.testing.assert_close(matrix[0], F.normalize(text.kept, dim=-1))
    test = world.manifest.split("test")
    report = evaluate_run(again, world.store, test, split="test", device=CPU, folder=tmp_path / "run")
    assert report["videos_evaluated"] == 22


def test_learns_the_classes(world, tmp_path):
    recipe = Recipe.from_dict({**QUICK.to_dict(), "epochs": 30, "head": "transformer"}, where="here")
    job = job_of(world, recipe, tower=lambda: tower_of(DIM))
    log = list(job.epochs())
    assert log[-1].loss < 0.5 * log[0].loss
    assert max(epoch.val_score for epoch in log) >= 0.9


def test_other_classes_need_the_tower(world, tmp_path):
    job = job_of(world, QUICK, tower=lambda: tower_of(DIM))
    job.save(tmp_path / "run", log=list(job.epochs()))
    run = Run.read(tmp_path / "run")
    for classes in (CLASSES, CLASSES[:2]):  # of as many others, too
        with pytest.raises(DataError, match="there: the context was learned for 4 classes through the text tower, whi"):
            run.with_prompts(prompts_of(classes), where="there")
    fewer = run.with_prompts(prompts_of(CLASSES[1:3]), where="there", tower=lambda: tower_of(DIM))
    expected = run.model.classifier.text.kept[1:3]
    torch.testing.assert_close(fewer.model.classifier.text.kept, expected, atol=1e-5, rtol=1e-4)
    x, mask = torch.randn(3, 6, DIM), torch.ones(3, 6, dtype=torch.bool)
    assert fewer.model(x, mask).shape == (3, 2)
    assert run.model(x, mask).shape == (3, 4)  # the run itself is as it was


def test_contexts_of_their_own_serve_no_other_class(world, tmp_path):
    recipe = Recipe.from_dict({**QUICK.to_dict(), "text_options": {"class_specific": True}}, where="here")
    job = job_of(world, recipe, tower=lambda: tower_of(DIM))
    run = job.save(tmp_path / "run", log=list(job.epochs()))
    with pytest.raises(DataError, match="there: a context was learned for each of 4 classes; others have none"):
        run.with_prompts(prompts_of(CLASSES[:2]), where="there", tower=lambda: tower_of(DIM))


def test_a5_with_its_prompts(world):
    settings = {"text": "context", "text.num_suffix": "16", "epochs": "1"}
    job = job_of(world, read_recipe("a5").with_settings(settings), tower=lambda: tower_of(DIM, context_length=77))
    before = job.model.classifier.text.vectors.detach().clone()
    assert before.shape == (32, 32)
    list(job.epochs())
    assert not torch.equal(job.model.classifier.text.vectors, before)


def test_vivit_frozen_from_the_text_tower(world):
    settings = {"init": "text-tower", "head.freeze_blocks": "true", "epochs": "1"}
    recipe = read_recipe("vivit-frozen").with_settings(settings)
    tower = tower_of(DIM, width=DIM, layers=5)
    train = world.manifest.split("train")
    job = TrainingJob(world.store, train, recipe, tower=lambda: tower, device=CPU)
    list(job.epochs())
    assert job.recipe.head_options == {"num_layers": 4, "freeze_blocks": True, "num_heads": 2, "quick_gelu": False}
    for ours, theirs in zip(job.model.head.blocks, tower.blocks()[:4], strict=True):
        assert torch.equal(ours.qkv.weight, theirs["attn.in_proj_weight"])


def test_a_block_computes_what_the_towers_does():
    network = network_of(DIM, width=DIM)
    head = Vivit(DIM, num_layers=2, num_heads=2, quick_gelu=False, freeze_blocks=True)
    fill_blocks(head, tower_of(DIM, width=DIM))
    x = torch.randn(3, 7, DIM)
    expected = network.transformer(x)  # without the causal mask
    found = x
    for block in head.blocks:
        found = block(found, torch.ones(3, 7, dtype=torch.bool))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_needs_the_tower(world):
    with pytest.raises(DataError, match="text = 'context' needs the text tower of the encoder, which was not handed"):
        job_of(world, QUICK)


def test_the_tower_is_read_only_where_it_is_needed(world):
    def unread():
        raise AssertionError

    job_of(world, Recipe(head="mean", epochs=1), tower=unread)


def test_a_name_is_counted_before_it_is_cut():
    tower = tower_of(DIM)
    with pytest.raises(DataError, match=r"'x( x){29}\.' is 33 tokens with start and end, and 16 more"):
        Context(DIM, 1).meet(tower, [" ".join(["x"] * 30)])
    with pytest.raises(DataError, match=r"'y( y){39}' is 42 tokens with start and end, and 0 more"):
        Context(DIM, 1, words=" ".join(["y"] * 40)).meet(tower, ["x"])
