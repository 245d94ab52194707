"""Needs of columns that put rows into groups: clients, tasks, rows to be forgotten; and of what a row counts for."""

from manyways.data.data import Data
from manyways.data.domains import Domains
from manyways.data.tasks import Tasks
from manyways.errors import DataError
from manyways.methods.needs.base import Need, column_with_role, columns_of


def _client(data: Data) -> str | None:
    if not data.has("client"):
        return (
            'it needs a client column, and no column has the role client. Name it: client="…" with one of '
            f"{columns_of(data)}; to simulate clients: data.with_clients(10)."
        )
    (name,) = data.roles["client"]
    rows = data.training
    if lost := int(rows.columns[name].missing(rows.rows).sum()):
        return (
            f"it needs a client for each row, and {lost:,} of {len(rows):,} training rows have nothing in {name!r}. "
            "Say who holds them, or leave them out."
        )
    return None


def _task(data: Data) -> str | None:
    if not data.has("task"):
        return (
            'it needs a task column, and no column has the role task. Name it: task="…" with one of '
            f"{columns_of(data)}; to make tasks of classes: data.with_tasks(5)."
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
        f"it needs two tasks or more, and all labelled training rows are of {tasks.names[0]!r} in {tasks.column!r}. "
        "Add rows of others, or learn it by supervised."
    )


def _forget(data: Data) -> str | None:
    if not data.has("forget"):
        return (
            'it needs a column that marks the forget set, and no column has the role forget. Name it: forget="…" with '
            f"one of {columns_of(data)}; or mark them: data.with_forgotten(rows)."
        )
    try:
        marked = data.training.forgotten
    except DataError as error:
        return str(error)
    if not marked.any() or marked.all():
        count = "all" if marked.any() else "none"
        return (
            f"it needs a forget set and a retain set, and {count} of the {len(marked):,} training rows are marked. "
            "Mark others: data.with_forgotten(rows)."
        )
    return None


def _domain(data: Data) -> str | None:
    if not data.has("domain"):
        return (
            'it needs a domain column, and no column has the role domain. Name it: domain="…" with one of '
            f"{columns_of(data)}."
        )
    try:
        domains = Domains.of(data.training)
    except DataError as error:
        return str(error)
    if len(domains.names) > 1:
        return None
    only = f"are of {domains.names[0]!r}" if domains.names else "are none"
    return (
        f"it needs two domains or more, and all training rows {only} in {domains.column!r}. Add rows of another, "
        "without labels; from one domain learns supervised."
    )


Client = Need("client", "a client column", _client)
Task = Need("task", "a task column", _task)
Forget = Need("forget", "a column that marks the rows to be forgotten", _forget)
Weight = Need("weight", "a sample weight for each row", column_with_role("weight", "a sample weight for each row"))
Domain = Need("domain", "rows of two domains or more", _domain)
Difficulty = Need(
    "difficulty", "a difficulty for each row", column_with_role("difficulty", "a difficulty for each row")
)
