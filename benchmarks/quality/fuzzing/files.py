"""A small valid file, or folder, for each reader."""

import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROWS = 24


def _table() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    words = ["good", "bad", "so, so", 'say "hi"', "naïve"]
    return {
        "x": [round(float(value), 3) for value in rng.normal(size=ROWS)],
        "count": rng.integers(0, 99, ROWS).tolist(),
        "word": [words[at % 5] for at in range(ROWS)],
        "note": [f"the {words[at % 5]} one, number {at}" for at in range(ROWS)],
        "label": ["ab"[at % 2] for at in range(ROWS)],
    }


def _frame() -> Any:
    import polars as pl

    return pl.DataFrame(_table())


def csv(folder: Path) -> Path:
    """Commas and quotes."""
    return _written(folder / "t.csv", _frame().write_csv().encode())


def semicolons(folder: Path) -> Path:
    """Semicolons, decimal commas, per cent, dates, CR LF."""
    lines = [f"{at},{at % 7};{at % 5} %;2020-01-{at + 1:02};1.{at:03};{'ab'[at % 2]}" for at in range(ROWS)]
    return _written(folder / "t.csv", "\r\n".join(["x;share;day;much;label", *lines]).encode())


def utf16(folder: Path) -> Path:
    """UTF-16 with its mark."""
    return _written(folder / "t.csv", _frame().write_csv().encode("utf-16"))


def tsv(folder: Path) -> Path:
    """Tabs."""
    return _written(folder / "t.tsv", _frame().write_csv(separator="\t", quote_style="never").encode())


def csv_gz(folder: Path) -> Path:
    """A packed CSV."""
    return _written(folder / "t.csv.gz", gzip.compress(_frame().write_csv().encode(), mtime=0))


def parts(folder: Path) -> Path:
    """A folder with train.csv and test.csv."""
    _written(folder / "d" / "train.csv", _frame().write_csv().encode())
    return _written(folder / "d" / "test.csv", _frame().write_csv().encode()).parent


def _objects() -> list[dict[str, Any]]:
    rows = [dict(zip(_table(), values, strict=True)) for values in zip(*_table().values(), strict=True)]
    for at, row in enumerate(rows):
        row |= {"vector": [at, at / 2, 1.5], "nested": {"a": [at, {"b": None}]}, "big": at * 10**15, "ok": at % 3 == 0}
    return rows


def json_rows(folder: Path) -> Path:
    """An array of objects."""
    return _written(folder / "t.json", json.dumps(_objects()[:8]).encode())


def json_columns(folder: Path) -> Path:
    """An object of arrays, with small images."""
    held = {**_table(), "picture": [[[at, 255], [0, at]] for at in range(ROWS)]}
    return _written(folder / "t.json", json.dumps(held).encode())


def jsonl(folder: Path) -> Path:
    """JSON Lines with vectors and nested values."""
    return _written(folder / "t.jsonl", "\n".join(map(json.dumps, _objects())).encode())


def chat(folder: Path) -> Path:
    """Conversations in JSON Lines."""
    lines = [
        {"messages": [{"role": "user", "content": f"{at} + 1"}, {"role": "assistant", "content": str(at + 1)}]}
        for at in range(ROWS)
    ]
    return _written(folder / "t.jsonl", "\n".join(map(json.dumps, lines)).encode())


def parquet(folder: Path) -> Path:
    """Columns of every kind, by Snappy."""
    import polars as pl

    frame = _frame().with_columns(
        pl.Series("day", range(ROWS)).cast(pl.Date),
        pl.Series("vector", [[at / 2, 1.0] for at in range(ROWS)]),
        pl.Series("kind", ["u", "v", None] * (ROWS // 3)).cast(pl.Categorical),
        pl.Series("nested", [{"a": [at], "b": "x"} for at in range(ROWS)]),
        pl.Series("gap", [None, *range(ROWS - 1)]),
    )
    frame.write_parquet(folder / "t.parquet", compression="snappy")
    return folder / "t.parquet"


def parquet_pictures(folder: Path) -> Path:
    """Images as bytes and paths, by Zstandard."""
    import polars as pl

    _pictures(folder / "made", "png")
    held = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted((folder / "made").rglob("*.png"))]
    shutil.rmtree(folder / "made")
    pl.DataFrame({"image": held, "label": list("ab" * 4)[: len(held)]}).write_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def parquet_gz(folder: Path) -> Path:
    """A packed Parquet file."""
    path = parquet(folder)
    packed = gzip.compress(path.read_bytes(), mtime=0)
    path.unlink()
    return _written(folder / "t.parquet.gz", packed)


def npy(folder: Path) -> Path:
    """A matrix."""
    np.save(folder / "t.npy", np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3))
    return folder / "t.npy"


def npz(folder: Path) -> Path:
    """Images and labels, packed."""
    images = np.arange(ROWS * 64).astype(np.uint8).reshape(ROWS, 8, 8)
    np.savez_compressed(
        folder / "t.npz", x_train=images, y_train=np.arange(ROWS) % 3, x_test=images, y_test=images[:, 0, 0]
    )
    return folder / "t.npz"


def npz_plain(folder: Path) -> Path:
    """Numbers in columns first, words as labels."""
    inputs = np.asfortranarray(np.random.default_rng(0).normal(size=(ROWS, 4)))
    np.savez(folder / "t.npz", x=inputs, y=np.array(["one", "two"] * (ROWS // 2)))
    return folder / "t.npz"


def _idx(values: np.ndarray, code: int) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape) + values.tobytes()


def idx(folder: Path) -> Path:
    """Images and labels."""
    _written(folder / "train-labels-idx1-ubyte", _idx((np.arange(ROWS) % 3).astype(np.uint8), 8))
    return _written(
        folder / "train-images-idx3-ubyte", _idx(np.arange(ROWS * 16, dtype=np.uint8).reshape(ROWS, 4, 4), 8)
    )


def idx_gz(folder: Path) -> Path:
    """Numbers of 64 bits, packed."""
    values = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(">f8")
    return _written(folder / "t.idx.gz", gzip.compress(_idx(values, 0x0E), mtime=0))


def _pictures(folder: Path, ending: str, mode: str = "RGB") -> Path:
    rng = np.random.default_rng(0)
    for at in range(4):
        path = folder / "ab"[at % 2] / f"{at}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray(rng.integers(0, 255, (10, 12, 3), np.uint8))
        if mode == "I;16":
            pixels = Image.fromarray(rng.integers(0, 4095, (10, 12)).astype(np.uint16))
        elif mode != "RGB":
            pixels = pixels.convert(mode)
        more: dict[str, Any] = {}
        if ending in ("gif", "webp"):
            more = {"save_all": True, "append_images": [pixels.rotate(90), pixels.rotate(180)]}
        elif ending == "tiff":
            more = {"compression": "tiff_lzw"}
        pixels.save(path, **more)
    return folder


def pictures(ending: str, mode: str = "RGB") -> Callable[[Path], Path]:
    """Make a folder per class of images."""
    return lambda folder: _pictures(folder / "d", ending, mode)


def sounds(ending: str, subtype: str | None = None) -> Callable[[Path], Path]:
    """Make a folder per class of sounds."""

    def make(folder: Path) -> Path:
        import soundfile

        for at in range(4):
            path = folder / "d" / "ab"[at % 2] / f"{at}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = 0.5 * np.sin(np.arange(400) * (at + 1) / 9)
            soundfile.write(path, np.stack([wave, wave], 1), 8000, subtype=subtype)
        return folder / "d"

    return make


def named_files(folder: Path) -> Path:
    """A table that names images beside it."""
    _pictures(folder / "d", "png")
    lines = [f"{'ab'[at % 2]}/{at}.png,{'ab'[at % 2]}" for at in range(4)]
    return _written(folder / "d" / "metadata.csv", "\n".join(["file_name,label", *lines]).encode()).parent


def zipped_pictures(folder: Path) -> Path:
    """An archive of images."""
    _pictures(folder / "d", "png")
    shutil.make_archive(str(folder / "t"), "zip", folder / "d")
    shutil.rmtree(folder / "d")
    return folder / "t.zip"


def zipped_table(folder: Path) -> Path:
    """An archive of a table."""
    path = csv(folder / "d")
    shutil.make_archive(str(folder / "t"), "zip", path.parent)
    shutil.rmtree(path.parent)
    return folder / "t.zip"


def text(folder: Path) -> Path:
    """Running text."""
    return _written(folder / "t.txt", ("Once upon a time, naïve.\n\n" * 200).encode())


def text_gz(folder: Path) -> Path:
    """Packed running text."""
    return _written(folder / "t.md.gz", gzip.compress(b"# Title\n\nWords, 1 2 3.\n" * 50, mtime=0))


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "csv": csv,
    "csv-semicolons": semicolons,
    "csv-utf16": utf16,
    "tsv": tsv,
    "csv.gz": csv_gz,
    "csv-parts": parts,
    "json": json_rows,
    "json-columns": json_columns,
    "jsonl": jsonl,
    "jsonl-chat": chat,
    "parquet": parquet,
    "parquet-pictures": parquet_pictures,
    "parquet.gz": parquet_gz,
    "npy": npy,
    "npz": npz,
    "npz-plain": npz_plain,
    "idx": idx,
    "idx.gz": idx_gz,
    **{
        each: pictures(each)
        for each in ("png", "jpg", "gif", "webp", "bmp", "tiff", "ico", "avif", "jp2", "ppm", "tga")
    },
    "png-palette": pictures("png", "P"),
    "png-deep": pictures("png", "I;16"),
    "tiff-deep": pictures("tif", "I;16"),
    "wav": sounds("wav"),
    "wav-float": sounds("wav", "FLOAT"),
    **{each: sounds(each) for each in ("flac", "ogg", "mp3", "aiff", "au", "caf", "w64")},
    "named-files": named_files,
    "zip": zipped_pictures,
    "zip-table": zipped_table,
    "text": text,
    "text.gz": text_gz,
}
"""A maker per reader: it puts files into an empty folder, and returns what is read."""
