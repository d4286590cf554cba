"""Which networks belong together, which subjects they were trained on, and which case is shown."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_film.comparison.experiment import ExperimentError
from napari_film.fields import CategoricalField
from napari_film.header import read_header
from napari_film.training.cases.case import Case
from napari_film.training.evaluation.measures import Measures
from napari_film.training.evaluation.parts import NOT_KNOWN, SEEN, UNSEEN, Parts, choose, group_of, parts_of
from napari_film.training.evaluation.picture import typical
from napari_film.training.evaluation.replicate import Network, Replicate, read_replicates
from napari_film.training.evaluation.score import Score
from napari_film.training.recipe import Recipe

RECIPE = '[model]\nname = "{name}"\n[training]\nepochs = {epochs}\nseed = {seed}\nprior = "{prior}"\n'


@pytest.fixture(scope="module")
def trained(make_checkpoint: Callable, site: CategoricalField) -> Callable[..., Path]:
    """Give a maker of checkpoints as a training leaves them: ``trained(seed, prior="none")``."""

    def make(seed: int, *, prior: str = "known", epochs: int = 4, data: str = "abc", name: str = "tiny") -> Path:
        text = RECIPE.format(seed=seed, prior=prior, epochs=epochs, name=name)
        return make_checkpoint(site, header={"provenance": {"recipe": text, "seed": seed, "data_hash": data}})

    return make


def test_each_model_has_the_control_of_its_seed(trained: Callable) -> None:
    models = [trained(seed) for seed in (0, 1, 2)]
    controls = [trained(seed, prior="none", name="tiny_control") for seed in (2, 0, 1)]
    found = read_replicates(models, controls)
    assert [replicate.network.path for replicate in found] == models
    assert [replicate.control.path for replicate in found if replicate.control] == [controls[1], controls[2], controls[0]]
    assert [replicate.network.label for replicate in found] == ["tiny, seed 0", "tiny, seed 1", "tiny, seed 2"]


def test_a_single_pair_may_have_any_seeds(trained: Callable) -> None:
    (pair,) = read_replicates([trained(0)], [trained(9, prior="none")])
    assert pair.control is not None
    assert len(pair.networks) == 2


def test_what_is_no_control_is_named(trained: Callable) -> None:
    def refused(match: str, controls: list[Path], models: tuple[int, ...] = (0,)) -> None:
        with pytest.raises(ExperimentError, match=match):
            read_replicates([trained(seed) for seed in models], controls)

    refused("was not trained without prior", [trained(1)])
    refused(r"differ in their recipe \(training.epochs\)", [trained(0, prior="none", epochs=5)])
    refused("were trained on different data", [trained(0, prior="none", data="abd")])
    refused("have the seeds 0, 2, and the models 0, 1", [trained(seed, prior="none") for seed in (0, 2)], models=(0, 1))
    refused("have the seeds 0, and the models 0, 1", [trained(0, prior="none")], models=(0, 1))


def case_of(subject: str, split: str = "") -> Case:
    return Case(subject, (Path("image.nii.gz"),), Path("mask.nii.gz"), {}, ("all",), split=split)


def network(folder: Path, checkpoint: Path, subjects: dict[str, list[str]] | None) -> Network:
    folder.mkdir()
    path = folder / "best.safetensors"
    path.write_bytes(checkpoint.read_bytes())
    if subjects is not None:
        (folder / "scores.json").write_text(json.dumps({"thresholds": [], "subjects": subjects}), encoding="utf-8")
    return Network(path, read_header(path), "tiny")


def test_a_subject_of_either_training_is_of_training(trained: Callable, tmp_path: Path, context_recipe: Recipe) -> None:
    one = network(tmp_path / "one", trained(0), {"train": ["a", "b"], "validation": ["c"], "test": ["d", "e"]})
    other = network(tmp_path / "other", trained(1), {"train": ["d", "c"], "validation": ["b"], "test": ["a", "e"]})
    cases = [case_of(name) for name in "abcdef"]
    parts = parts_of(Replicate(one, other), cases, context_recipe, "another hash")
    assert [parts.part(case) for case in cases] == ["train", "train", "train", "train", "test", "new"]
    assert choose(cases, parts, "test") == [(4, "test"), (5, "new")]
    assert [group_of(part) for part in ("train", "validation", "test", "new", "")] == [SEEN, SEEN, UNSEEN, UNSEEN, NOT_KNOWN]


def test_where_all_parts_are_the_same_cases_all_were_trained_on(trained: Callable, tmp_path: Path, context_recipe: Recipe) -> None:
    same = network(tmp_path / "run", trained(0), {part: ["a"] for part in ("train", "validation", "test")})
    assert parts_of(Replicate(same), [case_of("a")], context_recipe, "").of == {"a": "train"}


def test_the_scores_of_another_checkpoint_say_nothing(trained: Callable, tmp_path: Path, context_recipe: Recipe) -> None:
    found = network(tmp_path / "run", trained(0), {"train": ["a"], "validation": ["b"], "test": ["c"]})
    (tmp_path / "run" / "scores.json").write_text('{"thresholds": [1], "subjects": {"train": ["a"]}}', encoding="utf-8")
    assert parts_of(Replicate(found), [case_of("a")], context_recipe, "another hash").of is None


def test_where_nothing_is_known_the_data_may_say_it() -> None:
    cases = [case_of("a", "train"), case_of("b", "test"), case_of("c")]
    assert choose(cases, Parts(None), "test") == [(1, "test"), (2, "")]
    assert choose(cases, Parts(None), "all") == [(0, "train"), (1, "test"), (2, "")]


def test_the_median_case_is_shown() -> None:
    def score(case: int, dice: float | None, *, given: str = "a", model: str = "one", part: str = "test") -> Score:
        return Score(model, case, f"s{case}", "", "", "", part, "a", given, "core", Measures(1.0, 1.0, dice=dice))

    scores = [score(0, 0.9), score(1, 0.2), score(2, 0.5), score(3, 0.6), score(4, None), score(5, 0.55, given="b")]
    assert typical([*scores, score(6, 0.51, model="two")], "core")["a"].case == 2  # of four, the lower of the middle two
    assert typical([*scores, *(score(7 + n, 0.99, part="train") for n in range(9))], "core")["a"].case == 2
    assert typical([score(7, 0.99, part="train")], "core")["a"].case == 7
    assert typical([score(4, None)], "core") == {}
