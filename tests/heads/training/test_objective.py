import pytest

from framebank.heads import LOSSES
from framebank.heads.training.loss_sum import read_losses
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("ce", {"ce": 1.0}),
        ("ce + 0.5 froster", {"ce": 1.0, "froster": 0.5}),
        (" 2 kl+ce ", {"kl": 2.0, "ce": 1.0}),
        ("0.5* ce", {"ce": 0.5}),
        ("1e-3 ce + 2 video-ce + 0.1 masked-text", {"ce": 1e-3, "video-ce": 2.0, "masked-text": 0.1}),
    ],
)
def test_a_sum_is_read_in_its_order(text, weights):
    assert list(read_losses(text).items()) == list(weights.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "loss '' is not known; expected one of kl, "),
        ("ce +", "loss '' is not known"),
        ("ce + hinge", "loss 'hinge' is not known"),
        ("0.5", "loss '0.5' is not known"),
        ("ce + 0.5 ce", "the loss 'ce [+] 0.5 ce' names ce twice; expected each once"),
        ("0 ce", "the loss '0 ce' is not understood; expected a weight above 0 and a name"),
        ("-1 ce", "the loss '-1 ce' is not understood"),
        ("inf ce", "the loss 'inf ce' is not understood"),
        ("nan ce", "the loss 'nan ce' is not understood"),
        ("half ce", "the loss 'half ce' is not understood"),
        ("1 2 ce", "the loss '1 2 ce' is not understood"),
        ("froster + diversity", "the loss 'froster [+] diversity' learns no class"),
    ],
)
def test_what_is_no_sum_is_said(text, message):
    with pytest.raises(DataError, match=message):
        read_losses(text)


def test_an_unknown_loss_hears_of_every_one():
    with pytest.raises(DataError) as error:
        read_losses("hinge")
    assert all(name in str(error.value) for name in LOSSES)


def test_losses_of_one_label_and_of_several_are_not_added():
    with pytest.raises(DataError, match="adds losses for one label of a video to losses for several"):
        Recipe(loss="bce + ce")
    assert Recipe(loss="bce + 0.1 soft-kl + froster").is_multi_label


def test_losses_of_texts_need_a_classifier_with_texts():
    with pytest.raises(DataError, match="the loss 'masked-text' matches videos with texts; the classifier 'linear'"):
        Recipe(classifier="linear", loss="ce + masked-text")
