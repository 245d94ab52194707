"""Data: a table whose columns have roles, and which of its labels may be seen."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data import domains, given, parts, visibility
from manyways.data.columns import Column, places_of, row_ids
from manyways.data.kinds import infer_label_kind
from manyways.data.notation import is_missing
from manyways.data.origin import Origin
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.roles import check_roles
from manyways.data.sample_weights import weights_of
from manyways.data.storage import RowNumbers, is_run
from manyways.data.visibility import LabelMeter
from manyways.errors import DataError, ParameterError, did_you_mean

if TYPE_CHECKING:
    from manyways.data.environments import Environment

TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "1.0": True, "0.0": False}


@dataclass(frozen=True, eq=False)
class Data:
    """Examples as a table whose columns have roles. It is never changed: every operation returns another Data.

    A subset shares its columns with the whole and holds row numbers only. `visible` says for each row of the
    whole table whether its label may be seen, of several labels those that it has; hidden labels stay in the table, so
    that an oracle can reveal them and a comparison can ask what they would have been worth. In place of rows there may
    be an `environment` to act in.
    """

    columns: Mapping[str, Column]
    roles: Mapping[str, tuple[str, ...]]
    part: NDArray[np.uint8]
    visible: NDArray[np.bool_]
    rows: RowNumbers
    name: str = "data"
    source: str = ""
    ignored: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    """Readings of what could be understood otherwise, by column, and what to type if that is wrong."""
    all_ids: NDArray[np.uint64] = field(default_factory=lambda: np.empty((0, 2), np.uint64), repr=False)
    environment: "Environment | None" = None
    origin: Origin | None = None
    """The origin from which rows can be read again; None for what was in memory, or has had other labels since."""
    numbers: RowNumbers | None = None
    """The number of each row of the table in its source, where some were left out; None where none was."""
    allowance: int | None = None
    """The number of labels that may still be revealed; None: no limit."""
    guessed: NDArray[np.bool_] | None = None
    """True for each row of the table whose visible label is a model's guess; None where none is."""
    meter: LabelMeter | None = field(default=None, repr=False)
    """The labels that the fit which these data are within was shown; None outside of one."""

    @staticmethod
    def from_columns(
        columns: Iterable[Column],
        roles: Mapping[str, Sequence[str]],
        *,
        part: NDArray[np.uint8] | None = None,
        name: str = "data",
        source: str = "",
        ignored: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
        origin: Origin | None = None,
        numbers: RowNumbers | None = None,
    ) -> "Data":
        """A table from columns of one length.

        Args:
            columns: Columns, in their order.
            roles: Column names by role; `manyways.data.roles` lists the roles.
            part: Part of each row: 0 training, 1 validation, 2 test; by default all are training rows.
            name: Name of the data in messages and lineages.
            source: Place that they were read from.
            ignored: Columns that were left out, with the reason.
            notes: Readings of what could be understood otherwise, by column.
            origin: Origin from which the rows can be read again.
            numbers: Number of each row in its source, where some were left out.

        Raises:
            DataError: Roles, lengths or labels do not fit, or there are no rows.
        """
        table = {column.name: column for column in columns}
        checked = check_roles(table, roles)
        lengths = {column.name: len(column) for column in table.values()}
        count = next(iter(lengths.values()), 0)
        if count == 0:
            raise DataError(f"{name} has no rows.")
        if len(set(lengths.values())) > 1:
            raise DataError(f"The columns of {name} have different lengths: {lengths}.")
        visible = np.zeros(count, bool)
        for label in checked.get("label", ()):
            visible |= ~table[label].missing(np.arange(count))
        return Data(
            columns=table,
            roles=checked,
            part=np.zeros(count, np.uint8) if part is None else np.asarray(part, np.uint8),
            visible=visible,
            rows=np.arange(count),
            name=name,
            source=source or name,
            ignored=dict(ignored or {}),
            notes=dict(notes or {}),
            all_ids=row_ids(table.values(), count),
            origin=origin,
            numbers=numbers,
        )

    @staticmethod
    def nothing() -> "Data":
        """No columns and no rows: what a method that needs no data learns from."""
        return Data({}, {}, np.zeros(0, np.uint8), np.zeros(0, bool), np.zeros(0, np.int64), name="no data")

    @staticmethod
    def of_environment(environment: "Environment") -> "Data":
        """No rows, but an environment to act in."""
        return replace(Data.nothing(), name=environment.name, source=environment.name, environment=environment)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if self.environment is not None:
            return f"Data({self.name!r}, an environment)"
        facts = [repr(self.name), f"rows={len(self):,}"]
        if self.inputs:
            inputs = ", ".join(f"{column.name}: {column.kind}" for column in self.inputs[:6])
            more = f", … {len(self.inputs) - 6} more" if len(self.inputs) > 6 else ""
            facts.append(f"inputs=[{inputs}{more}]")
        for role, names in self.roles.items():
            if role not in ("input", "label"):
                facts.append(f"{role}={', '.join(names)}")
        if self.has("label"):
            facts.append(f"label={', '.join(self.roles['label'])}, labelled={self.labelled.sum():,}")
        return f"Data({', '.join(facts)})"

    # --- columns and roles -------------------------------------------------------------------------

    def has(self, role: str) -> bool:
        """True if any column has `role`."""
        return bool(self.roles.get(role))

    @property
    def inputs(self) -> list[Column]:
        """The columns with the role `input`."""
        return [self.columns[name] for name in self.roles.get("input", ())]

    def with_inputs(self, names: Sequence[str]) -> "Data":
        """The same rows with the inputs `names` only.

        Raises:
            DataError: A name is no input.
            ParameterError: `names` are no column names.
        """
        known = self.roles.get("input", ())
        names = (names,) if isinstance(names, str) else names
        if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
            raise ParameterError(f"names must be a sequence of column names; got {names!r}.")
        if lost := [name for name in names if name not in known]:
            raise DataError(
                f"{self.name} has no input {lost[0]!r}; its inputs are {', '.join(known)}."
                f"{did_you_mean(lost[0], known)}"
            )
        return replace(self, roles={**self.roles, "input": tuple(name for name in known if name in names)})

    @property
    def label(self) -> Column:
        """The label column; see `labels` where there are several.

        Raises:
            DataError: There is none, or several.
        """
        names = self.roles.get("label", ())
        if len(names) != 1:
            wrong = "no column" if not names else f"{len(names)} columns ({', '.join(names)})"
            raise DataError(
                f'{self.name} has {wrong} with the role label; one is needed: label="…" '
                f"with one of {', '.join(self.columns)}."
            )
        return self.columns[names[0]]

    @property
    def labels(self) -> list[Column]:
        """The columns with the role `label`."""
        return [self.columns[name] for name in self.roles.get("label", ())]

    def with_label(self, name: str) -> "Data":
        """The same rows with `name` as their only label.

        Raises:
            DataError: It is none of the labels.
        """
        known = self.roles.get("label", ())
        if name not in known:
            raise DataError(
                f"{self.name} has no label {name!r}; its labels are {', '.join(known)}.{did_you_mean(str(name), known)}"
            )
        visible = self.visible & ~self.columns[name].missing(np.arange(len(self.visible)))
        return replace(self, roles={**self.roles, "label": (name,)}, visible=visible)

    def take(self, column: str) -> NDArray[Any]:
        """The values of `column` for these rows."""
        return self.columns[column].take(self.rows)

    # --- rows --------------------------------------------------------------------------------------

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The 128-bit content hash of each row, uint64 [rows, 2]."""
        return self.all_ids if len(self.rows) == len(self.all_ids) and is_run(self.rows) else self.all_ids[self.rows]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the rows, their parts, roles, which labels are visible, and what those say."""
        hasher = hashlib.blake2b(digest_size=16)
        hasher.update(repr(sorted(self.roles.items())).encode())
        for array in (self.ids, self.part[self.rows], self.visible[self.rows]):
            hasher.update(np.ascontiguousarray(array).data)
        # Ids keep a row's identity when it is given another label, client or mark, so they do not tell these.
        for name in self.roles.get("label", ()):
            labels = self.take(name)[self.labelled]
            pixels = self.columns[name].of.decoded  # as text they would be many times larger
            hasher.update(np.ascontiguousarray(labels).data if pixels else repr(labels.tolist()).encode())
        if self.environment is not None:
            hasher.update(self.environment.facts.encode())
        for role in ("client", "task", "forget"):
            for name in self.roles.get(role, ()):
                hasher.update(repr(self.take(name).tolist()).encode())
        return hasher.hexdigest()

    @property
    def source_rows(self) -> RowNumbers:
        """The number of each of these rows in its source, counted from 0."""
        return self.rows if self.numbers is None else self.numbers[self.rows]

    def select(self, which: NDArray[Any]) -> "Data":
        """The rows at positions `which` (numbers or a mask over these rows)."""
        return replace(self, rows=self.rows[which])

    def without(self, ids: NDArray[np.uint64]) -> "Data":
        """A table in which no row has one of `ids` [n, 2], as if they had never been there; equal rows have one id.

        Raises:
            DataError: No row is left.
        """
        from manyways.data.sources.rows import select

        kept = places_of(self.all_ids, ids) < 0
        if kept.all():
            return self
        if not kept[self.rows].any():
            raise DataError(f"No row of {self.name} is left without the {len(ids):,} that are to go.")
        chosen, places = np.flatnonzero(kept), np.cumsum(kept) - 1
        columns = {name: each.select(chosen, select(each.values, chosen)) for name, each in self.columns.items()}
        return replace(
            self,
            columns=columns,
            part=self.part[chosen],
            visible=self.visible[chosen],
            guessed=None if self.guessed is None else self.guessed[chosen],
            all_ids=self.all_ids[chosen],
            numbers=chosen if self.numbers is None else self.numbers[chosen],
            rows=places[self.rows[kept[self.rows]]],
        )

    def _only(self, part: int) -> "Data":
        return self.select(self.part[self.rows] == part)

    @property
    def training(self) -> "Data":
        """The rows to learn from."""
        return self._only(TRAINING)

    @property
    def validation(self) -> "Data":
        """The rows that early stopping watches."""
        return self._only(VALIDATION)

    @property
    def test(self) -> "Data":
        """The rows that only scores are computed on."""
        return self._only(TEST)

    # --- labels ------------------------------------------------------------------------------------

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """True for each of these rows whose label may be seen, a true one or a guess."""
        return self.visible[self.rows]

    @property
    def truly_labelled(self) -> NDArray[np.bool_]:
        """True for each of these rows whose label may be seen and is no model's guess."""
        return self.labelled if self.guessed is None else self.labelled & ~self.guessed[self.rows]

    @property
    def known(self) -> NDArray[np.bool_]:
        """True for each of these rows that has a label at all, seen or hidden."""
        labels = self.labels or [self.label]
        return np.asarray(np.any([~label.missing(self.rows) for label in labels], axis=0))

    @cached_property
    def classification(self) -> bool:
        """True if the label is a category; False where it is a number, and where there are several."""
        return len(self.roles.get("label", ())) < 2 and self.label_kind == "category"

    @cached_property
    def label_kind(self) -> str:
        """`category` or `number`: as set by `kinds`, else as the column's values look."""
        return self.label.kind

    @cached_property
    def classes(self) -> tuple[Any, ...]:
        """The distinct labels of the whole table's training rows, hidden ones included, sorted.

        The set of classes is part of the task, not of the labels: a person names the classes before labelling.
        """
        train = np.flatnonzero(self.part == TRAINING)
        values = self.label.take(train)
        return tuple(sorted(set(values[~is_missing(values)].tolist()), key=by_kind))

    @property
    def sample_weights(self) -> NDArray[np.float64] | None:
        """The sample weight of each of these rows, 0 or more; None without a column of the role weight.

        Raises:
            DataError: A weight is missing, infinite or below 0, or all are 0.
        """
        if not self.has("weight"):
            return None
        return weights_of(self)

    @property
    def forgotten(self) -> NDArray[np.bool_]:
        """True for each row of the forget set: none without a column of the role forget.

        Raises:
            DataError: Its values are not true or false, 1 or 0.
        """
        if not self.has("forget"):
            return np.zeros(len(self), bool)
        (name,) = self.roles["forget"]
        words = [str(value).strip().lower() for value in self.take(name).tolist()]
        if strange := sorted(set(words) - TRUTH.keys()):
            raise DataError(
                f"The column {name!r} says which rows are to be forgotten, so it must hold true or false, or 1 or 0; "
                f"got {strange[0]!r}."
            )
        return np.fromiter((TRUTH[word] for word in words), bool, len(words))

    # --- roles and parts, written in files of their own ---------------------------------------------

    hide = visibility.hide
    reveal = visibility.reveal
    with_label_values = visibility.with_label_values
    with_allowance = visibility.with_allowance
    with_labels = given.with_labels
    with_clients = given.with_clients
    with_tasks = given.with_tasks
    with_forgotten = given.with_forgotten
    with_target_domain = domains.with_target_domain

    with_part = parts.with_part
    with_test = parts.with_test
    with_validation = parts.with_validation
    with_test_classes = parts.with_test_classes
    with_some_as_test = parts.with_some_as_test
    with_last_as_test = parts.with_last_as_test


def by_kind(value: Any) -> tuple[str, Any]:
    """The key by which classes are sorted: those of one type among themselves, as a number and a word have no order."""
    return str(type(value)), value


def with_label_kind(column: Column) -> Column:
    """`column` with the kind that its values have as a label: category, or number for a regression."""
    return replace(column, kind=infer_label_kind(np.asarray(column.values[np.arange(len(column))])))
