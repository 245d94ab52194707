"""An encoder for each kind of column."""

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.storage import RowNumbers
from manyways.registry import Classes

ENCODERS: Classes[Encoder] = Classes("encoders", Encoder, "manyways.data.encoders", attribute="kind")
"""Every encoder by its kind: those of this folder, and of the entry-point group `manyways.encoders`."""


def fit_encoder(
    columns: list[Column], rows: RowNumbers, tokenizer: CheckpointTokenizer | None = None, *, plain: bool = False
) -> Encoder:
    """The encoder for `columns` of one modality, fitted on `rows`; a `plain` one learns only which categories occur."""
    return ENCODERS.find(columns[0].of.modality).fit(columns, rows, tokenizer, plain=plain)
