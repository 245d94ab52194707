"""LoRA: adapters learn beside frozen weights, in the form that the peft library loads."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError, ParameterError
from manyways.models.language.adapters import BASE, CONFIG, WEIGHTS, base_weights, has_adapters, without_adapters
from manyways.models.language.forward import plain
from manyways.models.language_model import LanguageModel, from_checkpoint
from manyways.training.checkpoint import NAME
from manyways.training.events import Event
from manyways.training.run import Run

pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
"""Of peft, where these tests call it."""


@pytest.fixture(scope="module")
def pairs() -> Data:
    """200 prompts with a right and a wrong answer, a tenth for testing."""
    return mw.read("arithmetic").select(np.arange(200)).with_test(0.1)


@pytest.fixture(scope="module")
def start(pairs: Data) -> LanguageModel:
    made = mw.Pretrain(tokenizer="characters", context=32, size=0.35).fit(pairs, budget=60)
    assert isinstance(made, LanguageModel)
    return made


@pytest.fixture(scope="module")
def checkpoint(start: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The start as a plain folder of transformers."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    start.network.save_pretrained(folder)
    start.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapted(pairs: Data, checkpoint: Path) -> LanguageModel:
    made = mw.SFT(checkpoint=str(checkpoint), lora=4, learning_rate=5e-3, batch_size=8).fit(pairs, budget=30)
    assert isinstance(made, LanguageModel)
    return made


def logits(network: Any) -> Tensor:
    with torch.inference_mode():
        found: Tensor = network(torch.arange(4, 16)[None]).logits
    return found


def plain_weights(model: LanguageModel) -> dict[str, Tensor]:
    return base_weights(model.network) if has_adapters(model.network) else dict(model.network.state_dict())


def learned(model: LanguageModel) -> dict[str, Tensor]:
    """What stands beside the base."""
    kept = {name: tensor for name, tensor in plain(model.network).state_dict().items() if "lora_" in name}
    return kept | {n: t for n, t in plain(model.network).state_dict().items() if "modules_to_save" in n}


# --- what learns ---------------------------------------------------------------------------------


def test_only_adapters_learn_and_they_do(adapted: LanguageModel, start: LanguageModel, pairs: Data) -> None:
    before, after = start.network.state_dict(), base_weights(adapted.network)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    halves = {name: tensor for name, tensor in learned(adapted).items() if "lora_B" in name}
    assert halves
    assert all(tensor.abs().max() > 0 for tensor in halves.values()), "they were 0 before the first step"
    nats = adapted.evaluate(pairs.test)["nats_per_token"]
    assert nats < start.evaluate(pairs.test)["nats_per_token"] - 0.05


@pytest.mark.parametrize(
    "method",
    [
        mw.Pretrain(lora=2, context=32),
        mw.SFT(lora=2, lora_dropout=0.1),
        mw.DPO(lora=2, lora_alpha=8.0),
        mw.KTO(lora=2, lora_modules=("q_proj", "v_proj")),
        mw.RewardModel(lora=2),
    ],
    ids=lambda method: method.method_name(),
)
def test_every_method_leaves_the_base_as_it_was(method: Any, start: LanguageModel, pairs: Data, tmp_path: Path) -> None:
    model = method.fit(pairs, start, budget=3)
    base, before = base_weights(model.network), start.network.state_dict()
    shared = base.keys() & before.keys()
    assert len(shared) > 10
    assert all(torch.equal(base[name], before[name]) for name in shared)
    assert learned(model)
    loaded = mw.load(model.save(tmp_path / "model"))
    assert loaded.evaluate(pairs.test) == model.evaluate(pairs.test)


def test_masked_models_have_adapters_too(pairs: Data, tmp_path: Path) -> None:
    start = mw.MaskedLM(tokenizer="characters", context=32, size=0.2).fit(pairs, budget=3)
    model = mw.MaskedLM(lora=2, context=32).fit(pairs, start, budget=3)
    assert isinstance(model, LanguageModel)
    assert all(torch.equal(t, start.network.state_dict()[name]) for name, t in base_weights(model.network).items())
    loaded = mw.load(model.save(tmp_path / "model"))
    assert np.array_equal(loaded.embed(pairs.test), model.embed(pairs.test))
    assert loaded.evaluate(pairs.test) == model.evaluate(pairs.test)


def test_a_reward_head_learns_with_the_adapters(start: LanguageModel, pairs: Data) -> None:
    model = mw.RewardModel(lora=2, learning_rate=1e-2).fit(pairs, start, budget=3)
    assert isinstance(model, LanguageModel)
    head = plain(model.network).score
    assert not torch.equal(head.modules_to_save["default"].weight, head.original_module.weight)


def test_the_scale_is_alpha_by_rank(start: LanguageModel, pairs: Data) -> None:
    for alpha, scale in ((None, 2.0), (3.0, 0.75)):
        model = mw.SFT(lora=4, lora_alpha=alpha).fit(pairs, start, budget=1)
        layer = plain(model.network).model.layers[0].self_attn.q_proj
        assert layer.scaling == {"default": scale}
        assert layer.lora_A["default"].weight.shape == (4, start.network.config.hidden_size)


def test_layers_are_chosen_by_their_names(start: LanguageModel, pairs: Data) -> None:
    model = mw.SFT(lora=2, lora_modules=("q_proj", "up_proj")).fit(pairs, start, budget=1)
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in learned(model)} == {"q_proj", "up_proj"}
    everything = {
        name.split(".lora_")[0].rpartition(".")[2] for name in learned(mw.SFT(lora=2).fit(pairs, start, budget=1))
    }
    assert everything == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    with pytest.raises(ParameterError, match=r"names of linear layers, here .*q_proj.*, or all-linear; got query"):
        mw.SFT(lora=2, lora_modules=("query",)).fit(pairs, start, budget=1)


def test_a_new_model_has_nothing_to_adapt(pairs: Data) -> None:
    with pytest.raises(
        NeedsError, match=r'starts from a model; name one, checkpoint="FOLDER", or chain it: pretrain >>'
    ):
        mw.Pretrain(lora=4).fit(pairs)


def test_a_run_keeps_no_frozen_weights(start: LanguageModel, pairs: Data, tmp_path: Path) -> None:
    """They are those of the start, and there may be gigabytes of them."""
    kept: list[set[str]] = []

    def look(event: Event) -> None:
        if event.kind == "checkpoint":
            kept.append(set(load_file(tmp_path / NAME)))

    run = Run(tmp_path, [look], checkpoint_seconds=0)
    mw.SFT(lora=2).fit(pairs, start, budget=3, run=run)
    assert kept
    weights = [name for name in kept[-1] if name.startswith("learner.network.")]
    assert weights
    assert all("lora_" in name for name in weights)


# --- the folder ----------------------------------------------------------------------------------


def test_peft_loads_the_folder_onto_its_base(adapted: LanguageModel, checkpoint: Path, tmp_path: Path) -> None:
    import peft
    import transformers

    folder = adapted.save(tmp_path / "adapters")
    base = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    model = peft.PeftModel.from_pretrained(base, folder).eval()
    assert torch.equal(logits(model), logits(adapted.network))
    assert not torch.equal(logits(adapted.network), logits(from_checkpoint(str(checkpoint)).network))
    assert all("lora_" in name for name in load_file(folder / WEIGHTS)), "adapters only"
    assert not (folder / BASE).exists()
    assert not (folder / "README.md").exists()
    assert json.loads((folder / CONFIG).read_text())["base_model_name_or_path"] == str(checkpoint)
    assert isinstance(peft.AutoPeftModelForCausalLM.from_pretrained(folder), peft.PeftModel)


def test_a_loaded_model_says_the_same(adapted: LanguageModel, pairs: Data, tmp_path: Path) -> None:
    loaded = mw.load(adapted.save(tmp_path / "adapters"))
    assert isinstance(loaded, LanguageModel)
    assert torch.equal(logits(loaded.network), logits(adapted.network))
    assert loaded.evaluate(pairs.test) == adapted.evaluate(pairs.test)
    assert loaded.base == adapted.base
    again = mw.load(loaded.save(tmp_path / "again"))
    assert again.evaluate(pairs.test) == adapted.evaluate(pairs.test)


def test_a_base_that_lies_nowhere_is_saved_beside_its_adapters(
    start: LanguageModel, pairs: Data, tmp_path: Path
) -> None:
    import peft
    import transformers

    model = mw.SFT(lora=2).fit(pairs, start, budget=2)
    folder = model.save(tmp_path / "adapters")
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    loaded = mw.load(moved)
    assert loaded.evaluate(pairs.test) == model.evaluate(pairs.test)
    base = transformers.AutoModelForCausalLM.from_pretrained(moved / BASE)
    assert all(torch.equal(t, start.network.state_dict()[name]) for name, t in base.state_dict().items())
    assert torch.equal(logits(peft.PeftModel.from_pretrained(base, moved).eval()), logits(model.network))
    further = mw.load(loaded.save(tmp_path / "copied"))
    assert further.evaluate(pairs.test) == model.evaluate(pairs.test)


def test_merged_it_is_a_plain_model(adapted: LanguageModel, pairs: Data, tmp_path: Path) -> None:
    import transformers

    model = adapted.merged()
    assert not has_adapters(model.network)
    assert torch.allclose(logits(model.network), logits(adapted.network), atol=1e-4)
    assert has_adapters(adapted.network), "the model itself stays as it is"
    folder = model.save(tmp_path / "merged")
    assert torch.equal(logits(transformers.AutoModelForCausalLM.from_pretrained(folder)), logits(model.network))
    assert mw.load(folder).evaluate(pairs.test) == model.evaluate(pairs.test)
    assert model.merged() is model


def test_without_adapters_the_network_is_its_base(adapted: LanguageModel, start: LanguageModel) -> None:
    """A reference that takes no memory: what DPO and GRPO measure against."""
    with without_adapters(adapted.network):
        assert torch.equal(logits(adapted.network), logits(start.network))
        assert torch.equal(logits(plain(adapted.network)), logits(start.network))
    assert not torch.equal(logits(adapted.network), logits(start.network))


def test_what_follows_starts_from_what_was_learned(adapted: LanguageModel, pairs: Data, tmp_path: Path) -> None:
    """Adapters on adapters: those of the first stage are part of the second's base."""
    model = mw.DPO(lora=2).fit(pairs, adapted, budget=2)
    merged = adapted.merged().network.state_dict()
    assert all(torch.equal(tensor, merged[name]) for name, tensor in base_weights(model.network).items())
    assert model.base is None
    assert (model.save(tmp_path / "model") / BASE).is_dir()
    whole = mw.SFT().fit(pairs, adapted, budget=1)
    assert not has_adapters(whole.network)
    assert whole.network.state_dict().keys() == merged.keys()


def test_adapters_that_peft_made_are_a_checkpoint(checkpoint: Path, pairs: Data, tmp_path: Path) -> None:
    import peft
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    theirs = peft.get_peft_model(base, config).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = from_checkpoint(str(tmp_path / "theirs"))
    assert torch.equal(logits(ours.network), logits(theirs))
    assert torch.equal(logits(mw.load(tmp_path / "theirs").network), logits(theirs))
    further = mw.SFT(checkpoint=str(tmp_path / "theirs")).fit(pairs, budget=1)
    assert not has_adapters(further.network)


# --- what is refused -----------------------------------------------------------------------------


@pytest.fixture
def saved(adapted: LanguageModel, checkpoint: Path, pairs: Data, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of adapters and that of their base, both to be spoiled."""
    base = tmp_path / "base model"
    shutil.copytree(checkpoint, base)
    model = mw.SFT(checkpoint=str(base), lora=2).fit(pairs, budget=1)
    return model.save(tmp_path / "adapters"), base


def test_another_base_is_refused(saved: tuple[Path, Path]) -> None:
    folder, base = saved
    weights = load_file(base / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + 1e-3
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"weights of .*base model have changed since the adapters in .* were learned"):
        mw.load(folder)


def test_a_base_that_is_gone_is_named(saved: tuple[Path, Path]) -> None:
    folder, base = saved
    shutil.move(base, base.with_name("gone"))
    with pytest.raises(
        ModelError, match=r"are for .*base model, which is not there. Put it back, or copy it to .*base"
    ):
        mw.load(folder)


def test_a_base_with_a_missing_shard_is_refused(saved: tuple[Path, Path]) -> None:
    folder, base = saved
    (base / "model.safetensors").rename(base / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"lacks 1 of 2 weight files, the first is model-00002-of-00002"):
        mw.load(folder)


@pytest.fixture
def theirs(checkpoint: Path, tmp_path: Path) -> Path:
    """A folder that peft wrote, which no hash of ours protects."""
    import peft
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(base, config).save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def _pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


def _incomplete(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file(dict(list(weights.items())[1:]), folder / WEIGHTS)


def _other_shapes(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: torch.zeros(3, 3) for name in weights}, folder / WEIGHTS)


def _no_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"nothing")


def _changed(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**config, **values}))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_pickled, "has no adapter_model.safetensors: adapters are only read from safetensors"),
        (_incomplete, "do not fit .*: 1 of their weights have no counterpart, the first is .*lora_A"),
        (_other_shapes, "do not fit"),
        (_no_weights, "is no safetensors file"),
        (_changed(peft_type="IA3"), "adapters of the kind IA3; LORA is the kind that is read"),
        (_changed(base_model_name_or_path=None), "are for a model that they do not name, which is not there"),
        (lambda folder: (folder / CONFIG).write_text("{"), "adapter_config.json is no JSON"),
    ],
    ids=["pickle", "incomplete", "shapes", "no tensors", "kind", "no base", "damaged"],
)
def test_adapters_that_cannot_be_trusted_are_refused(theirs: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(theirs)
    with pytest.raises(ModelError, match=message):
        from_checkpoint(str(theirs))


# --- real weights --------------------------------------------------------------------------------


def test_a_story_teller_learns_answers_through_adapters(real_data: Callable[[str], Path]) -> None:
    """656,000 weights stay as they are; 39,000 learn what questions about the world are answered with."""
    checkpoint = str(real_data("tinystories-656K"))
    file = real_data("truthfulqa") / "TruthfulQA.csv"
    data = mw.read(file, prompt="Question", completion="Best Answer").select(np.arange(300)).with_test(0.2)
    before = from_checkpoint(checkpoint)
    method = mw.SFT(checkpoint=checkpoint, lora=8, learning_rate=3e-3)
    after = method.fit(data, budget=40)
    assert isinstance(after, LanguageModel)
    assert sum(tensor.numel() for tensor in learned(after).values()) < 40_000
    assert all(torch.equal(t, before.network.state_dict()[name]) for name, t in base_weights(after.network).items())
    nats = after.evaluate(data.test)["nats_per_token"]
    assert nats < before.evaluate(data.test)["nats_per_token"] - 1.0
