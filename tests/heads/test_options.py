import pytest
import torch

from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.tip_adapter import ALPHAS
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError


def test_a_whole_number_for_a_float_is_one():
    recipe = Recipe(classifier="tip-adapter", classifier_options={"alpha": 3, "beta": 1, "search": True})
    assert [type(value) for value in recipe.classifier_options.values()] == [float, float, bool]


def test_a_search_from_a_whole_alpha_keeps_what_it_found():
    texts = ClassTexts.of_matrix(torch.eye(2, 4))
    recipe = Recipe(classifier="tip-adapter", classifier_options={"alpha": 3}, head="mean")
    model = build_model(recipe, dim=4, num_classes=2, texts=texts)
    model.classifier.alpha.fill_(ALPHAS[1])
    assert float(model.classifier.alpha) == pytest.approx(ALPHAS[1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head_options": {"num_layers": "abc"}}, "head.num_layers is 'abc'; expected a whole number"),
        ({"head_options": {"num_layers": 1.5}}, "head.num_layers is 1.5; expected a whole number"),
        ({"head_options": {"num_layers": True}}, "head.num_layers is True; expected a whole number"),
        ({"head": "tcn", "head_options": {"dilations": (1, "b")}}, "head.dilations is .*; expected a list of whole"),
        ({"classifier_options": {"scale": "high"}}, "classifier.scale is 'high'; expected a number"),
        ({"classifier_options": {"learn_scale": 1}}, "classifier.learn_scale is 1; expected true or false"),
        ({"classifier_options": {"text": "adapter"}}, "the classifier 'text' has no option 'text'"),
        ({"text": "context", "text_options": {"words": 3}}, "text.words is 3; expected a word"),
    ],
)
def test_an_option_of_another_kind_is_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Recipe(**fields)


def test_none_stays_where_an_option_may_be_left():
    assert Recipe(head_options={"num_heads": None}).head_options == {"num_heads": None}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head_options": {"num_heads": 7}}, "the head 'transformer' cannot be built with head.num_heads = 7: dim"),
        ({"head": "shift", "head_options": {"fold": 0}}, "the head 'shift' cannot be built with head.fold = 0: "),
        ({"classifier_options": {"scale": -1}}, "the classifier 'text' cannot be built with classifier.scale = -1.0: "),
        ({"text": "adapter", "text_options": {"reduction": 0}}, "the text 'adapter' cannot be built with text.reduc"),
        ({"classifier": "vcs", "classifier_options": {"temperature": 0}}, "temperature is 0.0; expected more than 0"),
        ({"classifier": "descriptions", "classifier_options": {"temperature": 0}}, "temperature is 0.0; expected more"),
        ({"classifier": "semantic-units", "classifier_options": {"temperature": -1}}, "temperature is -1.0; expected"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(fields, message):
    with pytest.raises(DataError, match=message):
        build_model(Recipe(**fields), dim=8, num_classes=2, texts=ClassTexts.of_matrix(torch.eye(2, 8)))
