"""Read data from wherever it is into a table whose columns have roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manyways.data.data import Data
from manyways.data.environments import find_environment
from manyways.data.forecasting import Forecasting, origins_of
from manyways.data.inference.bad_rows import handle
from manyways.data.inference.columns import columns_of
from manyways.data.inference.images import resized
from manyways.data.inference.join import joined
from manyways.data.inference.roles import parts_of, roles_of
from manyways.data.inference.sentences import check_lengths, with_sentences
from manyways.data.inference.series_columns import as_series
from manyways.data.inference.spans import with_places, with_starts
from manyways.data.inference.table import Table, like
from manyways.data.inference.values import load, with_labels
from manyways.data.kinds import Kind
from manyways.data.notation import Decimal
from manyways.data.options import OPTIONS, BadRows, check_options
from manyways.data.origin import find_origin
from manyways.data.parts import PARTS, TEST, TRAINING, VALIDATION
from manyways.data.roles import ROLES
from manyways.data.sources import memory
from manyways.data.sources.base import Options
from manyways.errors import DataError, ParameterError, did_you_mean

Names = str | Sequence[str]
Source = Any
"""Whatever `read` reads, or a Data."""


def read(
    source: Any,
    *,
    label: Any = None,
    input: Names | None = None,
    kinds: Mapping[str, Kind] | None = None,
    test: Any = None,
    validation: Any = None,
    part: str | None = None,
    bad_rows: BadRows | Mapping[str, Any] = "refuse",
    image_size: int | tuple[int, int] | None = None,
    image_white: float | None = None,
    sample_rate: int | None = None,
    seconds: float | None = None,
    label_pattern: str | None = None,
    header: bool | None = None,
    decimal: Decimal | None = None,
    environment: Mapping[str, Any] | None = None,
    horizon: int | None = None,
    history: int | None = None,
    season: int | None = None,
    **roles: Names,
) -> Data:
    """Read files, folders, arrays, data frames, Hugging Face data sets or built-in data as a `Data`; row order is kept.

    Where no role of language data (messages, prompt, prompt and completion, chosen and rejected, text) is there, every
    column without another role is an input; columns that cannot tell a model anything are left out, with the reason in
    `Data.ignored`. A row that lacks one of several inputs whole (no file is named, the text is empty, all numbers are
    missing) is no bad row while it has another: it is kept, unless `bad_rows` is "skip", and methods learn from what is
    there or refuse it by name. Whatever could be understood otherwise is in `Data.notes`.

    Args:
        source: A CSV, TSV, JSON Lines, JSON or Parquet file (also .gz), or a folder with train/dev/test files of those;
            running text in a .txt or .md file (also .gz), or a folder of such; parallel text, train.de beside train.en
            (also .gz), or a folder of such; a folder or .zip with a folder per class
            of images or sounds; a folder with a table per task, or a mapping from tasks to tables, where task="…" names
            the column that is to say whose each row is; IDX, .npz and .npy files; a pair (inputs, labels), a mapping of
            columns, an array, tensor or data frame; a Hugging Face Dataset or one on the Hub, `hub:owner/name`;
            `digits`, `breast-cancer`, `wine`, `diabetes`, or `arithmetic` for language models. A Gymnasium id such as
            `CartPole-v1`, an environment, or a function that makes one is read as an environment to act in, which has
            no rows.
        label: Label column, or several; by default the one called `label`; () for none; or an array of labels. A label
            that is None, NaN or empty is unlabelled.
        input: Input column, or several. By default columns called messages, prompt, prompt and completion, or chosen
            and rejected have those roles, and text has its own beside them or alone, without a label.
        kinds: Kinds of columns by name: number, category, text, image or audio.
        test: Source of the test rows.
        validation: Source of the validation rows.
        part: Column that says train, validation or test.
        bad_rows: "refuse" raises an error, "skip" leaves them out, "fill" puts in medians and the category `(missing)`,
            and so does a mapping from columns to the numbers to put in, which are medians for the others. "keep" leaves
            missing numbers and categories as they are, for methods that learn from such rows: gradient-boosting,
            random-forest, linear.
        image_size: Size in pixels; by default that of files, and of arrays that differ, the median, at most 96; of
            arrays their own.
        image_white: White in files of more than 8 bits; by default the largest number of the depth that all need.
        sample_rate: Rate of sounds in Hz; by default the most common, at most 16,000.
        seconds: Length of sounds; by default the 95th percentile, at most 10.
        label_pattern: Regular expression for whole file names without ending, whose named groups become columns.
        header: True if a CSV or TSV has one; by default its first row tells.
        decimal: Mark before the fraction in numbers of a text file, "." or ",", where these leave it open.
        environment: Options of an environment that is named by its id.
        horizon: Number of values ahead that are forecast of the label, a series in time. Each row is then a forecast
            origin: what a model sees are the `history` of the series, of the other numbers beside it and the calendar,
            and the label is the next `horizon` values. Needs time=…; several series are several labels, or told apart
            by a column of the role group. Times must follow each other in equal steps.
        history: Number of values before, from which a forecast is made; by default two seasons or four horizons, what
            is more.
        season: Number of steps of the season; by default 24 of hours, 7 of days, 52 of weeks, 12 of months.
        **roles: Columns of other roles: task, client, time, subject, group, forget, difficulty, weight, prompt,
            completion, messages (conversations: lists of {"role": …, "content": …}, or their JSON), text, chosen,
            rejected.

    Returns:
        The rows as a table whose columns have roles.

    Raises:
        DataError: The data cannot be read.
        ParameterError: An option or a role is unknown or out of its range.
    """
    if (found := find_environment(source, environment)) is not None:
        _refuse_roles(found.name, {"label": label, "input": input, "test": test, "validation": validation, **roles})
        return Data.of_environment(found)
    if environment is not None:
        raise ParameterError(
            f"environment={dict(environment)!r} are options of an environment, and {source!r} is none; name one, such "
            "as 'FrozenLake-v1'."
        )
    options = {
        "kinds": kinds, "test": test, "validation": validation, "part": part, "bad_rows": bad_rows,
        "image_size": image_size, "image_white": image_white, "sample_rate": sample_rate, "seconds": seconds,
        "label_pattern": label_pattern, "header": header, "decimal": decimal, "horizon": horizon, "history": history,
        "season": season,
    }  # fmt: skip
    return _read(source, {"label": label, "input": input, **roles}, options, NOTHING_KNOWN)


@dataclass(frozen=True)
class Known:
    """Knowledge that a model has of columns before rows are read: their kinds, and which of them are labels.

    Rows need have none of these columns; those that they have are of that kind.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    open: bool = False
    """True to have forecast origins whose future is not known."""


NOTHING_KNOWN = Known()


def read_as(source: Any, known: Known, **options: Any) -> Data:
    """Read `source` as `read` does with the same `options`, its columns of the kinds that a model knows."""
    roles = {name: value for name, value in options.items() if name not in OPTIONS}
    return _read(source, roles, {**dict.fromkeys(OPTIONS), "bad_rows": "refuse", **options}, known)


def _read(source: Any, roles: Mapping[str, Any], settings: Mapping[str, Any], known: Known) -> Data:
    """The rows of `source` with `roles`, None where none is named, and the options `settings`."""
    label, bad_rows, kinds, part = roles.get("label"), settings["bad_rows"], settings["kinds"] or {}, settings["part"]
    names = {**roles, "label": () if memory.is_values(label) else label}
    given = {role: _names(role, value) for role, value in names.items() if value is not None}
    check_options(settings)
    labels = given.get("label", known.labels or ("label",))
    options = Options(
        {**known.kinds, **kinds},
        "fill" if isinstance(bad_rows, Mapping) else bad_rows,
        settings["image_size"],
        settings["sample_rate"],
        settings["seconds"],
        settings["label_pattern"],
        settings["header"],
        settings["decimal"],
        settings["image_white"],
        labels=labels,
        wanted=frozenset([*(name for names in given.values() for name in names), *([part] if part else [])]),
        task=next(iter(given.get("task", ())), None),
    )
    table = load(source, options)
    if memory.is_values(label):
        table = with_labels(table, memory.as_values(label), options)
        given["label"] = ("label",)
    elif "label" not in given and (found := [name for name in known.labels if name in table.columns]):
        given["label"] = tuple(found)
    table = resized(_with_parts(table, settings["test"], settings["validation"], options), options.image_size)
    table, parts = parts_of(table, part, given)
    table = with_starts(with_sentences(table, given, options.kinds), given, options.kinds)
    ignored = dict(table.ignored)
    if ahead := settings["horizon"]:
        options = as_series(table, given, options)
    given = roles_of(table, given, ignored, kinds, options.kinds, may_lack_input=ahead is not None)
    columns, notes = columns_of(table, given, options, known.kinds)
    check_lengths(columns, given)
    columns = with_places(columns, given)
    fills = bad_rows if isinstance(bad_rows, Mapping) else None
    if lost := [name for name in fills or () if name not in columns]:
        raise DataError(
            f"{table.source} has no column {lost[0]!r} to fill; those that are read are {', '.join(columns)}."
            f"{did_you_mean(str(lost[0]), columns)}"
        )
    unread = [f"{name}: {why}" for name, why in table.ignored.items() if name.startswith("*")]
    columns, kept, left_out = handle(
        columns,
        given,
        part=parts,
        undecoded=table.bad,
        bad_rows=options.bad_rows,
        where=table.source,
        fills=fills,
        unread=f" Besides, {'; '.join(unread)}." if unread else "",
    )
    if left_out:
        notes["bad rows"] = left_out
    decimal = next((column.decimal for column in table.columns.values() if column.decimal), options.decimal)
    repeatable = {**settings, "kinds": dict(options.kinds) or None, "decimal": decimal}
    origin = None if memory.is_values(label) else find_origin(source, repeatable, columns, given)
    if ahead:
        forecasting = Forecasting(ahead, settings["history"], settings["season"], known.open)
        dates = given.get("time", ("",))[0] in [name for name, column in table.columns.items() if column.dates]
        origins = origins_of(columns, given, parts[kept], np.asarray(kept, np.int64), forecasting, dates=dates)
        return Data.from_columns(
            origins.columns,
            origins.roles,
            part=origins.part,
            name=table.name,
            source=table.source,
            ignored=ignored,
            notes={**table.notes, **notes, **origins.notes},
            origin=origin and origin.of_columns(origins.columns),
            numbers=origins.numbers,
        )
    return Data.from_columns(
        columns.values(),
        given,
        part=parts[kept],
        name=table.name,
        source=table.source,
        ignored=ignored,
        notes={**table.notes, **notes},
        origin=origin,
        numbers=None if len(kept) == len(parts) else kept,
    )


def _refuse_roles(name: str, given: Mapping[str, Any]) -> None:
    if named := [role for role, value in given.items() if value is not None]:
        raise ParameterError(f"{name} is an environment: it has no columns and no rows, so leave {named[0]}=… out.")


def _names(role: str, value: Any) -> tuple[str, ...]:
    if role not in ROLES:
        raise ParameterError(
            f"read has no option or role {role!r}; roles are {', '.join(ROLES)}, options are "
            f"{', '.join(OPTIONS)}.{did_you_mean(role, [*ROLES, *OPTIONS])}"
        )
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        also = ", or an array of labels" if role == "label" else ""
        raise ParameterError(f"{role} must be a column name or a sequence of column names{also}; got {value!r}.")
    return tuple(names)


def _with_parts(table: Table, test: Any, validation: Any, options: Options) -> Table:
    tables = [(TRAINING, table)]
    for part, source in ((VALIDATION, validation), (TEST, test)):
        if source is None:
            continue
        if table.part is not None and (table.part == part).any():
            raise DataError(
                f"{table.source} has {PARTS[part]} rows of its own, and {PARTS[part]}=… gives others; choose one."
            )
        tables.append((part, load(source, like(options, table))))
    return table if len(tables) == 1 else joined(tables, table.name, table.source, options.labels)


def as_data(source: Source) -> Data:
    """`source` if it is a Data already, else what `read` makes of it."""
    return source if isinstance(source, Data) else read(source)
