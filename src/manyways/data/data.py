"""Data: a table whose columns have roles, and which of its labels may be seen."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, infer_label_kind, is_missing, places_of, row_ids
from manyways.data.roles import check_roles, did_you_mean
from manyways.data.storage import RowNumbers
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.environments import Environment
    from manyways.data.origin import Origin

TRAINING, VALIDATION, TEST = 0, 1, 2
PARTS = ("training", "validation", "test")
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
    all_ids: NDArray[np.uint64] = field(default_factory=lambda: np.empty((0, 2), np.uint64), repr=False)
    environment: "Environment | None" = None
    origin: "Origin | None" = None
    """Where the rows can be read again; None for what was in memory, or has been given other labels since."""
    numbers: RowNumbers | None = None
    """Which row of its source each row of the table was, where some were left out; None where none was."""

    @staticmethod
    def from_columns(
        columns: Iterable[Column],
        roles: Mapping[str, Sequence[str]],
        *,
        part: NDArray[np.uint8] | None = None,
        name: str = "data",
        source: str = "",
        ignored: Mapping[str, str] | None = None,
        origin: "Origin | None" = None,
        numbers: RowNumbers | None = None,
    ) -> "Data":
        """A table from columns of one length. Raises DataError where roles, lengths or labels do not fit."""
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
        said = [repr(self.name), f"rows={len(self):,}"]
        if self.inputs:
            inputs = ", ".join(f"{column.name}: {column.kind}" for column in self.inputs[:6])
            more = f", … {len(self.inputs) - 6} more" if len(self.inputs) > 6 else ""
            said.append(f"inputs=[{inputs}{more}]")
        for role, names in self.roles.items():
            if role not in ("input", "label"):
                said.append(f"{role}={', '.join(names)}")
        if self.has("label"):
            said.append(f"label={', '.join(self.roles['label'])}, labelled={self.labelled.sum():,}")
        return f"Data({', '.join(said)})"

    # --- columns and roles -------------------------------------------------------------------------

    def has(self, role: str) -> bool:
        """Whether any column has `role`."""
        return bool(self.roles.get(role))

    @property
    def inputs(self) -> list[Column]:
        """The columns with the role `input`."""
        return [self.columns[name] for name in self.roles.get("input", ())]

    def with_inputs(self, names: Sequence[str]) -> "Data":
        """The same rows with the inputs `names` only. Raises DataError for a name that is no input."""
        known = self.roles.get("input", ())
        if lost := [name for name in names if name not in known]:
            raise DataError(
                f"{self.name} has no input {lost[0]!r}; its inputs are {', '.join(known)}."
                f"{did_you_mean(lost[0], known)}"
            )
        return replace(self, roles={**self.roles, "input": tuple(name for name in known if name in names)})

    @property
    def label(self) -> Column:
        """The label column. Raises DataError where there is none, or several; see `labels`."""
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
        """The same rows with `name` as their only label. Raises DataError where it is none of the labels."""
        known = self.roles.get("label", ())
        if name not in known:
            raise DataError(
                f"{self.name} has no label {name!r}; its labels are {', '.join(known)}.{did_you_mean(name, known)}"
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
        return self.all_ids[self.rows]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the rows, their parts, roles, which labels are visible, and what those say."""
        hasher = hashlib.blake2b(digest_size=16)
        hasher.update(repr(sorted(self.roles.items())).encode())
        for array in (self.ids, self.part[self.rows], self.visible[self.rows]):
            hasher.update(np.ascontiguousarray(array).data)
        # Ids keep a row's identity when it is given another label, client or mark, so they do not tell these.
        for name in self.roles.get("label", ()):
            hasher.update(repr(self.take(name)[self.labelled].tolist()).encode())
        if self.environment is not None:
            hasher.update(self.environment.facts.encode())
        for role in ("client", "task", "forget"):
            for name in self.roles.get(role, ()):
                hasher.update(repr(self.take(name).tolist()).encode())
        return hasher.hexdigest()

    @property
    def source_rows(self) -> RowNumbers:
        """Which row of its source each of these rows was, counted from 0."""
        return self.rows if self.numbers is None else self.numbers[self.rows]

    def select(self, which: NDArray[Any]) -> "Data":
        """The rows at positions `which` (numbers or a mask over these rows)."""
        return replace(self, rows=self.rows[which])

    def without(self, ids: NDArray[np.uint64]) -> "Data":
        """A table in which no row has one of `ids` [n, 2], as if they had never been there; equal rows have one id.

        Raises DataError where no row is left.
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
        """Which of these rows have a label that may be seen."""
        return self.visible[self.rows]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which of these rows have a label at all, seen or hidden."""
        labels = self.labels or [self.label]
        return np.asarray(np.any([~label.missing(self.rows) for label in labels], axis=0))

    @cached_property
    def classification(self) -> bool:
        """Whether the label is a category; False where it is a number, and where there are several."""
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

    def hide(self, which: NDArray[Any]) -> "Data":
        """The labels at positions `which` hidden."""
        visible = self.visible.copy()
        visible[self.rows[which]] = False
        return replace(self, visible=visible)

    def reveal(self, which: NDArray[Any]) -> "Data":
        """The labels at positions `which` shown. Raises DataError where the table holds none for a row."""
        rows = self.rows[which]
        if (lost := ~self.select(which).known).any():
            raise DataError(
                f"{int(lost.sum())} of {len(rows)} rows to reveal have no label in {self.name}; give an oracle "
                "that answers for them: ActiveLearning(oracle=my_function)."
            )
        visible = self.visible.copy()
        visible[rows] = True
        return replace(self, visible=visible)

    def with_label_values(self, which: NDArray[Any], labels: NDArray[Any]) -> "Data":
        """The labels at positions `which` set to `labels` and visible (an annotator's, or a model's own)."""
        rows, column = self.rows[which], self.label
        values = np.array(column.values[np.arange(len(column))], copy=True)
        if values.dtype.kind in "US":
            values = values.astype(object)
        values[rows] = labels
        visible = self.visible.copy()
        visible[rows] = True
        columns = {**self.columns, column.name: replace(column, values=values)}
        return replace(self, columns=columns, visible=visible, origin=None)

    def with_labels(self, count: int, seed: int = 0) -> "Data":
        """All labels hidden but a stratified `count` of the training rows; test labels stay.

        Classes get labels in proportion to their rows, and at least one each. Labels of validation rows are
        hidden too: they are labels that somebody would have to give. For a regression the rows are drawn at
        random. Raises DataError where `count` is below 1 or the number of classes, or above the known labels.
        """
        from manyways.data.splits import stratified

        if count < 1:
            raise DataError(f"The number of labels must be at least 1; got {count}.")
        train = np.flatnonzero((self.part[self.rows] == TRAINING) & self.known)
        if count > len(train):
            raise DataError(f"{count} labels asked, but only {len(train)} training rows of {self.name} have one.")
        strata = self.label.take(self.rows[train]) if self.classification else np.zeros(len(train), int)
        chosen = train[stratified(strata, count, seed, ids=self.ids[train], what=f"{count} labels")]
        visible = self.visible.copy()
        visible[self.rows[self.part[self.rows] != TEST]] = False
        visible[self.rows[chosen]] = True
        return replace(self, visible=visible)

    # --- clients -----------------------------------------------------------------------------------

    def with_clients(self, count: int, alpha: float = 0.5, seed: int = 0) -> "Data":
        """Every row given to one of `count` clients, in a new column `client` with that role: to simulate a federation.

        Of each class a client gets a share drawn from a Dirichlet distribution: of `alpha` near 0 a client holds one or
        two classes, of a large one what all hold; clients have unequal numbers of rows, some perhaps none. Without
        classes only the numbers differ. Which client a row gets follows from the row, its class and the seed alone.
        Raises DataError where `count` is below 1 or `alpha` not above 0, or where there are clients already.

        Source: Hsu et al., Measuring the effects of non-identical data distribution (2019); shares of each class over
        the clients, so that their sizes differ, as in Yurochkin et al., ICML 2019.
        """
        from manyways.data.splits import dirichlet_clients

        if count < 1 or not alpha > 0:
            raise DataError(f"Clients must be at least 1 and alpha above 0; got {count} and {alpha}.")
        if self.has("client") or "client" in self.columns:
            taken = self.roles.get("client", ("client",))[0]
            raise DataError(f"{self.name} has a column {taken!r} for clients already; split the data without it.")
        everything = np.arange(len(self.part))
        classes = self.has("label") and self.classification
        strata = self.label.take(everything) if classes else np.zeros(len(everything), int)
        held = dirichlet_clients(strata, count, alpha, seed, ids=self.all_ids)
        columns = {**self.columns, "client": Column("client", "category", held)}
        origin = self.origin.then("with_clients", count=count, alpha=alpha, seed=seed) if self.origin else None
        return replace(self, columns=columns, roles={**self.roles, "client": ("client",)}, origin=origin)

    # --- forgetting --------------------------------------------------------------------------------

    def with_forgotten(self, which: NDArray[Any]) -> "Data":
        """The rows at positions `which` marked as to be forgotten, and no others, in a column with the role `forget`.

        Raises DataError where a column of another role is called forget.
        """
        (name,) = self.roles.get("forget", ("forget",))
        if name in self.columns and not self.has("forget"):
            raise DataError(f"{self.name} has a column 'forget' of another role; give it another name, or its role.")
        marks = np.zeros(len(self.part), bool)
        marks[self.rows[which]] = True
        columns = {**self.columns, name: Column(name, "category", marks)}
        return replace(self, columns=columns, roles={**self.roles, "forget": (name,)})

    @property
    def forgotten(self) -> NDArray[np.bool_]:
        """Which of these rows are to be forgotten: none without a column of that role.

        Raises DataError where its values are not true or false, 1 or 0.
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

    # --- tasks -------------------------------------------------------------------------------------

    def with_tasks(self, count: int, seed: int | None = None, classes: Sequence[Any] | None = None) -> "Data":
        """Every row given to one of `count` tasks by its class, in a new column `task` with that role.

        The classes are divided in their order into tasks 1, 2, …, as evenly as can be ("split" data sets in continual
        learning: Zenke et al., ICML 2017); with a `seed` in another order. `classes` are those to divide, by default
        those of the training rows. Rows without a class, or of another one, belong to none. Raises
        DataError where there are fewer classes than tasks, or less than 1 of these, or where there are tasks already.
        """
        from manyways.data.splits import classes_by_task

        if self.has("task") or "task" in self.columns:
            taken = self.roles.get("task", ("task",))[0]
            raise DataError(f"{self.name} has a column {taken!r} for tasks already; divide the data without it.")
        if not self.classification:
            raise DataError(f"The label {self.label.name!r} of {self.name} is a number; tasks are made of classes.")
        known = self.classes if classes is None else tuple(classes)
        if not 1 <= count <= len(known):
            raise DataError(
                f"{self.name} has {len(known)} classes, which make from 1 to {len(known)} tasks; got {count}."
            )
        task_of = classes_by_task(known, count, seed)
        values = [task_of.get(label) for label in self.label.take(np.arange(len(self.part))).tolist()]
        # A number of its own for every row where it can be: arrays of numbers are smaller than those of objects.
        held: NDArray[Any] = np.array(values, object if None in values else np.int64)
        columns = {**self.columns, "task": Column("task", "category", held)}
        # The classes themselves: read again, with other rows or parts, the data might have others.
        again = {"count": count, "seed": seed, "classes": list(known)}
        origin = self.origin.then("with_tasks", **again) if self.origin else None
        return replace(self, columns=columns, roles={**self.roles, "task": ("task",)}, origin=origin)

    # --- parts -------------------------------------------------------------------------------------

    def with_part(self, part: int, share: float, seed: int = 0) -> "Data":
        """A `share` of the training rows moved into `part`, stratified over their labels where they have some.

        Rows without a label stay where any has one. Raises DataError if none is left.
        """
        from manyways.data.splits import stratified

        if not 0 < share < 1:
            raise DataError(f"The share of {PARTS[part]} rows must be in (0, 1); got {share}.")
        labelled = self.has("label")
        candidates = np.flatnonzero((self.part[self.rows] == TRAINING) & (self.known if labelled else True))
        count = round(share * len(candidates))
        if count == 0 or count == len(candidates):
            kind = "labelled " if labelled else ""
            raise DataError(f"{self.name} has {len(candidates)} {kind}rows: too few for a {PARTS[part]} part.")
        by_class = labelled and self.classification
        strata = self.label.take(self.rows[candidates]) if by_class else np.zeros(len(candidates), int)
        chosen = candidates[stratified(strata, count, seed, ids=self.ids[candidates], what="a split", each=0)]
        moved = self.part.copy()
        moved[self.rows[chosen]] = part
        return replace(self, part=moved)

    def with_test(self, share: float = 0.2, seed: int = 0) -> "Data":
        """A `share` of the training rows set aside as test rows; see `with_part`."""
        return self.with_part(TEST, share, seed)

    def with_test_classes(self, share: float = 0.2, seed: int = 0) -> "Data":
        """All training rows of a `share` of the classes set aside as test rows: classes that a model never sees.

        One class is set aside at least, and two stay; rows without a label stay, too. Which classes follows from their
        names and the seed. Raises DataError where `share` is not in (0, 1), for a regression, and for fewer than three
        classes.
        """
        if not 0 < share < 1:
            raise DataError(f"The share of test classes must be in (0, 1); got {share}.")
        if not self.classification or len(self.classes) < 3:
            what = f"{len(self.classes)} classes" if self.classification else "numbers, no classes"
            raise DataError(f"{self.name} has {what}; three are the least of which some can be set aside for testing.")
        count = min(max(1, round(share * len(self.classes))), len(self.classes) - 2)
        keys = {name: hashlib.blake2b(f"{seed}:{name!r}".encode()).digest() for name in self.classes}
        chosen = set(sorted(self.classes, key=keys.__getitem__)[:count])
        labels = self.take(self.label.name).tolist()
        rows = self.rows[(self.part[self.rows] == TRAINING) & np.array([label in chosen for label in labels], bool)]
        moved = self.part.copy()
        moved[rows] = TEST
        return replace(self, part=moved)

    def with_validation(self, share: float = 0.1, seed: int = 0) -> "Data":
        """A `share` of the training rows set aside for early stopping; see `with_part`."""
        return self.with_part(VALIDATION, share, seed)

    def with_some_as_test(self, share: float = 0.2, seed: int = 0) -> "Data":
        """A `share` of the training rows as test rows: the last of those with a time and of pieces of a text, or drawn.

        Where rows have a time a model must tell the later ones, as it will have to when it is used.
        """
        if self.has("time"):
            return self.with_last_as_test(share)
        texts = self.roles.get("text", ())
        pieces = tuple(self.roles) == ("text",) and all(str(value).endswith("\n") for value in self.take(texts[0])[:2])
        return self.with_last_as_test(share) if pieces else self.with_test(share, seed)

    def with_last_as_test(self, share: float = 0.1) -> "Data":
        """The last `share` of the training rows, by their time or else in their order, as test rows.

        Raises DataError where `share` is not in (0, 1), or too few rows are there for it, and for times that are
        missing or cannot be read.
        """
        from manyways.data.times import moments

        if not 0 < share < 1:
            raise DataError(f"The share of test rows must be in (0, 1); got {share}.")
        train = np.flatnonzero(self.part[self.rows] == TRAINING)
        count = round(share * len(train))
        if not 0 < count < len(train):
            raise DataError(
                f"{self.name} has {len(train)} training rows, so a share of {share} leaves nothing to test on or to "
                "learn from. Give rows to test on: test=…."
            )
        if self.has("time"):
            times = moments(self.columns[self.roles["time"][0]], self.rows[train])
            train = train[np.argsort(times, kind="stable")]
        moved = self.part.copy()
        moved[self.rows[train[-count:]]] = TEST
        return replace(self, part=moved)


def by_kind(value: Any) -> tuple[str, Any]:
    """What classes are sorted by: those of one type among themselves, as a number and a word have no order."""
    return str(type(value)), value


def with_label_kind(column: Column) -> Column:
    """`column` with the kind that its values have as a label: category, or number for a regression."""
    return replace(column, kind=infer_label_kind(np.asarray(column.values[np.arange(len(column))])))
