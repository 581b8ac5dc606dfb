from dataclasses import fields

import pytest

from framebank.heads.training.choices import with_choices
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError

ODD = Recipe(
    head="lstm",
    classifier="text",
    loss="ce",
    templates=('a "{}"', "back\\slash {}", "zwei\nZeilen {} \t", "动作 {} 🎬", "{}"),
    scoring="embeddings",
    shots=4,
    val_fraction=0.0,
    frame_norm=False,
    views="all",
    frames=8,
    epochs=7,
    lr=1e-05,
    weight_decay=0.0,
    seed=3,
)


@pytest.mark.parametrize("recipe", [Recipe(), ODD])
def test_round_trip(tmp_path, recipe):
    recipe.write(tmp_path / "recipe.toml")
    assert Recipe.read(tmp_path / "recipe.toml") == recipe
    assert Recipe.from_dict(recipe.to_dict(), where="here") == recipe


def test_file_reads_like_the_fields(tmp_path):
    Recipe().write(tmp_path / "recipe.toml")
    lines = (tmp_path / "recipe.toml").read_text(encoding="utf-8").splitlines()
    assert [line.split(" = ")[0] for line in lines] == [field.name for field in fields(Recipe)]
    assert 'head = "transformer"' in lines
    assert "frame_norm = true" in lines


def test_missing_fields_are_the_defaults(tmp_path):
    (tmp_path / "recipe.toml").write_text('head = "mean"\nlr = 1\n')
    assert Recipe.read(tmp_path / "recipe.toml") == Recipe(head="mean", lr=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "a recipe has no key 'epoch'; the nearest is 'epochs'"),
        ("learning_rate = 3", "a recipe has no key 'learning_rate'; the nearest is"),
        ('head = "transfomer"', "head 'transfomer' is not known; expected one of mean,"),
        ('classifier = "linear"', "the loss 'kl' matches videos with texts"),
        ('views = "each"', "views 'each' is not known; expected one of random, all, first"),
        ("frames = -1", "frames is -1; expected 0, for all that are stored, or more"),
        ("epochs = -1", "epochs is -1; expected 0 or more"),
        ("lr = -1.0", "lr is -1.0; expected more than 0"),
        ("shots = -1", "shots is -1; expected 0, for every video, or more"),
        ("val_fraction = 1.0", "val_fraction is 1.0; expected at least 0 and less than 1"),
        ('lr = "high"', "lr is 'high'; expected a number"),
        ("epochs = 2.5", "epochs is 2.5; expected a whole number"),
        ("epochs = true", "epochs is True; expected a whole number"),
        ('templates = "{}"', "templates is '{}'; expected a list"),
        ("frame_norm = 1", "frame_norm is 1; expected true or false"),
        ("seed = 9223372036854775808", "holds a whole number of more than 64 bits"),
        ("epochs =", "cannot be read as a recipe"),
    ],
)
def test_refuses(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        Recipe.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_part_does_not_keep_the_options_of_the_one_before():
    knn = Recipe(head="mean", classifier="knn", classifier_options={"k": 5}, loss="ce")
    assert knn.with_settings({"classifier": "ridge"}).classifier_options == {}
    assert knn.with_settings({"classifier.temperature": "1", "classifier": "vcs"}).classifier_options == {
        "temperature": 1.0
    }
    assert knn.with_settings({"classifier": "knn", "head": "tcn"}).classifier_options == {"k": 5}
    assert with_choices(knn.to_dict(), {"classifier": "text"})["classifier_options"] == {}


def test_only_parts_have_options():
    with pytest.raises(
        DataError, match=r"^--set foo\.bar: 'foo' has no options; expected one of head, classifier, text"
    ):
        Recipe.from_choices({}, settings={"foo.bar": "1"})
    with pytest.raises(DataError, match=r"^--set loss\.weight: 'loss' has no options"):
        Recipe().with_settings({"loss.weight": "1"})


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a recipe"):
        Recipe.read(tmp_path / "recipe.toml")


@pytest.mark.parametrize(
    ("keys", "examples", "epochs"),
    [
        ({"epochs": 50, "batch_size": 64}, 346, 50),  # no floor: what the epochs say
        ({"epochs": 50, "batch_size": 64, "min_steps": 600}, 346, 100),  # 6 steps a pass
        ({"epochs": 50, "batch_size": 64, "min_steps": 600, "schedule": "paper"}, 346, 50),
        ({"epochs": 50, "batch_size": 64, "min_steps": 600}, 240_000, 50),
        ({"epochs": 30, "batch_size": 256, "min_steps": 600}, 8, 600),  # a step a pass
        ({"epochs": 0, "min_steps": 600}, 346, 0),  # nothing is trained by steps
    ],
)
def test_small_sets_are_passed_until_the_floor_of_steps_is_reached(keys, examples, epochs):
    assert Recipe(**keys).epochs_of(examples) == epochs


def test_epochs_that_are_named_are_made_as_they_are():
    recipe = Recipe(epochs=30, min_steps=600)
    assert recipe.with_settings({"epochs": "2"}).epochs_of(8) == 2
    assert recipe.with_settings({"epochs": "2", "min_steps": "7"}).epochs_of(8) == 7
    assert recipe.with_settings({"schedule": "paper"}).epochs_of(8) == 30
    assert recipe.with_settings({"lr": "1e-3"}).epochs_of(8) == 600
    with pytest.raises(DataError, match="schedule 'papre' is not known; expected one of floor, paper"):
        recipe.with_settings({"schedule": "papre"})


def test_a_recipe_from_before_the_floor_makes_its_epochs(tmp_path):
    (tmp_path / "recipe.toml").write_text("epochs = 20\nbatch_size = 64\nform = 2\n")
    assert Recipe.read(tmp_path / "recipe.toml").epochs_of(64) == 20
