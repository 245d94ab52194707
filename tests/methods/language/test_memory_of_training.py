"""What makes real sizes fit: micro-batches, gradient checkpointing, frozen weights in bfloat16, no copy of a start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases._rewards import likeness
from manyways.methods.bases.language import LanguageMethod
from manyways.methods.preference.grpo import GRPO
from manyways.models.language.checkpointing import gradient_checkpointing
from manyways.models.language.forward import plain
from manyways.models.language_model import LanguageModel, from_checkpoint
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


@pytest.fixture(scope="module")
def pairs() -> Data:
    """Prompts with a right and a wrong answer, and running text."""
    return mw.read("arithmetic").select(np.arange(120))


@pytest.fixture(scope="module")
def checkpoint(pairs: Data, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small trained model as a plain folder of transformers, of which nothing is known but its name."""
    model = mw.Pretrain(tokenizer="characters", context=32, size=0.2, batch_size=8).fit(pairs, budget=30)
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


METHODS: dict[str, LanguageMethod[Any]] = {
    "sft": mw.SFT(batch_size=7),
    "dpo": mw.DPO(batch_size=7),
    "ipo": mw.DPO(batch_size=7, loss_type="ipo"),
    "reward-model": mw.RewardModel(batch_size=7),
    "grpo": GRPO(batch_size=5, group_size=3, longest=8, reward=likeness),
    "dapo": GRPO(batch_size=5, group_size=3, longest=8, reward=likeness, aggregation="dapo"),
    "pretrain": mw.Pretrain(batch_size=7, context=16),
    "masked-lm": mw.MaskedLM(batch_size=7, tokenizer="characters", context=16, size=0.2),
}


def gradients(method: LanguageMethod[Any], data: Data, checkpoint: str) -> dict[str, Tensor]:
    """Of all parameters, after the first step."""
    method = replace(method, clip=None, precision="float32")
    if method.objective != "masked":
        method = replace(method, checkpoint=checkpoint)
    torch.manual_seed(0)
    learner = method.begin(data, None, 0)
    method.prepare(learner)
    take_step(method, learner, make_optimizer(method, learner), 0, 10, 0)
    return {name: p.grad for name, p in learner.network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("options", [{"micro_batch_size": 2}, {"gradient_checkpointing": True}])
def test_the_gradient_is_that_of_the_whole_batch(
    name: str, options: dict[str, Any], pairs: Data, checkpoint: str
) -> None:
    whole = gradients(METHODS[name], pairs, checkpoint)
    parts = gradients(replace(METHODS[name], **options), pairs, checkpoint)
    assert whole.keys() == parts.keys()
    assert any(gradient.abs().sum() > 0 for gradient in whole.values())
    for key, gradient in whole.items():
        torch.testing.assert_close(
            parts[key], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_no_more_rows_go_through_the_network_than_a_micro_batch(pairs: Data, checkpoint: str) -> None:
    method = mw.SFT(checkpoint=checkpoint, batch_size=8, micro_batch_size=2)
    learner = method.begin(pairs, None, 0)
    lines: list[int] = []
    learner.network.register_forward_pre_hook(
        lambda _, __, options: lines.append(len(options["input_ids"])), with_kwargs=True
    )
    take_step(method, learner, make_optimizer(method, learner), 0, 10, 0)
    assert len(lines) == 4
    assert max(lines) <= 2


def test_checkpointed_layers_keep_little(pairs: Data, checkpoint: str) -> None:
    """What is held for the backward pass, and that nothing of it stays on the network."""
    model = from_checkpoint(checkpoint)
    network, ids = model.network.train(), torch.randint(4, 12, (8, 30))

    def held() -> int:
        total = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(input_ids=ids, labels=ids, use_cache=False)
        return total

    plainly = held()
    with gradient_checkpointing(network):
        assert held() < 0.6 * plainly
    assert held() == plainly
    assert all("forward" not in vars(part) for part in network.modules())


@pytest.mark.quick
def test_dropout_is_the_same_when_a_layer_is_computed_again() -> None:
    class Layer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x * x, 0.5, training=True)

    network = nn.Module()
    network.layers = nn.ModuleList([Layer()])
    x = torch.ones(1000, requires_grad=True)
    with gradient_checkpointing(network):
        out = network.layers[0](x)
    out.sum().backward()
    assert torch.equal(x.grad == 0, out == 0)


def test_frozen_weights_may_be_of_half_the_size(pairs: Data, checkpoint: str, tmp_path: Path) -> None:
    method = mw.SFT(checkpoint=checkpoint, lora=4, dtype="bfloat16", learning_rate=3e-3, batch_size=8)
    model = method.fit(pairs, budget=20)
    assert isinstance(model, LanguageModel)
    types = {("lora_" in name, p.dtype) for name, p in model.network.named_parameters()}
    assert types == {(True, torch.float32), (False, torch.bfloat16)}
    before = from_checkpoint(checkpoint, dtype=torch.bfloat16).evaluate(pairs)["nats_per_token"]
    scores = model.evaluate(pairs)
    assert scores["nats_per_token"] < before - 0.05
    again = mw.load(model.save(tmp_path / "model"))
    assert again.evaluate(pairs) == scores
    assert model.embed(pairs).dtype == np.float32
    whole = model.merged()
    assert plain(whole.network).dtype == torch.bfloat16
    assert mw.load(whole.save(tmp_path / "whole")).network.dtype == torch.bfloat16


@pytest.mark.quick
def test_all_weights_do_not_learn_in_bfloat16() -> None:
    with pytest.raises(ParameterError, match=r"SFT\.dtype must be .float32. where all weights learn.*lora=8"):
        mw.SFT(dtype="bfloat16")


def test_a_reference_is_the_network_without_its_adapters(pairs: Data, checkpoint: str) -> None:
    method = GRPO(
        checkpoint=checkpoint,
        lora=4,
        beta=0.1,
        batch_size=4,
        group_size=3,
        longest=8,
        reward=likeness,
        learning_rate=1e-2,
    )
    learner = method.begin(pairs, None, 0)
    assert learner.reference is None
    start = from_checkpoint(checkpoint).network
    optimizer = make_optimizer(method, learner)
    for step in range(3):
        take_step(method, learner, optimizer, step, 10, 0)
    learner.roll_out(learner.positions[:4], torch.Generator().manual_seed(0))
    with torch.no_grad():
        packed = learner.packed(torch.ones(4, dtype=torch.bool))
        expected = learner.log_probabilities(start, packed)
        now = learner.log_probabilities(learner.network, packed)
    torch.testing.assert_close(learner.referred[learner.token_mask], expected, rtol=1e-4, atol=1e-5)
    assert (now - expected).abs().max() > 1e-3


def test_the_learning_rate_suits_the_start(pairs: Data, checkpoint: str) -> None:
    """A model that was made here takes larger steps than one that knows much already; a chain remembers its root."""
    here = mw.Pretrain(tokenizer="characters", context=32, size=0.2, batch_size=8).fit(pairs, budget=1)
    pretrained = mw.SFT(checkpoint=checkpoint, batch_size=4).fit(pairs, budget=1)
    rates = mw.SFT.rates

    def rate(method: LanguageMethod[Any], model: Any = None) -> float:
        return method.highest_rate(method.begin(pairs, model, 0))

    assert rate(mw.SFT(batch_size=4), here) == rates.new
    assert (
        rate(mw.SFT(batch_size=4, checkpoint=checkpoint)) == rate(mw.SFT(batch_size=4), pretrained) == rates.pretrained
    )
    assert rate(mw.SFT(batch_size=4, checkpoint=checkpoint, lora=2)) == rates.adapters
    assert rate(mw.SFT(batch_size=4, learning_rate=0.5), here) == 0.5
    assert pretrained.lineage.facts["learning_rate"] == rates.pretrained
    learner = mw.SFT(batch_size=4, checkpoint=checkpoint).begin(pairs, None, 0)
    assert make_optimizer(mw.SFT(checkpoint=checkpoint), learner).param_groups[0]["lr"] == rates.pretrained
