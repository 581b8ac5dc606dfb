import torch

from framebank.heads.classifiers.folds import fold_numbers, held_parts


def draw(num_videos, num_groups, num_classes):
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(num_classes, (num_videos,), generator=generator)
    return target, target * num_groups + torch.randint(num_groups, (num_videos,), generator=generator)


def test_no_group_is_divided_and_every_class_is_spread():
    target, groups = draw(400, 7, 6)
    fold = fold_numbers(target, groups)
    assert all(len(fold[groups == group].unique()) == 1 for group in groups.unique())
    for number in range(6):
        assert fold[target == number].unique().tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(fold, fold_numbers(target, groups))


def test_every_fold_leaves_a_video_of_each_class_to_learn_from():
    target = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3])
    groups = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    fold = fold_numbers(target, groups)
    assert (fold[8:] == -1).all()  # one video, and two videos of one group
    assert (fold[:8] >= 0).all()
    for number in fold[fold >= 0].unique():
        assert target[fold != number].unique().tolist() == [0, 1, 2, 3]


def test_two_videos_a_class_make_two_folds():
    fold = fold_numbers(torch.arange(10).repeat(2))
    assert fold.unique().tolist() == [0, 1]
    assert (fold[:10] != fold[10:]).all()


def test_one_video_a_class_makes_none():
    assert (fold_numbers(torch.arange(5)) == -1).all()


def test_each_fold_is_held_out_of_its_part():
    parts = held_parts(torch.tensor([0, 0, 1, 1, 2]), None)
    assert [own.nonzero().flatten().tolist() for own in parts] == [[0, 3], [1, 2]]
    assert held_parts(torch.tensor([0, 2]), None) == []


def test_a_group_of_several_classes_is_in_one_fold_and_left_out_with_a_class_that_has_no_other():
    target = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    groups = torch.tensor([0, 1, 2, 0, 3, 4, 2, 2])  # class 2 has the group 2 alone
    fold = fold_numbers(target, groups)
    assert fold[0] == fold[3] >= 0
    assert fold[[2, 6, 7]].tolist() == [-1, -1, -1]
    assert len(fold[target == 1].unique()) > 1
