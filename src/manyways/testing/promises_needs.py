"""Promises about what a method needs: it says what is missing before anything is trained."""

import re
from dataclasses import replace

import numpy as np

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.ablations import with_column
from manyways.methods.chain import Chain
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.needs import Need, lacking
from manyways.methods.starts import needs_data
from manyways.models.model import Model
from manyways.testing.trial import Trial, require, takes


def needs_are_known(trial: Trial) -> None:
    """Its needs are words that can be checked, and its example data meets them."""
    odd = [need for need in _needs(trial.method) if not isinstance(need, Need)]
    require(not odd, f"a method needs values of the class Need, such as Input; got {odd}.")
    for data in (trial.data, trial.learned_from):
        reason = trial.method.lacks(data, trial.start)
        require(reason is None, f"its own example {data.name!r} is refused: {reason}")


def missing_needs_are_named(trial: Trial) -> None:
    """Where the data lacks what it needs, or there is none, it says so, and what to type, and does not learn."""
    if needs_data(trial.method):
        _refuses(trial.method, Data.nothing(), trial.start, "no data")
    for need in sorted(_needs(trial.method), key=str):
        without = _without(trial.data, need)
        require(bool(without), f"{need.name!r} is met whatever is taken from the data {trial.data.name!r}.")
        for poor in without:
            _refuses(trial.method, poor, trial.start, f"data without {need.meaning}")


def missing_model_is_named(trial: Trial) -> None:
    """Without the model that it must start from, or from one that gives something else, it does not learn."""
    if trial.method.needs_start():
        _refuses(trial.method, trial.data, None, "no model to start from")
    if takes(trial.method):
        useless = replace(trial.start or _suited(trial), gives=frozenset({"nothing"}))
        _refuses(trial.method, trial.data, useless, "a model that gives nothing")


def _suited(trial: Trial) -> Model:
    """A model that gives what the method takes: its own, where that does."""
    own = trial.reference
    return own if own.gives & takes(trial.method) else trial.start_model()


def _needs(method: Method) -> set[Need]:
    stages = method.stages if isinstance(method, Chain) else (method,)
    return {need for stage in stages for need in stage.needs}


def _without(data: Data, need: Need) -> list[Data]:
    """Ways to take from `data` what meets `need`: a role, or which labels are there."""
    poorer = [
        replace(data, roles={role: data.roles[role] for role in data.roles if role != lost}) for lost in data.roles
    ]
    poorer += [replace(data, environment=None)] if data.environment is not None else []
    if data.has("label"):
        everything = np.arange(len(data))
        known = np.flatnonzero(data.known)
        poorer += [data.hide(everything), data.reveal(known)]
        poorer += [replace(data, roles={**data.roles, "label": names}) for names in _fewer(data.roles["label"])]
        if len(data.labels) == 1:
            poorer.append(with_column(data, replace(data.label, kind="number")))
    return [each for each in poorer if lacking((need,), each)]


def _fewer(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each of several names alone."""
    return [(name,) for name in names] if len(names) > 1 else []


def _refuses(method: Method, data: Data, model: Model | None, case: str) -> None:
    reason = method.lacks(data, model)
    require(bool(reason), f"{case} is not refused: lacks() gives {reason!r}.")
    sentences = re.split(r"[.;:] ", reason or "")
    require(len(sentences) > 1, f"for {case} it does not say what to type instead: {reason}")
    for chain in re.findall(r"chain it: (.+ >> .+)\.", reason or ""):
        parse_method(chain)
    try:
        method.fit(data, model, budget=1)
    except NeedsError as error:
        require(str(reason) in str(error), f"for {case} fit gives another reason than lacks(): {error}")
        return
    require(False, f"it learns from {case}, although lacks() says: {reason}")
