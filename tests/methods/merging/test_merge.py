"""Merge: the formulas on models fine-tuned from one start, what they are good for, and what does not go together."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from safetensors.torch import save_file

import manyways as mw
from manyways.comparison.comparison_plan import make_plan
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import ManywaysError, ModelError, NeedsError, ParameterError
from manyways.methods.merging._formulas import random_mask, randomness
from manyways.methods.merging.merge import Merge, merge_folders
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.models.model import Model
from manyways.sklearn import Classifier
from manyways.training.budget import Budget

Folders = dict[str, str]
SETTINGS: list[dict[str, Any]] = [
    {"how": "linear"},
    {"how": "linear", "weights": (3.0, 1.0)},
    {"how": "slerp"},
    {"how": "slerp", "weights": (1.0, 3.0)},
    {"how": "task_arithmetic", "scale": 0.4},
    {"how": "task_arithmetic", "weights": (1.0, -0.5)},
    {"how": "ties"},
    {"how": "ties", "density": 0.5, "scale": 0.7, "weights": (1.0, 2.0)},
    {"how": "dare"},
    {"how": "dare", "density": 0.9, "scale": 0.5, "weights": (1.0, 2.0)},
]


def made(folders: Folders, settings: dict[str, Any]) -> Merge:
    """The merge of both fine-tuned models, on their base where that is wanted."""
    base = None if settings["how"] in ("linear", "slerp") else folders["base"]
    return Merge(models=(folders["low"], folders["high"]), base=base, **settings)


# --- the formulas, once more and in NumPy ---------------------------------------------------------


def in_numpy(method: Merge, name: str, tensors: Sequence[NDArray[Any]], base: NDArray[Any], seed: int) -> NDArray[Any]:
    """What the papers say, element by element, in float64 from differences as float32 has them."""
    if all(np.array_equal(tensors[0], other) for other in (*tensors[1:], base)):
        return tensors[0]
    w = np.array(method.weights or (1.0, 1.0))
    a, b = (tensor.astype(np.float64).ravel() for tensor in tensors)
    start = base.astype(np.float64).ravel()
    deltas = np.stack([(tensor - base).astype(np.float64).ravel() for tensor in tensors])
    if method.how == "linear":
        out = np.average([a, b], axis=0, weights=w)
    elif method.how == "slerp":
        t, cos = w[1] / w.sum(), a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        omega = np.arccos(min(cos, 1))
        arc = cos < 0.9995
        out = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega) if arc else (1 - t) * a + t * b
    elif method.how == "task_arithmetic":
        out = start + method.scale * (w @ deltas)
    elif method.how == "ties":
        keep = max(1, round(method.density * len(start)))
        least = np.sort(np.abs(deltas), axis=1)[:, -keep, None]
        trimmed = np.where(np.abs(deltas) >= least, deltas, 0)
        agree = (np.sign(trimmed) == np.sign(w @ trimmed)) & (trimmed != 0)
        share = w @ agree
        mean = np.divide(w @ (trimmed * agree), share, out=np.zeros(len(start)), where=share > 0)
        out = start + method.scale * mean
    else:
        kept = [random_mask(randomness(seed, name, at), base.size, method.density).numpy() for at in range(2)]
        out = start + method.scale * (w @ np.where(kept, deltas / method.density, 0))
    return np.asarray(out.reshape(base.shape))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_merged_tensors_are_those_of_the_formula(folders: Folders, settings: dict[str, Any]) -> None:
    method = made(folders, settings)
    found = method.fit(seed=7).network.state_dict()
    read = {name: load_file(Path(folder) / "weights.safetensors") for name, folder in folders.items()}
    changed = 0
    for name, tensor in found.items():
        expected = in_numpy(method, name, [read["low"][name], read["high"][name]], read["base"][name], seed=7)
        if name.endswith("running_var"):
            assert (tensor > 0).all()
            expected = np.where(expected > 0, expected, np.min([part[name] for part in read.values()], 0))
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-6, err_msg=name)
        changed += not np.array_equal(expected, read["low"][name])
    assert changed > 5, "the models hardly differ, so that nothing was tested"


def test_the_seed_decides_what_dare_drops_and_nothing_else(folders: Folders) -> None:
    def weights(seed: int, **settings: Any) -> torch.Tensor:
        fitted = made(folders, settings).fit(seed=seed).network.state_dict()
        return torch.cat([tensor.float().flatten() for tensor in fitted.values()])

    assert torch.equal(weights(1, how="dare"), weights(1, how="dare"))
    assert not torch.equal(weights(1, how="dare"), weights(2, how="dare"))
    assert torch.equal(weights(1, how="ties"), weights(2, how="ties"))


# --- what it is good for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"how": "linear"}, {"how": "slerp"}, {"how": "task_arithmetic", "scale": 0.6}, {"how": "ties", "density": 0.8}],
    ids=str,
)
def test_a_merged_model_knows_what_each_of_its_models_knows(
    folders: Folders, models: dict[str, Model], halves: dict[str, Data], settings: dict[str, Any]
) -> None:
    """Each was fine-tuned on one half of the digits and is worse on the other; the merged model is good at both."""
    alone = [models[name].evaluate(halves["all"])["accuracy"] for name in ("low", "high")]
    merged = made(folders, settings).fit()
    assert merged.evaluate(halves["all"])["accuracy"] > max(alone) + 0.03


def test_a_negative_weight_takes_away_what_was_learned(folders: Folders, halves: dict[str, Data]) -> None:
    forgetful = Merge(models=(folders["low"],), base=folders["base"], how="task_arithmetic", weights=(-0.5,)).fit()
    base = mw.load(folders["base"])
    lost = {
        name: base.evaluate(rows)["accuracy"] - forgetful.evaluate(rows)["accuracy"] for name, rows in halves.items()
    }
    assert lost["low"] > 0.05
    assert lost["low"] > lost["high"]


def test_it_may_be_the_start_of_a_chain(folders: Folders, few: Data) -> None:
    merge = made(folders, {"how": "linear"})
    model = (merge >> FineTune()).fit(few, budget=4)
    assert [stage.title for stage in model.lineage.stages()][1:3] == ["fine-tune", str(merge)]
    assert mw.parse_method(str(merge >> FineTune())) == merge >> FineTune()
    with pytest.raises(NeedsError, match="merge starts from nothing, so what supervised learned would be lost"):
        Supervised() >> merge


# --- the model that is made -----------------------------------------------------------------------


def test_the_model_is_of_the_same_kind_and_knows_its_parents(folders: Folders, models: dict[str, Model]) -> None:
    method = made(folders, {"how": "ties"})
    model = method.fit()
    assert model.kind == models["low"].kind
    assert (model.target, model.gives, model.metric) == (models["low"].target, models["low"].gives, "accuracy")
    assert [parent.to_json() for parent in model.lineage.parents] == [
        models[name].lineage.to_json() for name in ("low", "high", "base")
    ]
    assert len(model.lineage.rows) == 0
    assert model.lineage.data == "no data"
    rows = [{tuple(row) for row in made.lineage.all_rows().tolist()} for made in (model, *models.values())]
    assert rows[0] == set().union(*rows[1:])
    assert rows[1] < rows[0]


def test_data_that_is_given_is_not_learned_from(folders: Folders, few: Data) -> None:
    method = made(folders, {"how": "linear"})
    with_data, without = method.fit(few), method.fit()
    assert with_data.lineage.to_json() | {"seconds": 0} == without.lineage.to_json() | {"seconds": 0}


def test_a_folder_is_the_same_as_the_model(folders: Folders, out: Path, few: Data) -> None:
    settings: dict[str, Any] = {"how": "dare", "density": 0.5}
    place = merge_folders([Path(folders["low"]), folders["high"]], out, base=Path(folders["base"]), seed=3, **settings)
    loaded, fitted = mw.load(place), made(folders, settings).fit(seed=3)
    assert place == out
    assert np.array_equal(loaded.probabilities(few.test), fitted.probabilities(few.test))
    assert loaded.lineage.to_json() == fitted.lineage.to_json()
    assert loaded.gives == fitted.gives
    assert np.array_equal(loaded.lineage.all_rows(), fitted.lineage.all_rows())
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "rows.safetensors", "weights.safetensors"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["merged"], "something was left beside it"


def test_folders_may_be_paths_and_a_list(folders: Folders) -> None:
    paths = [Path(folders[name]) for name in ("low", "high")]
    method = Merge(models=paths, how="ties", base=Path(folders["base"]))  # type: ignore[arg-type]
    assert method == made(folders, {"how": "ties"})
    assert mw.parse_method(str(method)) == method


def test_another_model_in_the_folder_is_another_merge(folders: Folders, tmp_path: Path) -> None:
    """So that a comparison or a chain that finds an earlier result does not take it for this one."""
    copy = Path(shutil.copytree(folders["low"], tmp_path / "copy"))
    method = Merge(models=(str(copy), folders["high"]))
    before = method.to_json()
    shutil.rmtree(copy)
    assert method.to_json() != before
    shutil.copytree(folders["base"], copy)
    assert method.to_json() != before
    shutil.rmtree(copy)
    shutil.copytree(folders["low"], copy)
    assert method.to_json() == before


def test_a_comparison_tries_it_only_where_it_is_asked_to(folders: Folders, few: Data) -> None:
    text = str(made(folders, {"how": "linear"}))
    assert Merge.suggestions() == ()
    plan = make_plan(few, ["supervised", text], None, Budget(3), 1, None, Splitting(), 0)
    assert list(plan.methods) == ["supervised", text]
    advice = next(each for each in mw.advise(few) if each.name == "merge")
    assert not advice.possible
    assert advice.reason == (
        'it merges saved models, and none is named. Name their folders: merge(models=("model-a", "model-b")).'
    )
    with pytest.raises(ParameterError, match="method must be a method that learns from data; got merge"):
        Classifier(Merge()).fit(np.zeros((4, 2)), np.arange(4))


# --- what does not go together --------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"how": "slerp", "models": ("a", "b", "c")},
            r"Merge\.models must be two folders, .* with 'slerp'; got 3\. Merge",
        ),
        (
            {"how": "ties", "models": ("a", "b")},
            r"Merge\.base must be the folder of the model that all .* got None with",
        ),
        ({"how": "dare", "models": ("a", "b")}, r"Merge\.base must be the folder"),
        ({"how": "task_arithmetic", "models": ("a", "b")}, r"Merge\.base must be the folder"),
        ({"base": "c"}, r"Merge\.base is for task_arithmetic, ties, dare; got 'c' with 'linear'\."),
        (
            {"weights": (1.0,), "models": ("a", "b")},
            r"Merge\.weights must be one number per model; got 1 for 2 models\.",
        ),
        (
            {"weights": (1.0, -1.0), "models": ("a", "b")},
            r"Merge\.weights of a mean must be 0 or more, .* got \(1\.0, -1",
        ),
        ({"weights": (0.0, 0.0), "models": ("a", "b")}, r"Merge\.weights of a mean .* not all 0; got \(0\.0, 0\.0\)"),
        ({"weights": (1.0, float("inf"))}, r"Merge\.weights\[1\] must be in \(-inf, inf\); got inf\."),
        ({"how": "ties", "density": 0.0}, r"Merge\.density must be in \(0, 1\]; got 0\.0\."),
        ({"how": "ties", "density": 1.5}, r"Merge\.density must be in \(0, 1\]; got 1\.5\."),
        ({"density": 0.5}, r"Merge\.density is for ties and dare; got 0\.5 with 'linear'\."),
        ({"scale": 0.5}, r"Merge\.scale is for task_arithmetic, ties, dare; got 0\.5 with 'linear'\."),
        ({"how": "mean"}, r"Merge\.how must be one of 'linear', 'slerp', .*; got 'mean'\."),
        ({"models": "a"}, r"Merge\.models must be a tuple of values, such as \(a, b\); got 'a'\."),
        ({"models": ("a", 3)}, r"Merge\.models\[1\] must be text; got 3\."),
        ({"modles": ("a", "b")}, r"Merge has no field 'modles'; .* Did you mean 'models'\?"),
    ],
)
def test_fields_that_do_not_go_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Merge(**fields)


def test_models_in_memory_are_to_be_saved_first(models: dict[str, Model]) -> None:
    with pytest.raises(ParameterError, match=r"Merge\.models\[0\] must be the folder of .*fine-tune.*model\.save\("):
        Merge(models=(models["low"], models["high"]))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"Merge\.base must be the folder of a saved model; got a model in memory"):
        Merge(models=("a",), how="ties", base=models["base"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "start", "message"),
    [
        (Merge(), False, "merge cannot learn: it merges saved models, and none is named. Name their folders: merge"),
        (Merge(models=("a",)), False, "one model alone is no merge. Name another folder in models"),
        (
            Merge(models=("a", "b")),
            True,
            "it starts from the folders that it names. Save the model, and name its folder",
        ),
    ],
)
def test_too_few_models_or_one_in_memory(
    method: Merge, start: bool, message: str, models: dict[str, Model], out: Path
) -> None:
    with pytest.raises(NeedsError, match=message):
        method.fit(model=models["low"] if start else None)
    if not start:
        with pytest.raises(NeedsError, match=message.partition(": ")[2] or message):
            merge_folders(method.models, out)


Make = Callable[[Folders, Path, Data], str]


def _other_shape(folders: Folders, place: Path, few: Data) -> str:
    return str(Supervised(size=0.25).fit(few, budget=1).save(place))


def _other_architecture(folders: Folders, place: Path, few: Data) -> str:
    return str(Supervised(backbone="vit").fit(few, budget=1).save(place))


def _other_classes(folders: Folders, place: Path, few: Data) -> str:
    column = few.label
    names = np.array([f"digit {value}" for value in column.values], object)
    named = Data.from_columns([few.columns["image"], type(column)("label", "category", names)], few.roles)
    return str(Supervised(size=0.5).fit(named, budget=1).save(place))


def _other_head(folders: Folders, place: Path, few: Data) -> str:
    return str(mw.SimCLR(size=0.5, batch_size=16).fit(few, budget=1).save(place))


def _cluster(folders: Folders, place: Path, few: Data) -> str:
    return str(KMeans(clusters=3).fit(few, mw.load(folders["base"])).save(place))


def _damaged(folders: Folders, place: Path, few: Data) -> str:
    shutil.copytree(folders["low"], place)
    path = place / "weights.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    return str(place)


def _pickled(folders: Folders, place: Path, few: Data) -> str:
    shutil.copytree(folders["low"], place)
    (place / "weights.safetensors").rename(place / "weights.pt")
    return str(place)


def _no_model(folders: Folders, place: Path, few: Data) -> str:
    shutil.copytree(folders["low"], place)
    (place / "model.json").unlink()
    return str(place)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            _other_shape,
            r"have tensors of different shapes: 'backbones\.0\.\S+' has \[.*\] and \[.*\]; .*; and \d+ more\.",
        ),
        (
            _other_architecture,
            r"have different architectures: convnet, linear, and vit, linear\. Merge models that were",
        ),
        (
            _other_classes,
            r"predict different things: 'label' of 10 classes \(0, .*\), and 'label' of 10 classes \(digit 0,",
        ),
        (_other_head, r"have different architectures: convnet, linear, and convnet\."),
        (_cluster, r"have different architectures: convnet, linear, and convnet, centroids"),
        (_damaged, r"weights\.safetensors has changed since the model was saved"),
        (_pickled, r"it holds only weights\.pt, a pickle, which is never loaded"),
        (_no_model, r"is no model folder: it has neither model\.json nor config\.json"),
        (lambda *_: "nowhere", r"There is no folder 'nowhere'"),
    ],
)
def test_folders_that_do_not_go_together(
    make: Make, message: str, folders: Folders, tmp_path: Path, few: Data, out: Path
) -> None:
    other = make(folders, tmp_path / "other", few)
    method = Merge(models=(folders["low"], other))
    with pytest.raises(ModelError, match=message):
        method.fit()
    with pytest.raises(ModelError, match=message):
        merge_folders(method.models, out)
    assert not out.exists()


def test_clusters_are_not_merged(few: Data, tmp_path: Path, folders: Folders) -> None:
    same = [_cluster(folders, tmp_path / name, few) for name in "ab"]
    with pytest.raises(ModelError, match="gives cluster, whose numbers mean something else in every model"):
        Merge(models=tuple(same)).fit()


def test_a_tensor_that_is_missing_in_one_is_named(folders: Folders, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folders["high"], tmp_path / "other"))
    weights = {name: torch.from_numpy(each) for name, each in load_file(other / "weights.safetensors").items()}
    weights["head.linear.scale"] = weights.pop("head.linear.bias")
    save_file(weights, other / "weights.safetensors")
    for models, one in (((folders["low"], str(other)), "bias"), ((str(other), folders["low"]), "scale")):
        with pytest.raises(ModelError, match=rf"lacks 1 tensor that .* has: 'head\.linear\.{one}'\. Merge models that"):
            Merge(models=models).fit()


def test_an_input_that_is_encoded_in_another_way_is_named(tmp_path: Path) -> None:
    wine = mw.read("wine")
    parts = [wine.select(np.arange(at, 178, 2)) for at in range(2)]
    saved = [str(Supervised().fit(part, budget=1).save(tmp_path / str(at))) for at, part in enumerate(parts)]
    with pytest.raises(ModelError, match="encode 'table' in different ways: in another vocabulary, or standardised by"):
        Merge(models=tuple(saved)).fit()


def test_a_number_that_is_not_finite_is_named(folders: Folders, tmp_path: Path) -> None:
    other = mw.load(folders["high"])
    with torch.no_grad():
        other.network.state_dict()["head.linear.bias"][2] = float("nan")
    method = Merge(models=(folders["low"], str(other.save(tmp_path / "other"))))
    with pytest.raises(ModelError, match=r"'head\.linear\.bias' of .*other holds 1 numbers that are NaN or infinite"):
        method.fit()


def test_a_folder_that_holds_something_else_is_left_alone(folders: Folders, out: Path) -> None:
    out.mkdir()
    (out / "diary.txt").write_text("dear")
    with pytest.raises(ManywaysError, match="exists and is no model folder"):
        merge_folders([folders["low"], folders["high"]], out)
    assert [path.name for path in out.iterdir()] == ["diary.txt"]


def test_a_merge_can_replace_one_of_its_models(folders: Folders, tmp_path: Path) -> None:
    low = shutil.copytree(folders["low"], tmp_path / "low")
    merge_folders([low, folders["high"]], low)
    assert json.loads((Path(low) / "model.json").read_text())["lineage"]["method"]["name"] == "merge"
    mw.load(low)
