"""The joints of heads: what a part says of itself is what it is."""

import pytest
import torch
from torch import nn

from framebank.heads import CLASSIFIERS, CLASSIFIERS_AND_SCORERS, HEADS, LOSSES, MATCHERS, SCORERS, TEXTS
from framebank.heads.classifiers.classifier import BoundsScale, ClassifierTraits, Fitted, ServesTexts
from framebank.heads.losses.loss import LossTraits
from framebank.heads.masking import masked_mean
from framebank.heads.matchers.matcher import MatcherTraits, traits_of
from framebank.heads.model import Model
from framebank.heads.scorers.scorer import Scorer, ScorerReads, reads_of
from framebank.heads.temporal.head import HeadTraits, MixesFrames, TakesBlocks
from framebank.heads.texts.text import KeepsClasses, ReadsTower, TextTraits
from framebank.tests.worlds.heads import prompts_of, texts_of

DIM = 16


def built(name):
    texts = texts_of(prompts_of())
    return CLASSIFIERS_AND_SCORERS[name](DIM, len(texts), texts)


@pytest.mark.parametrize(
    ("parts", "traits"),
    [
        (HEADS, HeadTraits),
        (CLASSIFIERS_AND_SCORERS, ClassifierTraits),
        (TEXTS, TextTraits),
        (LOSSES, LossTraits),
        (MATCHERS, MatcherTraits),
    ],
)
def test_every_part_says_what_it_is(parts, traits):
    assert all(type(part.traits) is traits for part in parts.values())


def test_heads():
    options = {"sloshnet-layers": {"in_shape": (2, DIM)}}
    heads = {name: build(DIM, **options.get(name, {})) for name, build in HEADS.items()}
    x, mask = torch.randn(2, 5, DIM), torch.arange(5) < torch.tensor([[5], [3]])
    for head in heads.values():
        if isinstance(head, MixesFrames):
            torch.testing.assert_close(masked_mean(*head.eval().mix(x, mask)), head(x, mask))
    assert {name for name, head in heads.items() if isinstance(head, TakesBlocks)} == {"vivit"}
    assert {name for name, build in HEADS.items() if build.traits.takes_blocks} == {"vivit"}
    assert heads["vivit"].num_blocks == 4


@pytest.mark.parametrize("name", CLASSIFIERS_AND_SCORERS)
def test_classifiers_and_scorers(name):
    part, traits = built(name), CLASSIFIERS_AND_SCORERS[name].traits
    assert traits.reads_texts == isinstance(part, ServesTexts)
    assert isinstance(part, Scorer) == (name in SCORERS)
    assert not traits.chooses or isinstance(part, Fitted)
    assert traits.reads_lexicon == (name == "attributes")
    assert isinstance(part, BoundsScale) == (name in (*SCORERS, "text", "text-linear"))
    assert reads_of(part) == (
        ScorerReads(pooled=False, head_frames=True, all_texts=True) if name == "vcs" else ScorerReads()
    )


def test_the_options_of_a_scorer_say_what_it_reads():
    texts = texts_of(prompts_of())
    scorer = SCORERS["vcs"](DIM, len(texts), texts, words="tokens", head_share=0.5, head_frames=False)
    assert (scorer.reads, scorer.reads_tokens) == (ScorerReads(all_texts=True), True)
    assert not SCORERS["vcs"](DIM, len(texts), texts).reads_tokens


def test_what_is_bound_to_its_classes_says_so():
    texts = texts_of(prompts_of())
    parts = {name: built(name) for name in CLASSIFIERS} | {
        name: TEXTS[name](DIM, 4) for name in TEXTS if name != "text"
    }
    kept = {name for name, part in parts.items() for one in part.modules() if isinstance(one, KeepsClasses)}
    assert kept == {"residual", "tip-adapter", "tip-adapter-f"}
    build = SCORERS["attributes"]
    own, other = build(DIM, len(texts), texts), build(DIM, len(texts), texts, lexicon=texts.rows[0])
    assert (own.keeps_classes, other.keeps_classes) == (False, True)


def test_texts():
    texts = {name: build(DIM, 4) for name, build in TEXTS.items()}
    assert {name for name, text in texts.items() if isinstance(text, ReadsTower)} == {"context"}
    assert {name for name, build in TEXTS.items() if build.traits.reads_tower} == {"context"}


@pytest.mark.parametrize("name", MATCHERS)
def test_matchers(name):
    matcher = MATCHERS[name](DIM)
    assert traits_of(matcher) == MATCHERS[name].traits
    assert bool(list(matcher.parameters())) == MATCHERS[name].traits.has_weights
    assert traits_of(nn.Identity()) == MatcherTraits()


def test_a_scorer_of_the_heads_frames_needs_a_head_that_makes_some():
    head = HEADS["attentive"](DIM)
    with pytest.raises(ValueError, match="this head makes none"):
        Model(head, built("vcs"))
    assert Model(head, SCORERS["vcs"](DIM, 4, texts_of(prompts_of()), head_frames=False)).reads_frames
