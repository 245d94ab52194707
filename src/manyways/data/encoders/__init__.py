"""An encoder for each kind of column."""

from manyways.data.columns import Column
from manyways.data.encoders.audio import AudioEncoder
from manyways.data.encoders.images import ImageEncoder
from manyways.data.encoders.table import TableEncoder
from manyways.data.encoders.text import TextEncoder
from manyways.data.encoding import Encoder
from manyways.data.storage import RowNumbers

ENCODERS: dict[str, type[Encoder]] = {
    encoder.kind: encoder for encoder in (TableEncoder, TextEncoder, ImageEncoder, AudioEncoder)
}


def fit_encoder(columns: list[Column], rows: RowNumbers, checkpoint: str | None = None) -> Encoder:
    """The encoder for `columns` of one modality, fitted on `rows`."""
    column = columns[0]
    if column.kind == "image":
        return ImageEncoder.fit(column)
    if column.kind == "audio":
        return AudioEncoder.fit(column)
    if column.kind == "text":
        return TextEncoder.fit(column, rows, checkpoint)
    return TableEncoder.fit(columns, rows)
