"""Promises about what a model says of rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import ModelError
from manyways.methods.chain import Chain
from manyways.metrics import METRICS, plain_metric
from manyways.models.abilities import ABILITIES
from manyways.testing.trial import PREDICTS, Trial, answers, answers_prompts, require, skip


def gives_what_it_says(trial: Trial) -> None:
    """The model gives what the class says it gives, and nothing that it does not say."""
    model, method = trial.reference, trial.method
    stated = method.stages[-1].gives if isinstance(method, Chain) else method.gives
    require(model.gives <= stated, f"the model gives {sorted(model.gives - stated)} on top.")
    require(bool(model.gives), "the model gives nothing.")
    test = trial.data.test
    if "classify" not in model.gives:
        _refused(lambda: model.probabilities(test), "probabilities")
    if "generate" not in model.gives:
        _refused(lambda: model.generate("a"), "generate")
    if not model.gives & PREDICTS and not answers_prompts(model, test):
        _refused(lambda: model.predict(test), "predict")
        return
    predicted = model.predict(test)
    require(len(predicted) == len(test), f"it makes {len(predicted)} predictions for {len(test)} rows.")
    for numbers in _numbers_in(predicted) if model.gives & {"regress", "labels"} else []:
        require(bool(np.isfinite(numbers.astype(float)).all()), "predicted numbers are not finite.")


def _numbers_in(predicted: NDArray[Any]) -> list[NDArray[Any]]:
    """The numbers among predictions of one label or, in fields, of several."""
    if predicted.dtype.names is None:
        return [predicted]
    return [predicted[name] for name in predicted.dtype.names if predicted[name].dtype.kind == "f"]


def scores_are_finite(trial: Trial) -> None:
    """Where it can be scored, its scores are finite, and the one that says how good it is, is among them."""
    model, test = trial.reference, trial.data.test
    metric = model.metric_on(test)
    if metric is None or (model.predicts and not (test.has("label") and test.known.any())):
        skip("no metric says how good it is on its example")
    scores = model.evaluate(test)
    require(metric in scores, f"{metric} says how good it is, but evaluate gives {', '.join(scores)}.")
    bad = {name: score for name, score in scores.items() if not np.isfinite(score)}
    require(not bad, f"they are not: {bad}.")
    unknown = set(map(plain_metric, scores)) - set(METRICS)
    require(not unknown, f"of {', '.join(sorted(unknown))} nobody knows whether more is better.")


def it_has_the_verbs_of_its_abilities(trial: Trial) -> None:
    """A model has every verb of the abilities that it says it has."""
    model = trial.reference
    for ability in ABILITIES.all().values():
        verbs = ", ".join(sorted(ability.verbs))
        kept = not ability.given_by(model) or isinstance(model, ability.protocol)
        require(kept, f"it gives {', '.join(sorted(model.gives))}, and lacks a verb of {ability.name!r}: {verbs}.")


def probabilities_are_probabilities(trial: Trial) -> None:
    """Probabilities are finite, in [0, 1], sum to one, and their largest is the class that is predicted."""
    model = trial.reference
    if "classify" not in model.gives or model.target is None:
        skip("its model gives no classes")
    given = model.probabilities(trial.data.test)
    shape = (len(trial.data.test), len(model.target.classes))
    require(given.shape == shape, f"they have the shape {given.shape}, not {shape}.")
    require(bool(((given >= 0) & (given <= 1)).all()), f"they range from {given.min()} to {given.max()}.")
    worst = float(np.abs(given.sum(1) - 1).max())
    require(worst < 1e-5, f"they are {worst:.3g} away from a sum of one.")
    agree = model.predict(trial.data.test) == np.asarray(model.target.classes)[given.argmax(1)]
    require(bool(np.all(agree)), f"{int((~agree).sum())} predictions are not the most probable class.")


def features_are_finite(trial: Trial) -> None:
    """Features are finite and float32 [rows, width]."""
    model = trial.reference
    if "embed" not in model.gives:
        skip("its model gives no features")
    given = model.embed(trial.data.test)
    rows, width = len(trial.data.test), model.as_predictor(trial.data).network.width
    fits = given.shape == (rows, width) or (given.ndim == 2 and len(given) == rows and "retrieve" in model.gives)
    require(fits, f"they have the shape {given.shape}, not {(rows, width)}.")
    require(given.dtype == np.float32, f"they are {given.dtype}.")
    require(bool(np.isfinite(given).all()), "some are not finite.")
    require(bool(given.std(0).max() > 0), "they are the same for every row.")


def rows_are_answered_alone(trial: Trial) -> None:
    """Answers to a row do not depend on the rows asked with it, nor on their order."""
    model, rows = trial.reference, trial.data.test
    together = answers(model, rows)
    backwards = answers(model, rows.select(np.arange(len(rows))[::-1]))
    for name, answer in together.items():
        _alike(answer, backwards[name][::-1], f"{name} of rows in another order")
        some = range(0, len(rows), 12)
        alone = np.concatenate([answers(model, rows.select(np.array([row])))[name] for row in some])
        _alike(answer[list(some)], alone, f"{name} of rows asked one by one")
    none = answers(model, rows.select(np.array([], int)))
    for name, answer in none.items():
        shape = (0, *together[name].shape[1:])
        require(answer.shape == shape, f"for no rows the {name} have the shape {answer.shape}, not {shape}.")


def _alike(first: NDArray[Any], second: NDArray[Any], what: str) -> None:
    if first.dtype == object:
        others = int((first != second).sum())
        # Of two tokens that are as good as equally probable, rounding may choose the other.
        require(others <= 1, f"{others} of {len(first)} {what} are others.")
        return
    furthest = float(np.abs(first - second).max())
    allowed = 1e-4 * (1 + float(np.abs(first).max()))
    require(furthest <= allowed, f"the {what} differ by up to {furthest:.3g}.")


def _refused(ask: Any, what: str) -> None:
    try:
        ask()
    except ModelError:
        return
    require(False, f"{what}() is answered by a model that does not give it; it must raise ModelError.")
