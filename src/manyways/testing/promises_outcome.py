"""Promises about what is learned: it follows from the seed and from the rows that may be learned from."""

import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import VALIDATION
from manyways.errors import TrainingError
from manyways.methods.ablations import exchanged
from manyways.models.model import Model
from manyways.testing.trial import (
    OTHER_SEED,
    Trial,
    difference,
    other_hidden_labels,
    other_test_rows,
    require,
    rows_of,
    skip,
    weights,
)


def same_seed_same_weights(trial: Trial) -> None:
    """The same seed, data and budget give bitwise the same weights, whatever else draws random numbers."""
    first = trial.reference
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002  the global generator is what must not matter
    wrong = difference(first, trial.fit())
    require(wrong is None, f"two runs with one seed differ: {wrong}.")


def other_seed_other_weights(trial: Trial) -> None:
    """Another seed gives other weights where steps are taken on rows that are drawn."""
    if not trial.has_gradient or trial.method.single_pass:
        skip("it takes no steps on rows that are drawn")
    same = difference(trial.reference, trial.fit(seed=OTHER_SEED)) is None
    require(not same, "two seeds gave bitwise the same weights: the seed is not used.")


def arguments_are_untouched(trial: Trial) -> None:
    """Learning changes neither the data nor the model it starts from, nor any global state."""
    data, start = trial.data, trial.start
    before = (_facts_of_data(data), _facts_of_model(start), _global_state())
    model = trial.fit()
    after = (_facts_of_data(data), _facts_of_model(start), _global_state())
    for was, now in zip(before, after, strict=True):
        changed = [name for name in was if was[name] != now[name]]
        require(not changed, f"fit changed {', '.join(changed)}.")
    if start is not None:
        shared = _memory(start) & _memory(model)
        require(not shared, f"{len(shared)} tensors share memory with the model it started from.")


def hidden_labels_are_not_seen(trial: Trial) -> None:
    """Labels that may not be seen make no difference, of training rows or of those for validation, nor how many."""
    if not trial.data.has("label"):
        skip("its example has no labels")
    validated = trial.validated
    wrong = difference(validated.reference, validated.fit(other_hidden_labels(validated.data, validated.reference)))
    require(wrong is None, f"with all hidden labels of one class the weights are others: {wrong}.")


def validation_labels_are_not_learned_from(trial: Trial) -> None:
    """Labels of validation rows make no difference before early stopping could choose by them."""
    if not trial.data.has("label"):
        skip("its example has no labels")
    if trial.validated is trial:
        skip("a look at validation rows takes a thousand episodes")
    data, steps = trial.validated.data, max(1, trial.method.fewest_steps())
    rows = rows_of(data, VALIDATION)
    other = data
    for label in data.labels:
        other = exchanged(other, label.name, rows[data.visible[rows]])
    try:
        models = [trial.validated.fit(each, budget=steps) for each in (data, other)]
    except TrainingError:  # as many steps as there are tasks
        models = [trial.validated.fit(each) for each in (data, other)]
    wrong = difference(*models)
    require(wrong is None, f"with the labels of validation rows exchanged the weights are others: {wrong}.")


def test_rows_are_not_seen(trial: Trial) -> None:
    """Test rows make no difference, whatever they hold: encoders are fitted on training rows alone."""
    wrong = difference(trial.reference, trial.fit(other_test_rows(trial.data)))
    require(wrong is None, f"with other test rows the weights are others: {wrong}.")


def _facts_of_data(data: Data) -> dict[str, bytes]:
    facts: dict[str, bytes] = {}
    for name, column in data.columns.items():
        facts[f"the column {name!r} of the data"] = _bytes(column.take(np.arange(len(column))))
    for name in ("part", "visible", "rows", "all_ids"):
        facts[f"Data.{name}"] = getattr(data, name).tobytes()
    facts["the roles of the data"] = repr(data.roles).encode()
    return facts


def _bytes(values: NDArray[Any]) -> bytes:
    return repr(values.tolist()).encode() if values.dtype.kind == "O" else values.tobytes()


def _facts_of_model(model: Model | None) -> dict[str, bytes]:
    if model is None:
        return {}
    tensors = weights(model).items()
    facts = {f"{name} of the model it starts from": tensor.numpy().tobytes() for name, tensor in tensors}
    modes = [(name, module.training) for name, module in model.network.named_modules()]
    frozen = [(name, parameter.requires_grad) for name, parameter in model.network.named_parameters()]
    facts["the mode of the model it starts from"] = repr((modes, frozen)).encode()
    facts["the lineage of the model it starts from"] = repr(model.lineage.to_json()).encode()
    return facts


def _global_state() -> dict[str, bytes]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    return {
        "torch's global random generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's global random generator": repr(state).encode(),
        "python's global random generator": repr(random.getstate()).encode(),
        "torch's settings": repr(
            (
                torch.get_num_threads(),
                torch.get_default_dtype(),
                torch.is_grad_enabled(),
                torch.are_deterministic_algorithms_enabled(),
            )
        ).encode(),
    }


def _memory(model: Model) -> set[int]:
    return {tensor.data_ptr() for tensor in model.network.state_dict().values() if tensor.numel()}
