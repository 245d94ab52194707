"""Promises about hyper-parameters that do something: another value of each changes the weights or the outcome."""

import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

from manyways.errors import ManywaysError
from manyways.methods.chain import Chain
from manyways.methods.fields import hints
from manyways.methods.method import Method
from manyways.models.model import Model
from manyways.testing.trial import KIND_STEPS, ROWS, SEED, Trial, answers, difference, require, skip
from manyways.testing.values import other_values


def no_field_is_dead(trial: Trial) -> None:
    """Another allowed value of each field changes the weights or the outcome, or is refused."""
    if isinstance(trial.method, Chain):
        skip("the stages of a chain are tried by themselves")
    trials, plain = _field_trials(type(trial.method)), _trained(trial, trial.method)
    dead = [name for name in _names(trial.method) if not _matters(trial, plain, name, trials.get(name, {}))]
    require(not dead, f"{', '.join(dead)} could be left out: no other value that was tried changes anything. Read it, "
                      "or state in field_trials with which value it matters, or why none does.")  # fmt: skip


def field_trials_are_of_its_fields(trial: Trial) -> None:
    """Trials of fields that the class states are of fields that it has; reasons are sentences, and few."""
    stated = _field_trials(type(trial.method))
    unknown = stated.keys() - set(_names(trial.method))
    require(not unknown, f"it has no {', '.join(sorted(unknown))}.")
    reasons = [reason for reason in stated.values() if isinstance(reason, str)]
    require(all(reason.endswith(".") for reason in reasons), f"one is no sentence: {reasons}.")
    most = max(MOST_EXEMPT, len(_names(trial.method)) // 4)
    require(len(reasons) <= most, f"{len(reasons)} fields are exempt, and {most} are the most.")


MOST_EXEMPT = 3


def _names(method: Method) -> list[str]:
    return [field.name for field in fields(method)]


def _field_trials(kind: type[Method]) -> dict[str, Mapping[str, Any] | str]:
    """The statements of a class and those that it inherits from."""
    stated: dict[str, Mapping[str, Any] | str] = {}
    for owner in reversed(kind.__mro__):
        stated |= vars(owner).get("field_trials", {})
    return stated


def _matters(trial: Trial, plain: Model, name: str, stated: Mapping[str, Any] | str) -> bool:
    if isinstance(stated, str):
        return True
    beside = {field: value for field, value in stated.items() if field != name}
    base = replace(trial.method, **beside)
    values = [stated[name]] if name in stated else list(other_values(hints(type(base))[name], getattr(base, name)))
    if not values:
        return _has_no_other(hints(type(base))[name])
    reference = _trained(trial, base) if beside else plain
    refused = 0
    for value in values:
        try:
            other = replace(base, **{name: value})
            changed = _trained(trial, other)
        except ManywaysError:
            refused += 1
            continue
        if _differ(trial, reference, changed):
            return True
    return refused == len(values)


def _has_no_other(annotation: Any) -> bool:
    """True if a field may have but one value."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _trained(trial: Trial, method: Method) -> Model:
    budget = ROWS if trial.method.single_pass else KIND_STEPS  # a detector of drifts waits for some rows
    return method.fit(trial.learned_from, trial.start, budget=budget, seed=SEED)


def _differ(trial: Trial, one: Model, other: Model) -> bool:
    """True if two models differ in weights, in what is stated of them, or in what they say of the test rows."""
    if difference(one, other) is not None or _stated(one) != _stated(other):
        return True
    first, second = answers(one, trial.data.test), answers(other, trial.data.test)
    return first.keys() != second.keys() or any(not np.array_equal(first[name], second[name]) for name in first)


def _stated(model: Model) -> object:
    with tempfile.TemporaryDirectory() as place:
        return model.lineage.steps, dict(model.lineage.facts), model.gives, model.write(Path(place))
