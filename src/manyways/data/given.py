"""Roles that rows are given after they were read: few labels, clients, tasks, and what is to be forgotten."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.options import check_number, check_whole
from manyways.data.parts import TEST, TRAINING
from manyways.errors import DataError, ParameterError

if TYPE_CHECKING:
    from manyways.data.data import Data

Draw = Literal["random", "stratified"]
DRAWS: tuple[Draw, ...] = get_args(Draw)


def with_labels(
    data: "Data", count: int, seed: int = 0, *, draw: Draw = "random", allowance: int | None = None
) -> "Data":
    """The same rows with all labels hidden but `count` of the training rows; test labels stay.

    Labels of validation rows are hidden too: they are labels that somebody would have to give. More labels include
    those drawn before by the same seed.

    Args:
        data: The rows.
        count: Number of labels that stay visible.
        seed: Seed of the draw.
        draw: "random", as they come: classes get as many as chance gives them, a rare one perhaps none; "stratified":
            classes get labels in proportion to their rows, and at least one each. Numbers are drawn at random.
        allowance: Number of labels that may be revealed besides; None: what the data allow, which is any by default.

    Raises:
        DataError: `count` is below 1 or above the known labels, or for a stratified draw below the number of classes.
    """
    from manyways.data.splits import LABELS, stratified
    from manyways.data.visibility import paid

    check_whole(count=count, seed=seed)
    if draw not in DRAWS:
        raise ParameterError(f"draw must be one of {', '.join(DRAWS)}; got {draw!r}.")
    if count < 1:
        raise DataError(f"The number of labels must be at least 1; got {count}.")
    train = np.flatnonzero((data.part[data.rows] == TRAINING) & data.known)
    if count > len(train):
        raise DataError(f"{count} labels asked, but only {len(train)} training rows of {data.name} have one.")
    by_class = draw == "stratified" and data.classification
    strata = data.label.take(data.rows[train]) if by_class else np.zeros(len(train), int)
    drawn = stratified(
        strata, count, seed if draw == "stratified" else seed + LABELS, ids=data.ids[train], what=f"{count} labels"
    )  # fmt: skip
    chosen = data.rows[train[drawn]]
    left = paid(data, chosen[~data.visible[chosen]])
    visible = data.visible.copy()
    visible[data.rows[data.part[data.rows] != TEST]] = False
    visible[chosen] = True
    shown = replace(data, visible=visible, allowance=left)
    return shown if allowance is None else shown.with_allowance(allowance)


def with_clients(data: "Data", count: int, alpha: float = 0.5, seed: int = 0) -> "Data":
    """The same rows, each with one of `count` clients in a new column `client` of that role: to simulate a federation.

    Of each class a client gets a share drawn from a Dirichlet distribution; clients have unequal numbers of rows, some
    perhaps none. Without classes only the numbers differ. The client of a row follows from the row, its class and the
    seed alone.

    Args:
        data: The rows.
        count: Number of clients.
        alpha: Concentration of the distribution: near 0 a client holds one or two classes, with a large one what all
            hold.
        seed: Seed of the draw.

    Raises:
        DataError: `count` is below 1 or `alpha` not above 0, or there are clients already.

    Source: Hsu et al., Measuring the effects of non-identical data distribution (2019); shares of each class over
    the clients, so that their sizes differ, as in Yurochkin et al., ICML 2019.
    """
    from manyways.data.splits import dirichlet_clients

    check_whole(count=count, seed=seed)
    check_number(alpha=alpha)
    if count < 1 or not alpha > 0:
        raise DataError(f"Clients must be at least 1 and alpha above 0; got {count} and {alpha}.")
    if data.has("client") or "client" in data.columns:
        taken = data.roles.get("client", ("client",))[0]
        raise DataError(f"{data.name} has a column {taken!r} for clients already; split the data without it.")
    everything = np.arange(len(data.part))
    classes = data.has("label") and data.classification
    strata = data.label.take(everything) if classes else np.zeros(len(everything), int)
    held = dirichlet_clients(strata, count, alpha, seed, ids=data.all_ids)
    columns = {**data.columns, "client": Column("client", "category", held)}
    origin = data.origin.then("with_clients", count=count, alpha=alpha, seed=seed) if data.origin else None
    return replace(data, columns=columns, roles={**data.roles, "client": ("client",)}, origin=origin)


def with_forgotten(data: "Data", which: NDArray[Any]) -> "Data":
    """The same rows with those at positions `which` as the forget set, in a column with the role `forget`.

    Raises:
        DataError: A column of another role is called forget.
    """
    (name,) = data.roles.get("forget", ("forget",))
    if name in data.columns and not data.has("forget"):
        raise DataError(f"{data.name} has a column 'forget' of another role; give it another name, or its role.")
    marks = np.zeros(len(data.part), bool)
    marks[data.rows[which]] = True
    columns = {**data.columns, name: Column(name, "category", marks)}
    return replace(data, columns=columns, roles={**data.roles, "forget": (name,)})


def with_tasks(data: "Data", count: int, seed: int | None = None, classes: Sequence[Any] | None = None) -> "Data":
    """The same rows, each in one of `count` tasks by its class, in a new column `task` with that role.

    The classes are divided in their order into tasks 1, 2, …, as evenly as can be ("split" data sets in continual
    learning: Zenke et al., ICML 2017). Rows without a class, or of another one, belong to none.

    Args:
        data: The rows.
        count: Number of tasks.
        seed: Seed of another order of the classes.
        classes: Classes to divide; by default those of the training rows.

    Raises:
        DataError: There are fewer classes than tasks, or less than one task, or there are tasks already.
    """
    from manyways.data.splits import classes_by_task

    check_whole(count=count, **({} if seed is None else {"seed": seed}))
    if data.has("task") or "task" in data.columns:
        taken = data.roles.get("task", ("task",))[0]
        raise DataError(f"{data.name} has a column {taken!r} for tasks already; divide the data without it.")
    if not data.classification:
        raise DataError(f"The label {data.label.name!r} of {data.name} is a number; tasks are made of classes.")
    known = data.classes if classes is None else tuple(classes)
    if not 1 <= count <= len(known):
        raise DataError(f"{data.name} has {len(known)} classes, which make from 1 to {len(known)} tasks; got {count}.")
    task_of = classes_by_task(known, count, seed)
    values = [task_of.get(label) for label in data.label.take(np.arange(len(data.part))).tolist()]
    # A number of its own for every row where it can be: arrays of numbers are smaller than those of objects.
    held: NDArray[Any] = np.array(values, object if None in values else np.int64)
    columns = {**data.columns, "task": Column("task", "category", held)}
    # The classes themselves: read again, with other rows or parts, the data might have others.
    again = {"count": count, "seed": seed, "classes": list(known)}
    origin = data.origin.then("with_tasks", **again) if data.origin else None
    return replace(data, columns=columns, roles={**data.roles, "task": ("task",)}, origin=origin)
