"""An encoder for each kind of column."""

from manyways.data.columns import Column
from manyways.data.encoders.audio import AudioEncoder
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.encoders.hashed_text import HashedTextEncoder
from manyways.data.encoders.images import ImageEncoder
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoders.text import TextEncoder
from manyways.data.storage import RowNumbers

ENCODERS: dict[str, type[Encoder]] = {
    encoder.kind: encoder for encoder in (TableEncoder, TextEncoder, HashedTextEncoder, ImageEncoder, AudioEncoder)
}


def fit_encoder(
    columns: list[Column], rows: RowNumbers, tokenizer: CheckpointTokenizer | None = None, *, plain: bool = False
) -> Encoder:
    """The encoder for `columns` of one modality, fitted on `rows`; a `plain` one learns only which categories occur."""
    return ENCODERS[columns[0].of.modality].fit(columns, rows, tokenizer, plain=plain)
