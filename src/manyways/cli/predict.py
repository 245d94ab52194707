"""`manyways predict`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, Decimal, Pairs, Source, one, pairs, parse, truth
from manyways.cli.output import check_console, check_file, say, say_notes, write_out
from manyways.errors import DataError, ModelError, ParameterError
from manyways.sheet import as_csv

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.models.model import Model


@dataclass(frozen=True)
class Predict:
    """Predict the label of every row with a saved model, or answer its prompt.

    Writes CSV: the number of the row, counted from 0, its prediction and, if asked for, the
    probability of each class; of a model of several labels a column for each. The prediction of a
    language model is what it says to the row's prompt, that of a reward model the score of the
    row's answers.
    """

    model: Annotated[Path, tyro.conf.Positional, arg(metavar="MODEL")]
    """Folder of a model that `manyways fit` saved, or of a language model of transformers or peft."""
    data: Source
    """Rows with the inputs of the model; a label is not needed, and not looked at."""
    role: Pairs = ()
    """Columns that a language model reads, where they have other names: prompt=question."""
    out: Annotated[str, arg(metavar="FILE")] = "-"
    """File of the CSV; - is the terminal. Labels with a structure are written in the format that its ending names:
    .conllu or .conll for tags and trees, .json for boxes, .txt for texts, a folder for masks."""
    beams: int | None = None
    """Sequences that the search for a text follows; 1 takes the most probable token each time, 5 writes better."""
    probabilities: tyro.conf.FlagCreatePairsOff[bool] = False
    """Add a column with the probability of every class."""
    spreadsheet_safe: tyro.conf.FlagCreatePairsOff[bool] = False
    """Put an apostrophe before text that a spreadsheet would compute: what begins with = + - @, a tab or a line end,
    and is no number. Classes, names of columns and what models say may come from anybody."""
    bad_rows: Literal["refuse", "skip", "fill", "keep"] = "refuse"
    """Rows that cannot be used: refuse all, skip them (their numbers are left out of the CSV), fill their gaps with the
    means of the rows that the model learned from and the category (missing), or keep missing numbers and categories."""
    header: Annotated[bool | None, one(truth, "yes or no", "{yes,no}"), UNSAID] = None
    """A CSV or TSV file begins with the names of its columns: yes or no; by default its first row tells."""
    decimal: Decimal = None
    """The mark before the fraction of a number in a CSV or TSV file, where the cells leave it open."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways predict`."""
    options = parse(Predict, "predict", arguments)
    path = None if options.out == "-" else Path(options.out)
    check_file("--out", path)
    from manyways.data.targets import StructuredTarget
    from manyways.models.saving import load_model
    from manyways.models.structured import StructuredPredictor
    from manyways.whole import write_whole

    model = load_model(options.model)
    if options.beams is not None:
        if not isinstance(model, StructuredPredictor):
            raise ModelError(f"{options.model} writes no text, so there is nothing to search for; leave --beams out.")
        model = model.searching(options.beams)
    if options.probabilities and not (model.target and model.target.probabilistic):
        several = model.predicts and model.target is None
        why = "several labels, each with probabilities of its own" if several else "no classes, so there are none"
        raise ModelError(f"{options.model} predicts {why}; leave --probabilities out.")
    if path is not None and isinstance(model.target, StructuredTarget):
        check_ending(path, model.target.endings)
    data = read_rows(model, options)
    say_notes(data, left_out=False)
    if path is not None and isinstance(model.target, StructuredTarget) and path.suffix in model.target.endings:
        model.target.write(data, model.predict(data), path)
        say(f"{len(data):,} predictions: {path}")
        return 0
    text = as_csv(rows(model, data, options.probabilities), options.spreadsheet_safe)
    if path is None:
        check_console(text)
        write_out(text)
    else:
        write_whole(path, text)
        say(f"{len(data):,} predictions: {path}")
    return 0


def check_ending(path: Path, endings: Sequence[str]) -> None:
    """Raise ParameterError where the ending of `path` is of no format that such labels are written in."""
    allowed = (".csv", *(ending for ending in endings if ending))
    if path.suffix in ("", *allowed) and (path.suffix or "" in endings):
        return
    folder = ", or a folder, which has no ending" if "" in endings else ""
    raise ParameterError(
        f"--out must end with {' or '.join(allowed)} for the labels of this model{folder}; got {str(path)!r}."
    )


def rows(model: "Model", data: "Data", probabilities: bool) -> Iterator[list[Any]]:
    """The table of predictions, its header first."""
    if "score" in model.gives:
        yield from scores(model, data)
        return
    outputs = model.predict(data)
    numbers, predictions = data.source_rows.tolist(), outputs.tolist()
    from manyways.data.targets import StructuredTarget

    if isinstance(model.target, StructuredTarget):
        predictions = [model.target.cell(each) for each in predictions]
    if outputs.dtype.names is not None:
        yield ["row", *outputs.dtype.names]
        yield from ([row, *values] for row, values in zip(numbers, predictions, strict=True))
        return
    if not probabilities or model.target is None:
        yield ["row", "prediction"]
        yield from ([row, prediction] for row, prediction in zip(numbers, predictions, strict=True))
        return
    yield ["row", "prediction", *(f"probability_{name}" for name in model.target.classes)]
    shares = model.probabilities(data).tolist()
    for row, prediction, chances in zip(numbers, predictions, shares, strict=True):
        yield [row, prediction, *(f"{share:.6g}" for share in chances)]


def scores(model: "Model", data: "Data") -> Iterator[list[Any]]:
    """The table of the scores that a reward model gives: of each row's answer, or of both of its answers."""
    roles = [role for role in ("completion", "chosen", "rejected") if data.has(role)]
    if not roles:
        raise DataError(
            f'{data.name} has no answers to score. Name their columns: prompt="…" and completion="…", or chosen="…" '
            f'and rejected="…", out of {", ".join(data.columns)}.'
        )
    prompts = data.take(data.roles["prompt"][0]).tolist() if data.has("prompt") else [""] * len(data)
    found = [model.score(prompts, data.take(data.roles[role][0]).tolist()).tolist() for role in roles]
    yield ["row", *(f"score_of_{role}" if len(roles) > 1 else "score" for role in roles)]
    yield from ([row, *(f"{value:.6g}" for value in each)] for row, each in enumerate(zip(*found, strict=True)))


def read_rows(model: "Model", options: Predict) -> "Data":
    """The rows that `model` is asked about: prompts and answers for a language model, else the inputs it knows."""
    from manyways.data.read import read

    roles: dict[str, Any] = dict(pairs("--role", options.role, "ROLE=COL, such as prompt=question"))
    if model.gives & {"generate", "score"}:
        return read(options.data, label=(), header=options.header, **roles)
    if roles:
        raise ParameterError("--role is for language models; this one knows the names of its inputs. Leave it out.")
    from manyways.models.reading import inputs_of

    reading = {"bad_rows": options.bad_rows, "header": options.header, "decimal": options.decimal}
    if options.bad_rows == "refuse":  # a model that knows what missing values mean is asked about them
        reading |= model.roles_read
    return inputs_of(options.data, model.encoding(), **{**model.roles_read, **reading})
