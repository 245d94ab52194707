"""Forgetting: which of a model's rows are taken out of it, and what is left of the data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.method import Learned, Method
from manyways.models.lineage import Lineage, machine
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run

Ids = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Forgetting:
    """The forget set of one model: what is taken out of it.

    rest: the data without the rows to be forgotten. gone: those of them that shaped the model. left: of the rows that
    stay, in the order of `rest`, their places among those that shaped the model. budget, seed: as it was made with.
    """

    rest: Data
    gone: Data
    left: NDArray[np.int64]
    budget: Budget
    seed: int


def forgetting(
    method: Method,
    model: Model,
    data: Data,
    rows: NDArray[np.bool_],
    shaping: NDArray[np.bool_],
    *,
    own: Ids,
    before: Sequence[Lineage],
    budget: Budget | str | int | None = None,
    seed: int | None = None,
) -> Forgetting:
    """The forget set of `method` in `model`, so that it forgets `rows` of `data`.

    shaping: which rows of `data` the method learns from (a mask). own: the ids of the rows that it learned from to make
    the model. before: the lineages of the models that it started from. Rows that did not shape the model are passed
    over; rows forgotten already may be among them.

    Raises:
        NeedsError: Another method made the model, `data` is not what it learned from, the rows shaped a model before
            it, too, or none of them shaped it.
        ParameterError: `rows` is no mask over `data`, or the budget or the seed is another.
    """
    check_mask(data, rows)
    if dict(model.lineage.method) != method.to_json():
        raise NeedsError(
            f"{method} forgets rows of models that it made with the same fields; this one was made by "
            f"{model.lineage.title}. Ask that method to forget."
        )
    kept, forgotten = shaping & ~rows, np.flatnonzero(shaping & rows)
    if np.array_equal(own, data.ids[shaping]):
        left, taken = np.flatnonzero(~rows[shaping]), np.ones(len(forgotten), bool)
    else:  # it has forgotten some already, or the rows stand in another order
        left, taken = _matched(own, data.ids[kept], data.ids[forgotten], data.name)
    if len(left) == len(own):
        raise NeedsError(
            f"There is nothing to forget: none of the {int(rows.sum())} rows shaped {model.lineage.title}."
        )
    if not kept.any():
        raise NeedsError(f"No row would be left for {model.lineage.title} to have learned from. Delete the model.")
    made_with = Budget.of(model.lineage.budget)
    if seed not in (None, model.lineage.seed) or (budget is not None and str(Budget.of(budget)) != str(made_with)):
        raise ParameterError(
            f"budget and seed must be those that the model was made with, {made_with} and {model.lineage.seed}; got "
            f"{budget} and {seed}. Leave them out."
        )
    gone = data.select(forgotten[taken])
    _refuse_earlier(model, gone, before)
    return Forgetting(
        rest=data.select(~rows),
        gone=gone,
        left=left,
        budget=made_with,
        seed=model.lineage.seed,
    )


def remade(method: Method, learned: Learned, task: Forgetting, model: Model, run: Run | None) -> Model:
    """The model that has forgotten, with the lineage that a fit on the rest would give it; `model` is that before."""
    made = method.as_model(learned, task.rest, task.budget, task.seed)
    where = machine((run or Run()).pick_device())
    return replace(made, lineage=replace(made.lineage, plan=model.lineage.plan, machine=where))


def check_mask(data: Data, rows: NDArray[np.bool_]) -> None:
    """Raise ParameterError unless `rows` says for each row of `data` whether it is meant."""
    if not isinstance(rows, np.ndarray) or rows.dtype != bool or rows.shape != (len(data),):
        given = f"{rows.dtype} of shape {rows.shape}" if isinstance(rows, np.ndarray) else repr(rows)
        raise ParameterError(
            f"rows must be a mask over the {len(data):,} rows of {data.name}, an array of True and False; got {given}."
        )


def _matched(own: Ids, kept: Ids, forgotten: Ids, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The places of the `kept` rows among the model's `own`, and which of those `forgotten` are taken out.

    Of equal rows the first stands for the first, and so on.
    """
    _, codes = np.unique(np.concatenate([own, kept, forgotten]), axis=0, return_inverse=True)
    mine, left, named = np.split(codes.ravel(), [len(own), len(own) + len(kept)])
    have, keep, want = (np.bincount(each, minlength=int(codes.max(initial=-1)) + 1) for each in (mine, left, named))
    if strangers := int(np.maximum(keep - have, 0).sum()):
        raise NeedsError(
            f"{strangers:,} of the rows of {name} that are to stay never shaped the model. Give the data that it "
            "learned from; rows it has forgotten already belong to those to be forgotten."
        )
    if lost := int(np.maximum(have - keep - want, 0).sum()):
        raise NeedsError(
            f"{name} lacks {lost:,} of the {len(own):,} rows that shaped the model. Give the data that it learned from."
        )
    place = np.argsort(mine, kind="stable")
    return place[(np.cumsum(have) - have)[left] + _number(left)], _number(named) < (have - keep)[named]


def _number(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each entry how many equal ones come before it."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    out = np.empty(len(codes), np.int64)
    out[order] = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return out


def _refuse_earlier(model: Model, gone: Data, before: Sequence[Lineage]) -> None:
    for parent in before:
        if reached := int((places_of(gone.ids, parent.all_rows()) >= 0).sum()):
            raise NeedsError(
                f"{reached:,} of the {len(gone):,} rows shaped {parent.title}, too, from which {model.lineage.title} "
                "was made. Train that without them, and this on top of it."
            )
