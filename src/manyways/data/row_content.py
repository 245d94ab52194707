"""The content of a row for a person to look at: text and numbers as they are, pictures and sounds in files."""

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, id_text
from manyways.data.data import Data
from manyways.errors import DataError
from manyways.permissions import private_folder

MOST_VALUES = 12
"""Of a list of numbers that are written into a cell."""


def content_of(rows: Data, place: int, sheet: Path) -> dict[str, Any]:
    """The content of the row at `place` by column; files lie in a folder beside the `sheet` that names them.

    Raises:
        DataError: A file cannot be written.
    """
    roles = ("prompt", "messages", "text")
    names = [column.name for column in rows.inputs] + [name for role in roles for name in rows.roles.get(role, ())]
    label = rows.roles.get("label", ())
    return {name: _cell(rows, rows.columns[name], place, sheet) for name in dict.fromkeys(names) if name not in label}


def _cell(rows: Data, column: Column, place: int, sheet: Path) -> Any:
    value = column.take(rows.rows[[place]])[0]
    if column.kind not in ("image", "audio"):
        plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        if isinstance(plain, list):
            more = f", … {len(plain) - MOST_VALUES} more" if len(plain) > MOST_VALUES else ""
            return ", ".join(map(str, plain[:MOST_VALUES])) + more
        return "" if plain is None else plain
    folder = sheet.with_name(f"{sheet.stem}-files")
    ending = "png" if column.kind == "image" else "wav"
    path = folder / f"{id_text(rows.ids[place])}-{_file_word(column.name)}.{ending}"
    try:
        if not folder.is_dir():
            private_folder(folder)
        if column.kind == "image":
            _write_picture(path, value)
        else:
            _write_sound(path, value, column.rate or 16000)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Give another file of questions.") from error
    return f"{folder.name}/{path.name}"


def _file_word(name: str) -> str:
    """`name` with what a file's name cannot have left out."""
    return "".join(each if each.isalnum() else "_" for each in name)


def _write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    drawn = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    times = max(1, 128 // max(drawn.size))  # a picture of a few pixels is too small to be seen
    drawn.resize((drawn.width * times, drawn.height * times), Image.Resampling.NEAREST).save(path, "PNG")


def _write_sound(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    with path.open("wb") as binary, wave.open(binary, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
