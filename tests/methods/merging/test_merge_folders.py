"""Checkpoints: merged tensor by tensor into a folder that is used as theirs are, with the memory of a tensor each."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import manyways as mw
from manyways.errors import ModelError
from manyways.methods.language.pretrain import Pretrain
from manyways.methods.language.sft import SFT
from manyways.methods.merging import _streaming
from manyways.methods.merging.merge import Merge, merge_folders

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def checkpoint(
    place: Path, seed: int, *, vocabulary: int = 40, dtype: Any = torch.float32, shards: bool = False
) -> Path:
    """A small Llama with weights of its own, in one file or in several."""
    config = transformers.LlamaConfig(vocab_size=vocabulary, max_position_embeddings=20, **SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = transformers.LlamaForCausalLM(config).to(dtype)
    network.save_pretrained(place, **({"max_shard_size": "8KB"} if shards else {}))
    return place


def tokens(folder: Path, **numbers: int) -> Path:
    """Put a tokenizer into `folder` that knows these words."""
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel(numbers, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    return folder


def plain(place: Path, tensors: Mapping[str, Tensor]) -> Path:
    """A checkpoint with any tensors at all."""
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "any", "architectures": ["Any"]}))
    save_file(dict(tensors), place / "model.safetensors", metadata={"format": "pt"})
    return place


def weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder."""
    return {name: each for file in sorted(folder.glob("*.safetensors")) for name, each in load_file(file).items()}


# --- what comes out -------------------------------------------------------------------------------


def test_a_merged_checkpoint_is_loaded_by_transformers(tmp_path: Path) -> None:
    one = tokens(checkpoint(tmp_path / "one", 1, shards=True), a=0, b=1)
    two = tokens(checkpoint(tmp_path / "two", 2), a=0, b=1)
    (one / "chat_template.jinja").write_text("{{ messages }}")
    (one / "pytorch_model.bin").write_bytes(b"not copied")
    out = merge_folders([one, two], tmp_path / "out", weights=(3, 1))
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in one.iterdir() if path.name != "pytorch_model.bin"
    )
    assert len(list(out.glob("model-0*.safetensors"))) > 2
    network = transformers.LlamaForCausalLM.from_pretrained(out)
    ours, theirs = weights(one), weights(two)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, 0.75 * ours[name] + 0.25 * theirs[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_computed_in_full_and_rounded_once(tmp_path: Path, dtype: torch.dtype) -> None:
    base, *models = [checkpoint(tmp_path / str(seed), seed, dtype=dtype) for seed in range(3)]
    out = weights(merge_folders(models, tmp_path / "out", how="task_arithmetic", base=base, scale=0.3))
    start, one, two = (weights(folder) for folder in (base, *models))
    for name, tensor in out.items():
        assert tensor.dtype == dtype
        zero, a, b = (each[name].double() for each in (start, one, two))
        exact = zero + 0.3 * (a - zero) + 0.3 * (b - zero)
        unit = torch.finfo(dtype).eps * exact.abs().clamp_min(1e-4)
        assert ((tensor.double() - exact).abs() <= 0.51 * unit).all(), f"{name} is further away than rounding"


def test_numbers_keep_their_type_and_the_first_model_decides(tmp_path: Path) -> None:
    ones = {
        "a": torch.ones(2),
        "b": torch.ones(2, dtype=torch.float64),
        "c": torch.full((2,), 2.0).to(torch.float8_e4m3fn),
    }
    twos = {"a": torch.zeros(2, dtype=torch.bfloat16), "b": torch.full((2,), 1e-12), "c": torch.full((2,), 4.0)}
    out = weights(merge_folders([plain(tmp_path / "1", ones), plain(tmp_path / "2", twos)], tmp_path / "out"))
    assert {name: tensor.dtype for name, tensor in out.items()} == {name: each.dtype for name, each in ones.items()}
    assert out["a"].tolist() == [0.5, 0.5]
    assert out["b"].tolist() == [(1 + float(torch.tensor(1e-12))) / 2] * 2, "float64 was computed in float32"
    assert out["c"].float().tolist() == [3, 3]


def test_counters_are_the_first_models_and_other_whole_numbers_must_be_equal(tmp_path: Path) -> None:
    def model(name: str, count: int, ids: list[int]) -> Path:
        held = {"w": torch.ones(2), "steps": torch.tensor(count), "ids": torch.tensor(ids), "mask": torch.ones(2) > 0}
        return plain(tmp_path / name, held)

    one, two, other = model("1", 10, [1, 2]), model("2", 20, [1, 2]), model("3", 10, [2, 1])
    out = weights(merge_folders([one, two], tmp_path / "out"))
    assert (out["steps"].item(), out["ids"].tolist(), out["mask"].tolist()) == (10, [1, 2], [True, True])
    with pytest.raises(
        ModelError, match="'ids' holds whole numbers that differ between .*1 and .*3; they cannot be av"
    ):
        merge_folders([one, other], tmp_path / "no")


def test_what_is_the_same_in_all_stays_bitwise(tmp_path: Path) -> None:
    """Masks of minus infinity, too, from which no difference can be formed."""
    held = {"mask": torch.tensor([0.0, float("-inf")]), "w": torch.tensor([0.1, 0.2, 0.3])}
    folders = [plain(tmp_path / str(at), held | {"own": torch.full((3,), float(at))}) for at in range(3)]
    for how in ("linear", "slerp", "task_arithmetic", "ties", "dare"):
        on_a_base: dict[str, Any] = {} if how in ("linear", "slerp") else {"base": folders[0]}
        out = weights(merge_folders(folders[1:], tmp_path / how, how=how, **on_a_base))  # type: ignore[arg-type]
        assert all(torch.equal(out[name], held[name]) for name in held)


def test_what_is_dropped_does_not_depend_on_files_or_order(tmp_path: Path) -> None:
    base, *models = [checkpoint(tmp_path / str(seed), seed) for seed in range(3)]
    sharded = checkpoint(tmp_path / "sharded", 1, shards=True)
    whole = merge_folders(models, tmp_path / "a", how="dare", base=base, seed=5)
    pieces = merge_folders([sharded, models[1]], tmp_path / "b", how="dare", base=base, seed=5)
    one, two = weights(whole), weights(pieces)
    assert len(list(pieces.glob("*.safetensors"))) > 1
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


# --- language models ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A language model and two that were fine-tuned from it, saved by Manyways."""
    place, sums = tmp_path_factory.mktemp("speakers"), mw.read("arithmetic")
    start = Pretrain(tokenizer="characters", context=32, size=0.2, batch_size=4).fit(sums, budget=3)
    tuned = {name: SFT(batch_size=4).fit(sums, start, budget=3, seed=seed) for seed, name in enumerate(("one", "two"))}
    return {name: str(model.save(place / name)) for name, model in {"base": start, **tuned}.items()}


def test_language_models_are_merged_into_one_that_speaks(speakers: dict[str, str], tmp_path: Path) -> None:
    model = Merge(models=(speakers["one"], speakers["two"]), how="ties", base=speakers["base"], density=0.5).fit()
    place = merge_folders(
        [speakers["one"], speakers["two"]], tmp_path / "out", how="ties", base=speakers["base"], density=0.5
    )
    loaded = mw.load(place)
    assert type(model) is type(loaded) is type(mw.load(speakers["one"]))
    assert model.gives == loaded.gives == {"generate", "embed"}
    assert model.generate("1+1=", longest=4) == loaded.generate("1+1=", longest=4)  # type: ignore[attr-defined]
    assert [parent.title for parent in loaded.lineage.parents] == ["sft(batch_size=4)"] * 2 + [
        stage.title for stage in mw.load(speakers["base"]).lineage.stages()
    ]
    transformers.AutoModelForCausalLM.from_pretrained(place)


def test_checkpoints_and_saved_models_go_together_and_fit_makes_a_language_model(
    speakers: dict[str, str], tmp_path: Path
) -> None:
    """The base is often a checkpoint that only others fine-tuned."""
    checkpoints = []
    for name in ("base", "one"):
        folder = tmp_path / name
        folder.mkdir()
        for path in Path(speakers[name]).iterdir():
            if path.name not in ("model.json", "rows.safetensors"):
                (folder / path.name).write_bytes(path.read_bytes())
        checkpoints.append(str(folder))
    saved = Merge(models=(speakers["one"], speakers["two"]), how="dare", base=speakers["base"])
    mixed = Merge(models=(speakers["one"], speakers["two"]), how="dare", base=checkpoints[0])
    alone = Merge(models=(checkpoints[1], speakers["two"]), how="dare", base=checkpoints[0])
    one, two, three = (method.fit(seed=1) for method in (saved, mixed, alone))
    for other in (two, three):
        for name, tensor in one.network.state_dict().items():
            assert torch.equal(tensor, other.network.state_dict()[name])
    assert two.lineage.parents[2].title == checkpoints[0]
    assert "generate" in three.gives


def test_a_checkpoint_of_another_kind_is_merged_into_a_folder_only(tmp_path: Path) -> None:
    folders = [str(plain(tmp_path / str(at), {"w": torch.full((2,), float(at))})) for at in range(2)]
    assert weights(merge_folders(folders, tmp_path / "out"))["w"].tolist() == [0.5, 0.5]
    with pytest.raises(
        ModelError, match=r"0 \(any, Any\) is no language model, .*manyways\.merge_folders\(models, out\)"
    ):
        Merge(models=tuple(folders)).fit()


# --- what does not go together --------------------------------------------------------------------


def _more_tokens(place: Path) -> Path:
    return checkpoint(place, 2, vocabulary=41)


def _other_tokens(place: Path) -> Path:
    return tokens(checkpoint(place, 2), a=0, b=2, c=1)


def _other_architecture(place: Path) -> Path:
    config = transformers.GPT2Config(vocab_size=40, n_positions=20, n_embd=16, n_layer=2, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(place)
    return place


def _missing_tensor(place: Path) -> Path:
    held = weights(checkpoint(place, 2))
    held.pop("model.norm.weight")
    save_file(held, place / "model.safetensors")
    return place


def _missing_shard(place: Path) -> Path:
    sorted(checkpoint(place, 2, shards=True).glob("model-0*.safetensors"))[1].unlink()
    return place


def _pickle(place: Path) -> Path:
    (checkpoint(place, 2) / "model.safetensors").rename(place / "pytorch_model.bin")
    return place


def _quantised(place: Path) -> Path:
    held = weights(checkpoint(place, 2))
    save_file({name: each.to(torch.int8) for name, each in held.items()}, place / "model.safetensors")
    return place


def _of_manyways(place: Path) -> Path:
    return mw.Supervised().fit("wine", budget=1).save(place)


def _broken_config(place: Path) -> Path:
    (checkpoint(place, 2) / "config.json").write_text("{")
    return place


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            _more_tokens,
            r"of different shapes: 'lm_head\.weight' has \[40, 16\] and \[41, 16\]; 'model\.embed_tokens\.weight' has",
        ),
        (_other_tokens, r"have different vocabularies: 'b' is 1 and 2; and 1 more\. Merge models with one tokenizer"),
        (_other_architecture, r"have different architectures: llama, LlamaForCausalLM, and gpt2, GPT2LMHeadModel"),
        (_missing_tensor, r"other lacks 1 tensor that .*one has: 'model\.norm\.weight'"),
        (
            _missing_shard,
            r"lacks 1 of the \d+ files that model\.safetensors\.index\.json names, the first is model-00002",
        ),
        (_pickle, r"it holds only pytorch_model\.bin, a pickle, which is never loaded"),
        (_quantised, r"hold numbers of different types: 'lm_head\.weight' has F32 and I8; and \d+ more"),
        (_of_manyways, r"cannot be merged: one is a checkpoint of transformers, the other a predictor of Manyways"),
        (_broken_config, r"config\.json is damaged"),
    ],
)
def test_checkpoints_that_do_not_go_together(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    one = tokens(checkpoint(tmp_path / "one", 1), a=0, b=1, c=2)
    other = make(tmp_path / "other")
    with pytest.raises(ModelError, match=message):
        merge_folders([one, other], tmp_path / "out")
    with pytest.raises(ModelError, match=message):
        Merge(models=(str(one), str(other))).fit()
    assert not (tmp_path / "out").exists()


def test_a_number_too_large_for_its_type_is_told(tmp_path: Path) -> None:
    held = [torch.full((2,), at * 30_000.0, dtype=torch.float16) for at in range(3)]
    base, *models = [plain(tmp_path / str(at), {"w": each}) for at, each in enumerate(held)]
    with pytest.raises(ModelError, match=r"'w' of the merged model has numbers beyond the largest of torch\.float16"):
        merge_folders(models, tmp_path / "out", how="task_arithmetic", base=base)


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [checkpoint(tmp_path / str(seed), seed, shards=True) for seed in range(2)]
    merged, out = _streaming.merged, tmp_path / "place" / "out"

    def interrupting(name: str, *rest: Any) -> Tensor:
        if name == "model.norm.weight":
            raise KeyboardInterrupt
        return merged(name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(_streaming, "merged", interrupting)
        with pytest.raises(KeyboardInterrupt):
            merge_folders(models, out)
    assert list(out.parent.iterdir()) == []
    merge_folders(models, out)
    with pytest.raises(ModelError, match="exists, and is left alone; give a new name"):
        merge_folders(models, out)
    with pytest.raises(ModelError, match="cannot be written to"):
        merge_folders(models, out / "config.json" / "deeper")


# --- memory ---------------------------------------------------------------------------------------

TENSORS, NUMBERS = 60, 2_000_000
MODEL_BYTES = TENSORS * NUMBERS * 4

PEAK = """
import json, sys
import torch
torch.set_num_threads(1)
from manyways.comparison.job import peak_memory_mb, reset_peak_memory
from manyways.methods.merging.merge import merge_folders
how, base, one, two, out = sys.argv[1:]
reset_peak_memory()
before = peak_memory_mb()
merge_folders([one, two], out, how=how, base=base if how == "ties" else None)
print(json.dumps((peak_memory_mb() - before) * 1e6))
"""


def large(folder: Path, value: float) -> Path:
    """A checkpoint of 480 MB that takes hardly any room on the disk: zeros, but for one number in each tensor."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "any", "architectures": ["Any"]}))
    each = NUMBERS * 4
    header = json.dumps(
        {
            f"layer.{at}": {"dtype": "F32", "shape": [NUMBERS], "data_offsets": [at * each, (at + 1) * each]}
            for at in range(TENSORS)
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + MODEL_BYTES)
        for at in range(TENSORS):
            file.seek(8 + len(header) + at * each)
            file.write(torch.tensor([value]).numpy().tobytes())
    return folder


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="elsewhere a peak cannot be measured anew")
@pytest.mark.parametrize("how", ["linear", "ties"])
def test_a_merge_holds_a_few_tensors_and_no_model(tmp_path: Path, how: str) -> None:
    folders = [large(tmp_path / str(value), value) for value in (0.0, 1.0, 3.0)]
    command = [sys.executable, "-c", PEAK, how, *map(str, folders), str(tmp_path / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    grown = float(done.stdout)
    assert grown < MODEL_BYTES / 4, f"{grown / 1e6:.0f} MB for tensors of 8 MB"
    from safetensors import safe_open

    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        first = [float(file.get_slice(f"layer.{at}")[:1]) for at in (0, TENSORS - 1)]
    assert first == [2.0, 2.0]
