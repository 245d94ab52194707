"""A small valid file or folder for each loader: models, checkpoints, receipts, stores, results, runs, tables."""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

Make = Callable[[Path], Path]
Load = Callable[[Path, Random | None], Any]


def _rows(folder: Path) -> Path:
    path = folder / "rows.csv"
    path.write_text("x,y,label\n" + "".join(f"{i * 7 % 11},{i * 3 % 7 / 2},{'ab'[i % 2]}\n" for i in range(40)))
    return path


def model(method: str) -> Make:
    """Make the folder of a model that `method` learns in a few steps of its example."""

    def make(folder: Path) -> Path:
        from manyways.methods.discovery import find_method
        from manyways.testing.trial import Trial

        return Path(Trial(find_method(method)).reference.save(folder / "model"))

    return make


def checkpoint(folder: Path) -> Path:
    """A language model as transformers keeps it."""
    path = model("pretrain")(folder)
    for own in ("model.json", "rows.safetensors"):
        (path / own).unlink(missing_ok=True)
    return path


def gguf(folder: Path) -> Path:
    """A language model in a .gguf file, its tokenizer a few words."""
    from gguf import GGUFWriter

    rng = np.random.default_rng(0)
    width, wide, words = 16, 32, [*"abcdefgh", "<s>", "</s>", "<|endoftext|>", "ab", "cd"]
    path = folder / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(words))
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(8)
    writer.add_eos_token_id(9)
    writer.add_unk_token_id(10)
    shapes = {
        "token_embd": (len(words), width), "output": (len(words), width), "output_norm": (width,),
        "blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,), "blk.0.attn_q": (width, width),
        "blk.0.attn_k": (width, width), "blk.0.attn_v": (width, width), "blk.0.attn_output": (width, width),
        "blk.0.ffn_gate": (wide, width), "blk.0.ffn_up": (wide, width), "blk.0.ffn_down": (width, wide),
    }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def load(path: Path, rng: Random | None) -> Any:
    """A model as `load` gives it, asked once for what it says."""
    import manyways as mw

    loaded = mw.load(path)
    said = repr(loaded)
    if "generate" in loaded.gives and hasattr(loaded, "tokenizer"):
        return said + repr(loaded.generate("ab", longest=2))
    return said


def store(folder: Path) -> Path:
    """A store with two models of one data set."""
    import manyways as mw

    kept = mw.Store(folder / "store")
    rows = mw.read(_rows(folder))
    run = mw.Run(store=kept)
    first = mw.Supervised().fit(rows, budget="2 steps", run=run)
    mw.FineTune().fit(rows, first, budget="2 steps", run=run)
    (folder / "rows.csv").unlink()
    return folder / "store"


def load_store(path: Path, rng: Random | None) -> Any:
    """All that a store says of its models."""
    import manyways as mw

    kept = mw.Store(path)
    said = [repr(kept.check())]
    for record in kept.models():
        said += [repr(kept.load(record.id)), repr(kept.rows_of(record.id)[:2]), repr(kept.events(record.id)[:2])]
    return said


def receipt(folder: Path) -> Path:
    """The receipt of a forgetting, and the data that it speaks of."""
    import manyways as mw

    kept = mw.Store(folder / ".store")
    data = mw.read(_rows(folder))
    mw.Supervised().fit(data, budget="2 steps", run=mw.Run(store=kept))
    mw.forget(rows=data.ids[:2], store=kept, receipt=folder / "receipt.json")
    shutil.rmtree(folder / ".store")
    (folder / "rows.csv").unlink()
    return folder / "receipt.json"


def load_receipt(path: Path, rng: Random | None) -> Any:
    """A receipt that is read, and drawn as a report."""
    from manyways.lineage.forgetting.receipt import read_receipt
    from manyways.lineage.forgetting.receipt_report import render_report

    return render_report(read_receipt(path))[:100]


def results(folder: Path) -> Path:
    """The results of a comparison."""
    import manyways as mw
    from manyways.comparison.results import write_results

    found = mw.compare(_rows(folder), methods=["supervised", "k-means"], budget="2 steps", seeds=1, workers=0)
    (folder / "rows.csv").unlink()
    return write_results(found, folder / "results.json")


def load_results(path: Path, rng: Random | None) -> Any:
    """Results that are read, and ranked."""
    from manyways.comparison.results import read_results

    return repr(read_results(path).ranked())[:100]


def run_folder(folder: Path) -> Path:
    """A run that was interrupted: its checkpoint, and the rows that it learns from."""
    import manyways as mw

    class Stop(Exception):
        """The run ends as if it had been killed."""

    def stop(event: Any) -> None:
        if event.step >= 3:
            raise Stop

    run = mw.Run(folder=folder / "run", checkpoint_seconds=0, listeners=[stop])
    with suppress(Stop):
        mw.Supervised().fit(mw.read(_rows(folder)), budget="6 steps", run=run)
    return folder / "run"


def load_run(path: Path, rng: Random | None) -> Any:
    """A run that goes on where it stopped."""
    import manyways as mw

    rows = path.parent / "rows.csv"
    return repr(mw.Supervised().fit(mw.read(rows), budget="6 steps", run=mw.Run(folder=path)))


def table(folder: Path) -> Path:
    """A table as other processes are given it."""
    import manyways as mw
    from manyways.data.transport import save_table

    path = save_table(mw.read(_rows(folder)), folder / "table")
    (folder / "rows.csv").unlink()
    return path


def load_table(path: Path, rng: Random | None) -> Any:
    """A table that is opened, and all its columns asked for."""
    from manyways.data.transport import load_table as opened

    data = opened(path)
    return [data.take(name)[:3].tolist() for name in data.columns]


def sealed(path: Path) -> None:
    """Make the hashes of a model's folder and of a receipt right again, as whoever means ill would."""
    if path.name == "receipt.json":
        _seal_receipt(path)
        return
    for description in path.rglob("model.json") if path.is_dir() else ():
        try:
            said = json.loads(description.read_bytes())
            stated = said["files"]
            for name in stated:
                stated[name] = hashlib.sha256((description.parent / name).read_bytes()).hexdigest()
            said.pop("hash", None)
            from manyways.models.saving import _text_hash

            description.write_text(json.dumps({**said, "hash": _text_hash(said)}, indent=1), encoding="utf-8")
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
            continue


def _seal_receipt(path: Path) -> None:
    from manyways.lineage.forgetting.receipt import receipt_hash

    try:
        said = json.loads(path.read_bytes())
        path.write_text(json.dumps({**said, "hash": receipt_hash(said)}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


MODELS = (
    "supervised", "k-means", "linear-probe", "label-propagation", "vae", "gan", "proto-net", "maml", "online-sgd",
    "ppo", "q-learning", "clip", "multi-task", "active-learning", "pretrain", "masked-lm", "replay", "fed-avg",
)  # fmt: skip

LOADERS: dict[str, tuple[Make, Load]] = {
    **{f"model-{each}": (model(each), load) for each in MODELS},
    "checkpoint": (checkpoint, load),
    "gguf": (gguf, load),
    "store": (store, load_store),
    "receipt": (receipt, load_receipt),
    "results": (results, load_results),
    "run": (run_folder, load_run),
    "table": (table, load_table),
}
