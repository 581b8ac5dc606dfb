import pytest
import torch

from framebank.heads.temporal.gru import Gru
from framebank.tests.worlds.formulas import everything, frames, shaken

pytestmark = pytest.mark.usefixtures("one_thread")


@torch.no_grad()
def test_gru_by_the_formula():
    head = shaken(Gru(3))
    x = frames(1, 4, 3)
    gru = head.gru
    hidden, total = torch.zeros(3), torch.zeros(3)
    for frame in x[0]:
        reset, update, new = (gru.weight_ih_l0 @ frame + gru.bias_ih_l0).split(3)
        reset_h, update_h, new_h = (gru.weight_hh_l0 @ hidden + gru.bias_hh_l0).split(3)
        update = (update + update_h).sigmoid()
        candidate = (new + (reset + reset_h).sigmoid() * new_h).tanh()
        hidden = (1 - update) * candidate + update * hidden
        total = total + frame + hidden
    torch.testing.assert_close(head(x, everything(x))[0], total / 4)


def test_only_the_candidate_starts_at_zero():
    for parameter in Gru(5).gru.parameters():
        assert (parameter[:10] != 0).all()
        assert (parameter[10:] == 0).all()
