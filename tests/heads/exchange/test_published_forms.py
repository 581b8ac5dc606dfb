"""Methods beside the published forms written out, and what docs/methods.md says of each."""

import pytest
import torch

from framebank.tests.method_verdicts import DEPARTS, DICTS, EQUAL, OURS, VERDICTS

pytestmark = pytest.mark.usefixtures("one_thread")

MEASURED = [key for key, verdict in VERDICTS.items() if verdict.apart]


def test_every_method_has_a_verdict_and_a_reason():
    assert list(VERDICTS) == [(what, name) for what, rows in DICTS.items() for name in rows]
    for key, verdict in VERDICTS.items():
        assert verdict.verdict in (EQUAL, DEPARTS, OURS), key
        assert verdict.said or verdict.verdict == EQUAL, key
        assert (verdict.apart is not None) == (verdict.verdict == EQUAL) == (verdict.difference is not None), key


@pytest.mark.parametrize(("what", "name"), MEASURED)
@torch.no_grad()
def test_equal_to_the_published_form(what, name):
    verdict = VERDICTS[what, name]
    torch.manual_seed(0)
    assert verdict.apart() <= verdict.difference <= 1e-5
