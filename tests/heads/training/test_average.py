import pytest
import torch

from framebank.heads.training.average import average_model
from framebank.store import DataError
from framebank.tests.worlds.average import runs_of_members
from framebank.tests.worlds.heads import DIM

pytestmark = pytest.mark.usefixtures("one_thread")

X = torch.randn(3, 8, DIM, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(8) < torch.tensor([[8], [5], [1]])
TEMPERATURES, WEIGHTS = torch.tensor([2.0, 0.5]), torch.tensor([0.75, 0.25])


@pytest.fixture(scope="module")
def models():
    return [run.model for run in runs_of_members()]


def test_probabilities_are_the_weighted_mean_of_calibrated_ones(models):
    average = average_model(models, temperatures=TEMPERATURES, weights=WEIGHTS)
    with torch.inference_mode():
        first, second = (model(X, MASK) for model in models)
        expected = 0.75 * (first / 2).softmax(-1) + 0.25 * (second / 0.5).softmax(-1)
        found = average(X, MASK)
    assert torch.allclose(found.exp(), expected, atol=1e-6)
    assert torch.allclose(found.softmax(-1), expected, atol=1e-6)


def test_padding_is_not_read(models):
    average = average_model(models, temperatures=TEMPERATURES, weights=WEIGHTS)
    with torch.inference_mode():
        other = average(X.masked_fill(~MASK[..., None], 7.0), MASK)
        assert torch.equal(other, average(X.masked_fill(~MASK[..., None], -3.0), MASK))


def test_there_is_no_single_embedding(models):
    average = average_model(models, temperatures=TEMPERATURES, weights=WEIGHTS)
    with pytest.raises(DataError, match="an average of several heads has no single embedding"):
        average.embed(X, MASK)


@pytest.mark.parametrize(
    ("temperatures", "weights", "message"),
    [
        ((1.0, 1.0), (0.5, 0.6), "the weights of 2 models sum to 1.1; expected 1"),
        ((1.0, 0.0), (0.5, 0.5), "the temperatures of 2 models are .*; expected a number above 0 each"),
        ((1.0, 1.0), (1.5, -0.5), "the weights of 2 models are .*; expected a number above 0 each"),
        ((1.0,), (0.5, 0.5), "the temperatures of 2 models are .*; expected a number above 0 each"),
    ],
)
def test_impossible_numbers_are_refused(models, temperatures, weights, message):
    with pytest.raises(ValueError, match=message):
        average_model(models, temperatures=torch.tensor(temperatures), weights=torch.tensor(weights))
