"""What a method may need of the data, and how to say what is missing."""

from collections.abc import Callable, Iterable
from functools import partial, reduce

import numpy as np

from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.data.presence import lacking_rows, named, said_of_rows
from manyways.data.spaces import Choices
from manyways.data.tasks import Tasks
from manyways.errors import DataError
from manyways.models.language.judgements import desirable

NEEDS: dict[str, str] = {
    "input": "an input column",
    "inputs": "several inputs",
    "paired": "two inputs that belong together",
    "label": "some rows with a label",
    "labels": "several labels",
    "classes": "a label that is a category",
    "unlabelled": "rows without a label",
    "client": "who holds each row",
    "forget": "which rows are to be forgotten",
    "weight": "how much each row counts",
    "difficulty": "how hard each row is",
    "examples": "labels, answers or running text",
    "task": "which task each row belongs to",
    "text": "running text",
    "answers": "prompts with completions, or conversations",
    "pairs": "a chosen and a rejected answer",
    "judged": "answers judged desirable or not",
    "prompts": "prompts to answer",
    "environment": "an environment to act in",
    "states": "an environment with states and actions to count",
}
"""The words of `Method.needs` and what they mean."""

HEEDED = ("weight", "difficulty")
"""Roles that change how rows are learned from: a method that heeds one names it among its needs."""


def lacking(needs: Iterable[str], data: Data) -> str | None:
    """The first need that `data` does not meet, with what to type instead; None if all are met."""
    wanted = tuple(needs)
    if data.environment is not None and (reason := _other_than_acting(wanted, data)):
        return reason
    if wanted and not data.columns and data.environment is None:
        return f"{' and '.join(NEEDS[need] for need in wanted)} are needed, and no data is given. Name it: fit(data)."
    for need in wanted:
        if reason := _CHECKS[need](data):
            return reason
    return None


def unused(needs: Iterable[str], data: Data) -> str | None:
    """Which role of `data` changes how rows are learned from, and is not heeded by a method of these `needs`."""
    for role in set(HEEDED) & set(data.roles) - set(needs):
        (name,) = data.roles[role]
        return (
            f"it does not heed the role {role}, which the column {name!r} has. Read the data without that role, and "
            "name the inputs: input=[…]."
        )
    return None


def lacking_inputs(data: Data, *, some_may_lack: bool) -> str | None:
    """Which rows to learn from lack an input, with what to type instead; None if none does.

    some_may_lack: rows may, as long as they have one of their inputs.
    """
    learned_from = data.part[data.rows] != TEST
    found = {name: rows[learned_from[rows]] for name, rows in lacking_rows(data).items()}
    found = {name: rows for name, rows in found.items() if len(rows)}
    groups = modalities(data.inputs)
    if some_may_lack and found:
        empty = reduce(np.intersect1d, found.values()) if len(found) == len(groups) else np.empty(0, np.int64)
        found = dict.fromkeys(found, empty) if len(empty) else {}
    if not found:
        return None
    count = int(learned_from.sum())
    said = [f"{said_of_rows(rows, count)} have nothing in {named(groups[name])}" for name, rows in found.items()]
    fill = ', or put medians in place: bad_rows="fill"' if "table" in found else ""
    others = "" if some_may_lack else " Fusion and supervised learn from what is there."
    return (
        f'an input of each row is needed, and {"; ".join(said)}. Leave those rows out: bad_rows="skip"{fill}.{others}'
    )


def _input(data: Data) -> str | None:
    if data.inputs:
        return None
    return f'an input is needed, and no column has that role. Name it: input="…" with one of {", ".join(data.columns)}.'


def _inputs(data: Data) -> str | None:
    groups = modalities(data.inputs)
    if not groups:
        return _input(data)
    if len(groups) > 1:
        return None
    ((name, columns),) = groups.items()
    what = f"one table ({named(columns)})" if name == "table" else f"one ({named(columns)})"
    texts = [each for each, why in data.ignored.items() if "names each row" in why]
    hint = f' If {texts[0]!r} describes a row: kinds={{"{texts[0]}": "text"}}.' if texts else ""
    return f"several inputs are needed, such as images and text, and there is {what}.{hint} From one learns supervised."


def _paired(data: Data) -> str | None:
    groups = modalities(data.inputs)
    if len(groups) == 2:
        return None
    if reason := _inputs(data):
        return reason.replace("several inputs", "two inputs", 1)
    names = [columns[0].name for columns in groups.values()]
    return (
        f"two inputs that belong together are needed, and there are {len(groups)}: "
        f"{', '.join(named(columns) for columns in groups.values())}. Name two: input=({names[0]!r}, {names[1]!r})."
    )


def _label(data: Data) -> str | None:
    if not data.has("label"):
        columns = ", ".join(data.columns)
        return f'labels are needed, and no column has that role. Name it: label="…" with one of {columns}.'
    if len(data.labels) > 1:
        names = ", ".join(column.name for column in data.labels)
        return (
            f"one label is needed, and {len(data.labels)} columns have that role ({names}). Name one: "
            f'label="{data.labels[0].name}"; several at once learns multi-task.'
        )
    if not data.training.labelled.any():
        return f"labels are needed, and no training row has one in {data.label.name!r}. Label some rows."
    return None


def _labels(data: Data) -> str | None:
    several = len(data.labels) > 1
    if several and data.training.labelled.any():
        return None
    if several:
        names = ", ".join(column.name for column in data.labels)
        return f"labels are needed, and no training row has one in {names}. Label some rows."
    having = f"only {data.label.name!r} has" if data.labels else "no column has"
    one = " One alone learns supervised." if data.labels else ""
    return f'several labels are needed, and {having} that role. Name them: label=("…", "…").{one}'


def _classes(data: Data) -> str | None:
    if reason := _label(data):
        return reason
    if data.classification:
        return None
    name = data.label.name
    return (
        f"classes are needed, and the label {name!r} is a number. If its values are classes: "
        f'kinds={{"{name}": "category"}}.'
    )


def _unlabelled(data: Data) -> str | None:
    if not data.has("label") or not data.training.labelled.all():
        return None
    return (
        "rows without a label are needed, and every training row has one. Add unlabelled rows, or hide labels: "
        "data.with_labels(40)."
    )


def _client(data: Data) -> str | None:
    if not data.has("client"):
        return (
            f'who holds each row is needed, and no column has the role client. Name it: client="…" with one of '
            f"{_columns(data)}; to simulate clients: data.with_clients(10)."
        )
    (name,) = data.roles["client"]
    rows = data.training
    if lost := int(rows.columns[name].missing(rows.rows).sum()):
        return (
            f"who holds each row is needed, and {lost:,} of {len(rows):,} training rows have nothing in {name!r}. Say "
            "who holds them, or leave them out."
        )
    return None


def _forget(data: Data) -> str | None:
    if not data.has("forget"):
        return (
            'which rows are to be forgotten must be said, and no column has the role forget. Name it: forget="…" with '
            f"one of {_columns(data)}; or mark them: data.with_forgotten(rows)."
        )
    try:
        marked = data.training.forgotten
    except DataError as error:
        return str(error)
    if not marked.any() or marked.all():
        said = "all" if marked.any() else "none"
        return (
            f"some rows are to be forgotten and others to stay, and {said} of the {len(marked):,} training rows are "
            "marked. Mark others: data.with_forgotten(rows)."
        )
    return None


def _examples(data: Data) -> str | None:
    if data.has("text") or _answers(data) is None:
        return None
    return _label(data)


def _heeded(role: str, data: Data) -> str | None:
    if data.has(role):
        return None
    return (
        f'{NEEDS[role]} is needed, and no column has the role {role}. Name it: {role}="…" with one of {_columns(data)}.'
    )


def _task(data: Data) -> str | None:
    if not data.has("task"):
        return (
            "which task each row belongs to is needed, and no column has the role task. Name it: "
            f'task="…" with one of {_columns(data)}; to make tasks of classes: data.with_tasks(5).'
        )
    if not data.has("label") or not data.training.labelled.any():
        return None
    try:
        tasks = Tasks.of(data)
    except DataError as error:
        return str(error)
    if len(tasks) > 1:
        return None
    return (
        f"two tasks or more are needed, and all labelled training rows are of {tasks.names[0]!r} in {tasks.column!r}. "
        "Add rows of others, or learn it by supervised."
    )


def _text(data: Data) -> str | None:
    if data.has("text") or any(column.kind == "text" for column in data.inputs):
        return None
    return f'running text is needed, and no column has that role. Name it: text="…" with one of {_columns(data)}.'


def _answers(data: Data) -> str | None:
    if data.has("messages") or (data.has("prompt") and data.has("completion")):
        return None
    return (
        'answers are needed: a conversation, or prompts with completions. Name the columns: messages="…", or '
        f'prompt="…" and completion="…", out of {_columns(data)}.'
    )


def _pairs(data: Data) -> str | None:
    if data.has("chosen") and data.has("rejected"):
        return None
    return (
        "pairs of answers are needed, of which one is preferred. Name their columns: "
        f'chosen="…" and rejected="…", out of {_columns(data)}.'
    )


def _judged(data: Data) -> str | None:
    if data.has("chosen") and data.has("rejected"):
        return None
    if not (data.has("label") and (data.has("completion") or data.has("messages"))):
        return (
            'answers judged desirable or not are needed. Name their columns: completion="…" and label="…", which is '
            f'true where they are desirable; or chosen="…" and rejected="…", out of {_columns(data)}.'
        )
    if reason := _label(data):
        return reason
    shown = data.training.select(data.training.labelled)
    good, name = desirable(shown), data.label.name
    if good is None:
        found = ", ".join(repr(value) for value in data.classes[:4])
        return (
            f"the label {name!r} must be true where an answer is desirable and false where it is not (or 1 and 0); it "
            f'holds {found}. Translate it, or name another column: label="…".'
        )
    if good.all() or not good.any():
        kinds = "desirable" if good.all() else "undesirable"
        return (
            f"desirable and undesirable answers are needed, and all {len(good):,} that are judged are {kinds} by "
            f"{name!r}. Add some of the others; from desirable answers alone learns sft."
        )
    return None


def _prompts(data: Data) -> str | None:
    if data.has("prompt") or data.has("messages"):
        return None
    return f'prompts are needed, and no column has that role. Name it: prompt="…" with one of {_columns(data)}.'


def _other_than_acting(wanted: tuple[str, ...], data: Data) -> str | None:
    """Why a method that wants rows cannot learn from an environment."""
    if all(need in ("environment", "states") for need in wanted):
        return None
    return f"it learns from rows, and {data.name} is an environment, which has none. Learn there by acting, with ppo."


def _environment(data: Data) -> str | None:
    if data.environment is None:
        return (
            f"an environment to act in is needed, and {data.name} is a table. Name one in its place: the id of a "
            "Gymnasium environment, such as CartPole-v1."
        )
    try:
        _ = data.environment.spaces
    except DataError as error:
        return str(error)
    return None


def _states(data: Data) -> str | None:
    if (reason := _environment(data)) or data.environment is None:
        return reason
    for what, space in zip(("observations", "actions"), data.environment.spaces, strict=True):
        if not isinstance(space, Choices):
            return (
                f"{what} that can be counted (Discrete) are needed, and those of {data.name} are {space}. Learn there "
                "with ppo."
            )
    return None


def _columns(data: Data) -> str:
    return ", ".join(data.columns) or "no columns"


_CHECKS: dict[str, Callable[[Data], str | None]] = {
    "input": _input,
    "inputs": _inputs,
    "paired": _paired,
    "label": _label,
    "labels": _labels,
    "classes": _classes,
    "unlabelled": _unlabelled,
    "client": _client,
    "forget": _forget,
    "weight": partial(_heeded, "weight"),
    "difficulty": partial(_heeded, "difficulty"),
    "examples": _examples,
    "task": _task,
    "text": _text,
    "answers": _answers,
    "pairs": _pairs,
    "judged": _judged,
    "prompts": _prompts,
    "environment": _environment,
    "states": _states,
}
