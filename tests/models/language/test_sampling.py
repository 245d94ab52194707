"""Sampling: what is said with a shared cache is what a pass over each whole sequence would say."""

import copy
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from manyways.models.language.ends import Ends
from manyways.models.language.probe import shares_cache
from manyways.models.language.sampling import choose, sample

PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [12], [13, 14, 15]]
END, PADDING = 7, 0


def alone(
    network: Any, prompt: list[int], number: int, answers: int, longest: int, temperature: float, seed: int
) -> list[int]:
    """Answer `number` of `answers`, by a pass over all that was said so far for every token."""
    rng, said = torch.Generator().manual_seed(seed), []
    for _ in range(longest):
        dice = torch.rand(answers, generator=rng, dtype=torch.float64)[number : number + 1]
        logits = network(input_ids=torch.tensor([[*prompt, *said]])).logits[:, -1]
        said.append(int(choose(logits, dice, temperature)))
        if said[-1] == END:
            break
    return said


@pytest.fixture(scope="module", params=["llama", "sliding", "eager", "gpt2"])
def network(request: pytest.FixtureRequest, causal: Any, tokenizer: Any) -> Any:
    """Networks that share the cache, and such whose layers see less or are given other masks."""
    import transformers

    if request.param == "llama":
        return causal
    torch.manual_seed(1)
    shape = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    special = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    if request.param == "gpt2":
        made: Any = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64, **special
            )
        )
    elif request.param == "sliding":
        config = transformers.MistralConfig(
            **shape, **special, intermediate_size=64, num_key_value_heads=1, sliding_window=4
        )
        made = transformers.MistralForCausalLM(config)
    else:
        config = transformers.LlamaConfig(**shape, **special, intermediate_size=64, attn_implementation="eager")
        made = transformers.LlamaForCausalLM(config)
    assert shares_cache(made) == (request.param not in ("sliding", "eager"))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4)
    return made.eval()


@pytest.mark.parametrize("temperature", [0.0, 1.0, 0.5])
def test_every_answer_is_what_it_would_be_alone(network: Any, temperature: float) -> None:
    """Prompts of different lengths are padded on the left, answers that end leave: neither makes a difference."""
    count, longest = 6, 12
    found = sample(
        network, PROMPTS, count=count, longest=longest, ends=Ends({END}), padding=PADDING, temperature=temperature,
        rng=torch.Generator().manual_seed(3),
    )  # fmt: skip
    lengths = {len(answer) for answers in found for answer in answers}
    if temperature == 1:
        assert len(lengths) > 3, "no answer ended early, so nothing was tried"
    with torch.no_grad():
        for row, (prompt, answers) in enumerate(zip(PROMPTS, found, strict=True)):
            for at, answer in enumerate(answers):
                number, total = row * count + at, len(PROMPTS) * count
                assert answer == alone(network, prompt, number, total, longest, temperature, 3)


def test_an_answer_ends_with_its_end(causal: Any) -> None:
    answers = sample(
        causal, PROMPTS, count=20, longest=9, ends=Ends({END}), padding=PADDING, rng=torch.Generator().manual_seed(0)
    )
    for answer in (answer for each in answers for answer in each):
        assert len(answer) == 9 or answer[-1] == END
        assert END not in answer[:-1]


def test_answers_share_their_prompt_and_leave_when_they_end(causal: Any) -> None:
    """The prompts are read once, and of the answers little more than what they say."""
    read: list[int] = []
    hook = causal.register_forward_pre_hook(
        lambda _, __, options: read.append(options["input_ids"].numel()), with_kwargs=True
    )
    prompts = [[8 + at % 15 for at in range(30)]] * 2
    answers = sample(
        causal, prompts, count=32, longest=32, ends=Ends({END}), padding=PADDING, rng=torch.Generator().manual_seed(0)
    )
    hook.remove()
    said = sum(len(answer) for each in answers for answer in each)
    longest = max(len(answer) for each in answers for answer in each)
    assert said < 64 * longest / 2, "answers are of nearly one length, so that none can leave"
    assert sum(read) < 60 + said / 0.6
    assert sum(read) < 60 + 0.8 * 64 * longest


def test_one_seed_one_text(causal: Any) -> None:
    def said(seed: int) -> list[list[list[int]]]:
        rng = torch.Generator().manual_seed(seed)
        return sample(causal, PROMPTS, count=4, longest=8, ends=Ends({END}), padding=PADDING, rng=rng)

    assert said(0) == said(0)
    assert said(0) != said(1)


def test_dropout_is_off_and_the_mode_comes_back(tokenizer: Any) -> None:
    """Also where the network fails."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64, resid_pdrop=0.5, bos_token_id=None,
        eos_token_id=1,
    )  # fmt: skip
    network: Any = transformers.GPT2LMHeadModel(config).train()
    options: dict[str, Any] = {"count": 2, "longest": 8, "ends": Ends({END}), "padding": PADDING, "temperature": 0.0}
    assert sample(network, PROMPTS, **options) == sample(network.eval(), PROMPTS, **options)
    network.train()
    with patch.object(network.transformer, "forward", side_effect=RuntimeError("broken")), pytest.raises(RuntimeError):
        sample(network, PROMPTS, **options)
    assert network.training


def test_tokens_come_as_often_as_they_are_probable() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, float("-inf"), 2.0, float("-inf")])
    dice = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000

    def shares(temperature: float, **options: Any) -> Tensor:
        tokens = choose(logits.expand(len(dice), -1), dice, temperature, **options)
        return tokens.bincount(minlength=6) / len(dice)

    torch.testing.assert_close(shares(1.0), logits.softmax(0), atol=2e-4, rtol=0)
    torch.testing.assert_close(shares(2.0), (logits / 2).softmax(0), atol=2e-4, rtol=0)
    two = torch.tensor([-torch.inf, 1.0, -torch.inf, -torch.inf, 2.0, -torch.inf]).softmax(0)
    torch.testing.assert_close(shares(1.0, top_k=2), two, atol=2e-4, rtol=0)
    torch.testing.assert_close(shares(1.0, top_p=0.8), two, atol=2e-4, rtol=0)
    assert shares(1.0, top_p=0.5)[4] == 1
    assert shares(0.0)[4] == 1


@pytest.mark.parametrize("dice", [0.0, 1 - 2**-53])
def test_the_ends_of_the_dice_are_tokens(dice: float) -> None:
    """Never one that cannot be said, nor one behind the vocabulary."""
    logits = torch.tensor([[float("-inf"), 0.3, 0.1, float("-inf")]])
    token = int(choose(logits, torch.tensor([dice], dtype=torch.float64), 1.0))
    assert token == (1 if dice == 0 else 2)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_an_answer_ends_with_words_too(causal: Any, tokenizer: Any, implementation: str) -> None:
    """Where a template ends turns by words, which may be several tokens; also in transformers' own generation."""
    network = copy.deepcopy(causal)
    network.set_attn_implementation(implementation)

    def said(ends: Ends) -> list[int]:
        rng = torch.Generator().manual_seed(1)
        return sample(network, PROMPTS[:1], count=1, longest=9, ends=ends, padding=PADDING, rng=rng)[0][0]

    free = said(Ends(()))
    words = tokenizer.decode(free[3:5])
    ends, whole = Ends((), words, tokenizer), tokenizer.decode(free)
    assert said(ends) == free[:5]
    assert ends.text(free) == whole.partition(words)[0].removeprefix("<|end|>").rstrip()
