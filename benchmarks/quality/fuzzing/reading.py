"""A file read as `read` does, and all that it holds asked for once; and what is imported for that."""

import gc
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

IMPORTED = (
    "polars", "scipy.signal", "soundfile", "numpy.random", "numpy.ma", "tokenizers", "manyways.data.encoders",
    "manyways.data.environments", "manyways.data.read", "manyways.data.sources", "manyways.data.transport",
    "manyways.models.saving", "manyways.lineage.store.store", "manyways.lineage.forgetting.receipt_report",
    "manyways.comparison.results", "manyways.models.language_model", "manyways.methods.discovery",
    "manyways.models.predictor", "transformers",
    "transformers.models.llama.modeling_llama", "transformers.models.bert.modeling_bert", "peft", "gguf",
)  # fmt: skip


def read_file(path: Path, rng: Random | None) -> Any:
    """What is read, with options by chance, where there is one.

    The first rows are taken, and encoded as for a training.
    """
    import manyways as mw
    from manyways.data.encoding import InputEncoding
    from manyways.errors import ManywaysError

    ways = ("skip", "skip", "refuse") if path.is_dir() else ("skip", "refuse", "fill")
    data = mw.read(path, bad_rows=rng.choice(ways) if rng else "skip")
    said = repr(data)
    few = np.arange(min(8, len(data)))
    for name in data.columns:
        data.take(name)[few]
    if data.inputs:
        try:
            InputEncoding.fit(data).encode(data).batch(few)
        except ManywaysError as error:  # of columns, which it names; the file is no longer known there
            said += f"; {type(error).__name__}"
    return said


def warm() -> None:
    """Import what readers and loaders import when they are needed; nothing that starts a thread is run."""
    import torch
    from PIL import Image

    from manyways.data.sources import all_sources

    for name in IMPORTED:
        import_module(name)
    torch.set_num_threads(1)
    Image.init()
    all_sources()
    gc.collect()
    gc.freeze()  # else every child would touch, and so copy, all that its parent holds
