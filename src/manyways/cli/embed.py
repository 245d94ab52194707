"""`manyways embed`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import arg

from manyways.cli.arguments import UNSAID, Count, Decimal, Source, at_least, one, parse, truth
from manyways.cli.output import check_file, say, say_notes
from manyways.errors import DataError, ModelError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from manyways.data.data import Data
    from manyways.models.model import Model

ENDINGS = (".npy", ".csv", ".parquet")


@dataclass(frozen=True)
class Embed:
    """Embed every row with a saved model: its features, a vector a row.

    Any model that embeds will do, and so will a checkpoint of sentence-transformers; a model that lays rows out, such
    as that of tsne, gives their places. An .npy holds the vectors alone; a .csv and a .parquet begin with the number of
    the row, counted from 0.
    """

    model: Annotated[Path, tyro.conf.Positional, arg(metavar="MODEL")]
    """Folder of a model that `manyways fit` saved, or of a checkpoint of sentence-transformers."""
    data: Source
    """Rows with the inputs of the model; of a sentence encoder any rows with text."""
    out: Annotated[Path, arg(metavar="FILE")]
    """File of the vectors, float32: an .npy, a .csv with a column for each feature, or a .parquet with a list."""
    input: Annotated[tuple[str, ...], arg(metavar="COL …", help_behavior_hint="")] = ()
    """Columns of text that a model of any text reads; vectors of several stand side by side."""
    size: Count = None
    """The number of the first features that are kept: for models that were trained so (matryoshka)."""
    bad_rows: Literal["refuse", "skip", "fill", "keep"] = "refuse"
    """Rows that cannot be used: refuse all, skip them, fill their gaps, or keep missing numbers and categories."""
    header: Annotated[bool | None, one(truth, "yes or no", "{yes,no}"), UNSAID] = None
    """A CSV or TSV file begins with the names of its columns: yes or no; by default its first row tells."""
    decimal: Decimal = None
    """The mark before the fraction of a number in a CSV or TSV file, where the cells leave it open."""


def main(arguments: Sequence[str]) -> int:
    """Run `manyways embed`."""
    options = parse(Embed, "embed", arguments)
    if options.out.suffix not in ENDINGS:
        raise ParameterError(f"--out must end with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; got {options.out}.")
    check_file("--out", options.out)
    at_least("--size", options.size, 1)
    from manyways.models.saving import load_model
    from manyways.whole import write_whole

    model = load_model(options.model)
    if not model.gives & {"embed", "layout"}:
        raise ModelError(
            f"{options.model} gives {', '.join(sorted(model.gives))}: it cannot embed. A method whose models can is "
            "simclr; of texts simcse."
        )
    data = read_rows(model, options)
    say_notes(data, left_out=False)
    vectors = vectors_of(model, data, options.size)
    write_whole(options.out, content(vectors, data.source_rows, options.out.suffix))
    say(f"{len(vectors):,} vectors of {vectors.shape[1]:,} features: {options.out}")
    return 0


def read_rows(model: "Model", options: Embed) -> "Data":
    """The rows that `model` is asked about."""
    from manyways.data.read import Known, read_as
    from manyways.models.language_model import LanguageModel
    from manyways.models.reading import inputs_of
    from manyways.models.sentence_encoder import SentenceEncoder

    reading = {"bad_rows": options.bad_rows, "header": options.header, "decimal": options.decimal}
    if not isinstance(model, SentenceEncoder | LanguageModel):
        if options.input:
            raise ParameterError("--input is for models of any text; this one knows its inputs. Leave it out.")
        if options.bad_rows == "refuse":  # a model that knows what missing values mean is asked about them
            reading |= model.roles_read
        return inputs_of(options.data, model.encoding(), **{**model.roles_read, **reading})
    known = Known(dict.fromkeys(options.input or model.columns, "text"))
    if options.input:
        return read_as(options.data, known, input=list(options.input), label=(), **reading)
    return read_as(options.data, known, **reading)


def vectors_of(model: "Model", data: "Data", size: int | None) -> "NDArray[np.float32]":
    """The vectors of the rows of `data`, or the first `size` features of each."""
    from manyways.models.sentence_encoder import SentenceEncoder

    if isinstance(model, SentenceEncoder):
        if size is not None and size not in (*model.matryoshka, model.network.width):
            trained = ", ".join(map(str, model.matryoshka)) or "none"
            say(f"caution: the model was not trained for vectors of {size} features (matryoshka: {trained}).")
        return model.embed(data, size=size)
    vectors: NDArray[np.float32] = model.embed(data) if "embed" in model.gives else model.layout(data)
    if size is not None and size > vectors.shape[1]:
        raise ParameterError(f"--size must be at most {vectors.shape[1]}, the width of the model; got {size}.")
    return vectors if size is None else vectors[:, :size]


def content(vectors: "NDArray[np.float32]", rows: "NDArray[np.int64]", ending: str) -> bytes:
    """The file of `vectors` in the format of `ending`, with the numbers of their `rows` where it has columns."""
    import numpy as np
    import polars as pl

    out = io.BytesIO()
    if ending == ".npy":
        np.save(out, vectors)
        return out.getvalue()
    if not vectors.shape[1]:
        raise DataError("The vectors have no features, so there is no table of them.")
    if ending == ".parquet":
        width = vectors.shape[1]
        pl.DataFrame({"row": rows, "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, width))}).write_parquet(out)
        return out.getvalue()
    columns = {f"feature_{at}": column for at, column in enumerate(vectors.T)}
    pl.DataFrame({"row": rows, **columns}).write_csv(out)
    return out.getvalue()
