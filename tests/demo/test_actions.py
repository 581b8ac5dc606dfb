import json

import numpy as np
import pytest

from framebank.demo.actions import ACTIONS, BY_NAME, Action
from framebank.demo.motion import TAKES, draw_motion
from framebank.demo.pose import Body, joints
from framebank.tests.places import ROOT

LABELS = ROOT / "demo" / "labels.json"
PAIRS = [(action.reverse, action.name) for action in ACTIONS if action.backwards]


def draw(name: str, take: str, seed: int):
    return draw_motion(BY_NAME[name], take=take, num_frames=60, rng=np.random.default_rng(seed))


def test_labels_file_equals_the_actions():
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    assert list(labels) == [action.name for action in ACTIONS]
    assert labels == {action.name: list(action.descriptions) for action in ACTIONS}


def test_sixteen_actions_with_three_or_four_descriptions_each():
    assert len(ACTIONS) == len(BY_NAME) == 16
    assert all(action.name == action.name.lower() for action in ACTIONS)
    assert all(len(action.descriptions) in (3, 4) for action in ACTIONS)


def test_three_pairs_and_four_novel_classes_outside_them():
    assert len(PAIRS) == 3
    assert sum(action.novel for action in ACTIONS) == 4
    assert not any(action.novel for action in ACTIONS if action.reverse)
    assert all(BY_NAME[BY_NAME[name].reverse].reverse == name for pair in PAIRS for name in pair)


def test_steps_must_fit_the_key_frames():
    with pytest.raises(ValueError, match="nothing: 2 in steps; expected one less than in key_frames"):
        Action("nothing", (), (ACTIONS[0].key_frames[0],), (1, 1))


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize(("forward", "backward"), PAIRS)
def test_a_reversal_is_the_same_poses_in_opposite_order(forward, backward, take):
    for seed in range(20):
        there, back = draw(forward, take, seed), draw(backward, take, seed)
        np.testing.assert_array_equal(there.channels, back.channels[::-1])
        np.testing.assert_array_equal(there.held, back.held[::-1])


@pytest.mark.parametrize(("forward", "backward"), PAIRS)
def test_key_frames_of_a_pair_are_reversed(forward, backward):
    assert BY_NAME[forward].key_frames == BY_NAME[backward].key_frames[::-1]
    assert BY_NAME[forward].steps == BY_NAME[backward].steps[::-1]


@pytest.mark.parametrize("name", [action.name for action in ACTIONS])
def test_a_loop_ends_in_the_pose_it_began_with(name):
    for seed in range(20):
        motion = draw(name, "loop", seed)
        np.testing.assert_allclose(motion.channels[0], motion.channels[-1], atol=1e-9)
        assert motion.held[0] == motion.held[-1]


def test_a_whole_take_goes_from_rest_to_rest_and_a_middle_one_does_not():
    for seed in range(20):
        whole, middle = (draw("sitting down", take, seed).channels[:, 6] for take in ("whole", "middle"))
        assert whole[0] < 15 < 75 < whole[-1]  # the thigh, from hanging to level
        assert np.ptp(middle) < np.ptp(whole)


@pytest.mark.parametrize("take", ["loop"])
@pytest.mark.parametrize(("forward", "backward"), PAIRS)
def test_first_and_last_pose_of_a_loop_do_not_tell_the_direction(forward, backward, take):
    """A linear probe on the true joint angles of the first and last frame stays near chance."""
    sides = [
        np.stack([draw(name, take, seed).channels[[0, -1]].ravel() for seed in range(start, start + 400)])
        for start, name in ((0, forward), (1000, backward))
    ]
    poses, sign = np.concatenate(sides), np.repeat([1.0, -1.0], 400)
    poses = np.hstack([(poses - poses.mean(0)) / (poses.std(0) + 1e-6), np.ones((800, 1))])
    train = np.arange(800) % 2 == 0
    features = poses[train].T @ poses[train] + 10.0 * np.eye(poses.shape[1])
    weights = np.linalg.solve(features, poses[train].T @ sign[train])
    accuracy = np.mean(np.sign(poses[~train] @ weights) == sign[~train])
    assert 0.42 < accuracy < 0.58  # 400 answers: chance is 0.5 +- 0.025


def test_the_lowest_point_of_a_figure_is_on_the_ground():
    motion = draw("falling down", "whole", 0)
    placed = joints(motion.channels, body=Body(), front=False, stays=True)
    assert placed.shape == (60, 17, 2)
    assert (placed[:, :, 1] > 0).all()
    assert (placed[:, :, 1].min(1) < 0.08).all()
