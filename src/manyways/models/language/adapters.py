"""Adapters: low-rank matrices beside frozen weights (Hu et al., LoRA, ICLR 2022), as the peft library has them."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from manyways.checked_json import read
from manyways.damaged import reason
from manyways.errors import ManywaysError, ModelError, NeedsError, ParameterError
from manyways.models.language.forward import plain
from manyways.models.rebuilding import Within
from manyways.models.tensor_files import read_facts
from manyways.models.weights import read_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LISTED = ("target_modules", "modules_to_save")
BASE = "base"
"""Place in a folder of adapters of the model that they are for, if it is no checkpoint that lies elsewhere."""
NetworkT = TypeVar("NetworkT", bound=nn.Module)
TASKS = {"causal": "CAUSAL_LM", "reward": "SEQ_CLS"}
"""Task types of peft by objective; it then leaves the head alone, or trains it with the adapters."""


def has_adapters(network: Any) -> bool:
    """True if adapters stand beside the weights of `network`."""
    return hasattr(network, "get_base_model")


def with_adapters(
    network: nn.Module, objective: str, rank: int, alpha: float, dropout: float, modules: Sequence[str]
) -> Any:
    """`network` with all its weights frozen and new adapters beside them, which say nothing yet.

    The adapters of a matrix W are B A of rank `rank`, scaled by alpha / rank; A is drawn at random, B is 0. modules:
    ends of the names of the linear layers that get them, or `all-linear` for all but the head.

    Raises:
        ParameterError: No layer has such a name.
    """
    peft = _peft()
    with _quiet(), _named_layers(network, modules):
        return peft.get_peft_model(network, _config(rank, alpha, dropout, modules, TASKS.get(objective)))


def insert_adapters(body: nn.Module, rank: int, alpha: float, dropout: float, modules: Sequence[str]) -> None:
    """Insert adapters into `body` itself, which stays what it is for those who call it; see `with_adapters`."""
    peft = _peft()
    with _quiet(), _named_layers(body, modules):
        peft.inject_adapter_in_model(_config(rank, alpha, dropout, modules), body)


def without_inserted(network: NetworkT) -> NetworkT:
    """A copy of `network` in which inserted adapters are added to the weights they stand beside."""
    import copy

    network = copy.deepcopy(network)
    layer = _peft().tuners.lora.LoraLayer
    for name, module in list(network.named_modules()):
        if isinstance(module, layer):
            module.merge()
            above, _, own = name.rpartition(".")
            setattr(network.get_submodule(above), own, module.get_base_layer())
    return network


def _config(rank: int, alpha: float, dropout: float, modules: Sequence[str], task: str | None = None) -> Any:
    return _peft().LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, task_type=task,
        target_modules="all-linear" if tuple(modules) == ("all-linear",) else list(modules),
    )  # fmt: skip


@contextmanager
def _named_layers(network: nn.Module, modules: Sequence[str]) -> Iterator[None]:
    """Says in a ParameterError which layers there are, where peft finds none."""
    try:
        yield
    except ValueError as error:
        linear = {name.rpartition(".")[2] for name, part in network.named_modules() if isinstance(part, nn.Linear)}
        raise ParameterError(
            f"lora_modules must be names of linear layers, here {', '.join(sorted(linear))}, or all-linear; got "
            f"{', '.join(modules) or 'none'}."
        ) from error


def merged(network: Any) -> Any:
    """A copy of `network` without adapters, W + B A · alpha / rank in the place of W. `network` stays as it is."""
    import copy

    with _quiet():
        return copy.deepcopy(network).merge_and_unload()


@contextmanager
def without_adapters(network: Any) -> Iterator[None]:
    """Let `network` be its frozen base within this context: a reference that takes no memory of its own."""
    with network.disable_adapter():
        yield


def base_weights(network: Any) -> dict[str, Tensor]:
    """The frozen weights under the names that they have without adapters."""
    return {
        name.replace(".base_layer.", ".").replace(".original_module.", "."): tensor
        for name, tensor in plain(network).state_dict().items()
        if not any(part.startswith("lora_") or part == "modules_to_save" for part in name.split("."))
    }


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and numbers."""
    hasher = hashlib.blake2b(digest_size=16)
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def write_adapters(network: Any, folder: Path, checkpoint: str | None, tokenizer: Any) -> dict[str, Any]:
    """Write the adapters into `folder` as peft loads them, and how to know their base again, as JSON values.

    checkpoint: where the base lies; None writes it beside the adapters.
    """
    weights = base_weights(network)
    if checkpoint is None:
        plain(network).save_pretrained(folder / BASE, state_dict=dict(weights))  # of tied weights it takes one out
        tokenizer.save_pretrained(folder / BASE)
    place = BASE if checkpoint is None else str(Path(checkpoint).resolve()) if Path(checkpoint).exists() else checkpoint
    with _quiet():
        network.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's form to fill in, about nothing of this model
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    # peft keeps them as a set, whose order is another in another process: the same model is written the same.
    modules = {key: sorted(value) for key, value in config.items() if key in LISTED and isinstance(value, list)}
    text = json.dumps({**config, **modules, "base_model_name_or_path": place}, indent=2, sort_keys=True)
    (folder / CONFIG).write_text(text, encoding="utf-8")
    return {"base": {"place": place, "fingerprint": fingerprint(weights)}}


def base_of(folder: Path) -> str:
    """The folder or Hub name of the model that the adapters in `folder` are for. Raises ModelError without one."""
    config = read(folder / CONFIG, str(folder / CONFIG), ModelError)
    stated, kind = config.get("base_model_name_or_path", str, ""), config.get("peft_type", str)
    if config.members.get("megatron_config"):
        # peft imports what stands beside it as megatron_core.
        raise ModelError(f"{folder / CONFIG} names a module to import, megatron_core, which no file may ask for.")
    if kind != "LORA":
        raise ModelError(f"{folder} holds adapters of the kind {kind}; LORA is the kind that is read.")
    if (folder / BASE).is_dir():
        return str(folder / BASE)
    gone = Path(stated).is_absolute() and not Path(stated).exists()
    if gone or not stated:
        raise ModelError(
            f"The adapters in {folder} are for {stated or 'a model that they do not name'}, which is not there. Put it "
            f"back, or copy it to {folder / BASE}."
        )
    return stated


def add_adapters(network: nn.Module, folder: Path, expected: str | None = None) -> Any:
    """`network` with the adapters in `folder`. expected: the fingerprint that the network must have.

    Raises:
        ModelError: The network is another than theirs, or the adapters are no safetensors file or not whole.
    """
    peft = _peft()
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}: adapters are only read from safetensors. Save them again.")
    if expected is not None and fingerprint(network.state_dict()) != expected:
        raise ModelError(
            f"The weights of {base_of(folder)} have changed since the adapters in {folder} were learned for them, so "
            "they do not go together any more. Put the checkpoint back as it was."
        )
    given = read_tensors(folder / WEIGHTS)
    try:
        with _quiet(), Within(read_facts(folder / WEIGHTS), folder / WEIGHTS):
            adapted = peft.PeftModel.from_pretrained(network, folder, torch_device="cpu")
    except ManywaysError:
        raise
    except Exception as error:  # what its config may hold is checked in as many ways as it has fields
        raise ModelError(f"The adapters in {folder} do not fit {base_of(folder)}: {reason(error)}.") from error
    needed = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    if lost := sorted(needed.keys() ^ given.keys()):
        raise ModelError(
            f"The adapters in {folder} do not fit {base_of(folder)}: {len(lost)} of their weights have no counterpart, "
            f"the first is {lost[0]}."
        )
    return adapted


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what peft and transformers have to say to each other."""
    from manyways.models.backbones._checkpoints import quiet

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise NeedsError("LoRA needs the peft library: pip install 'manyways[language]'.") from error
    return peft
