import torch

from framebank.heads.classifiers.linear import LinearClassifier


def test_starts_undecided():
    assert (LinearClassifier(8, 3)(torch.randn(4, 8)) == 0).all()


def test_input_is_brought_to_a_root_mean_square_of_one():
    classifier = LinearClassifier(4, 2)
    with torch.no_grad():
        classifier.linear.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1]]))
        classifier.linear.bias.copy_(torch.tensor([0.0, 10]))
    x = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 4]])  # root mean squares 1 and 2
    torch.testing.assert_close(classifier(x), torch.tensor([[1.0, 11], [0, 12]]))
    torch.testing.assert_close(classifier(50 * x), classifier(x))


def test_every_parameter_gets_a_gradient():
    classifier = LinearClassifier(8, 3)
    classifier(torch.randn(4, 8)).softmax(-1)[:, 0].sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in classifier.parameters())
