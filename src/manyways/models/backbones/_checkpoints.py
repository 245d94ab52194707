"""Checkpoints of the transformers library: safetensors only, no remote code, folders without network."""

import io
import json
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from manyways import checked_json
from manyways.errors import ModelError, NeedsError

Value = TypeVar("Value")

DEFAULT_TEXT_LENGTH = 512
"""Tokens, for checkpoints that state no limit."""
GGUF = ".gguf"
UNLIMITED = 10**9
"""Tokenizers without a limit state an absurdly large one."""


def located(checkpoint: str) -> tuple[str, dict[str, Any]]:
    """The folder or Hub name of `checkpoint`, and how transformers' `from_pretrained` reads it: without remote code.

    A .gguf file is read out of its folder. Raises ModelError where a folder holds no checkpoint or not all of it, and
    NeedsError where the library that reads .gguf is not there.
    """
    path = Path(checkpoint)
    if path.suffix.lower() == GGUF:
        if not path.is_file():
            raise ModelError(f"There is no file {checkpoint!r}. Give the path of a .gguf file on this machine.")
        try:
            import gguf  # noqa: F401
        except ImportError as error:
            raise NeedsError(".gguf files need the gguf library: pip install 'manyways[language]'.") from error
        return str(path.parent), {"trust_remote_code": False, "local_files_only": True, "gguf_file": path.name}
    if path.is_dir():
        check_folder(path)
    return checkpoint, {"trust_remote_code": False, "local_files_only": path.is_dir()}


def read_weights(checkpoint: str, model_class: Any, dtype: torch.dtype, **more: Any) -> tuple[Any, dict[str, Any]]:
    """The model of `checkpoint` with weights of `dtype`, those of a .gguf file expanded to it, and a report of both."""
    place, options = located(checkpoint)
    options |= {"dtype": dtype, "output_loading_info": True, **more}
    silence: AbstractContextManager[Any] = nullcontext()
    if "gguf_file" in options:
        from transformers import GgufConfig

        options["quantization_config"] = GgufConfig(dequantize=True)
        silence = redirect_stderr(io.StringIO())  # a progress bar that nothing else turns off
    else:
        options["use_safetensors"] = True
        if not Path(checkpoint).is_dir():  # that of a folder was looked at when it was located
            refuse_kernels(_hub_config(place), checkpoint)
    with quiet(), silence:
        model, report = guarded(checkpoint, lambda: model_class.from_pretrained(place, **options))
    return model, report


def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The model of a transformers config, with random weights. Raises ModelError on an unknown type."""
    transformers = transformers_library()
    values = dict(architecture)
    refuse_kernels(values, "the saved architecture")
    try:
        config = transformers.CONFIG_MAPPING[values.get("model_type", "")].from_dict(values)
    except KeyError as error:
        raise ModelError(
            f"The installed transformers {transformers.__version__} does not know the model type {error}; "
            "upgrade it: pip install --upgrade transformers."
        ) from error
    model: nn.Module = _used_part(transformers.AutoModel.from_config(config, trust_remote_code=False), config)
    return model


def load(checkpoint: str) -> tuple[Any, dict[str, Any]]:
    """The model of a folder or Hub name with its weights in float32, and its config as JSON values.

    Raises ModelError when it does not exist, is damaged, holds pickled weights only, or lacks weights.
    """
    transformers = transformers_library()
    place, options = located(checkpoint)
    config = guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    if getattr(config, "apply_spec_augment", False):
        # It masks with NumPy's global generator, out of reach of a run's seed; augmenting is the views' task.
        config.apply_spec_augment = False
    body, missing = _read_weights(checkpoint, transformers.AutoModel, config)
    stated = getattr(transformers, (getattr(config, "architectures", None) or [""])[0], None)
    if missing and stated is not None:
        # Tied embeddings may be stored under the name of the head, which only the whole model knows.
        body, missing = _read_weights(checkpoint, stated, config)
    if missing:
        raise ModelError(
            f"The checkpoint {checkpoint!r} lacks {len(missing)} weights of its own architecture, the first "
            f"is {missing[0]!r}; it is damaged or was saved from another model."
        )
    return body, json.loads(config.to_json_string(use_diff=False))


def _read_weights(checkpoint: str, model_class: Any, config: Any) -> tuple[Any, list[str]]:
    """The part of the model that gives features, and the names of its weights that the checkpoint lacks."""
    model, report = read_weights(checkpoint, model_class, torch.float32, config=config)
    body = _used_part(model.base_model, config)
    used = {id(parameter) for parameter in body.parameters()}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in used}
    return body, sorted(names & set(report["missing_keys"]))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bar and the report of unused weights, whose news `load` raises itself."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def image_settings(checkpoint: str, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Size (height, width), mean and std per channel that the checkpoint's images are prepared with.

    Where it does not say: its architecture's size or 224, and 0.5, with a warning.
    """
    saved = _preprocessor(checkpoint)
    stated = saved.get("crop_size") or saved.get("size") or {}
    size = architecture.get("image_size") or stated or 224
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge", 224)
        size = [size.get("height", edge), size.get("width", edge)]
    channels = architecture.get("num_channels", 3)
    if "image_mean" not in saved or "image_std" not in saved:
        warnings.warn(
            f"The checkpoint {checkpoint!r} states no image_mean and image_std in preprocessor_config.json; "
            "0.5 is used for both.",
            stacklevel=2,
        )
    return {
        "size": [int(size), int(size)] if isinstance(size, int | float) else [int(side) for side in size],
        "mean": list(saved.get("image_mean", [0.5] * channels)),
        "std": list(saved.get("image_std", [0.5] * channels)),
    }


def audio_settings(checkpoint: str) -> tuple[int, bool]:
    """Samples per second, and whether each clip is standardised. Raises ModelError if no rate is stated."""
    saved = _preprocessor(checkpoint)
    if "sampling_rate" not in saved:
        raise ModelError(f"The checkpoint {checkpoint!r} states no sampling_rate in preprocessor_config.json; add it.")
    return int(saved["sampling_rate"]), bool(saved.get("do_normalize", True))


def load_tokenizer(checkpoint: str) -> tuple[Any, int, int]:
    """The tokenizer, its length limit in tokens and its padding id; see `pretrained_tokenizer`."""
    transformers = transformers_library()
    place, options = located(checkpoint)
    with quiet():
        tokenizer = guarded(checkpoint, lambda: transformers.AutoTokenizer.from_pretrained(place, **options))
    config = guarded(checkpoint, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if padding is None:
        raise ModelError(f"The tokenizer of {checkpoint!r} has neither a padding nor an end-of-text token.")
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    stated = [int(limit) for limit in limits if limit is not None and 0 < limit < UNLIMITED]
    return tokenizer, min(stated, default=DEFAULT_TEXT_LENGTH), int(padding)


def transformers_library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise NeedsError(
            "Pretrained checkpoints need the transformers library: pip install 'manyways[language]'."
        ) from error
    return transformers


def _used_part(model: Any, config: Any) -> Any:
    """The encoder of an encoder-decoder, and no pooler with weights: features are averaged hidden states."""
    body: Any = model.get_encoder() if getattr(config, "is_encoder_decoder", False) else model
    pooler = getattr(body, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        body.pooler = None
    body.main_input_name = model.main_input_name
    return body


def guarded(checkpoint: str, read: Callable[[], Value]) -> Value:
    """What `read` gives. Raises ModelError, with the checkpoint, where it cannot be read."""
    from safetensors import SafetensorError

    broken: tuple[type[Exception], ...] = (OSError, ValueError, SafetensorError)
    file = Path(checkpoint).suffix.lower() == GGUF
    if file:  # its reader checks little of what it reads
        broken = (
            *broken,
            LookupError,
            TypeError,
            AttributeError,
            AssertionError,
            RuntimeError,
            MemoryError,
            struct.error,
        )
    try:
        return read()
    except broken as error:
        reason = (str(error) or type(error).__name__).strip().split("\n")[0].rstrip(".")
        place = "file" if file else "folder" if Path(checkpoint).is_dir() else "Hub checkpoint"
        raise ModelError(
            f"The {place} {checkpoint!r} cannot be loaded: {reason}. Only weights in safetensors or .gguf are read, "
            "without remote code; a Hub name needs the network or an earlier download, files on this machine neither."
        ) from error


def check_folder(folder: Path) -> None:
    """Raise ModelError where `folder` holds no checkpoint, not all of it, or one that names code to be run."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no checkpoint of transformers: it has no config.json.")
    where = f"The folder {str(folder)!r} cannot be loaded: its config.json"
    refuse_kernels(checked_json.read(folder / "config.json", where, ModelError).members, folder)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{index} is damaged: {error!r}. Copy the checkpoint again.") from error
        absent = sorted(shard for shard in shards if not (folder / shard).is_file())
        if absent:
            raise ModelError(
                f"{folder} lacks {len(absent)} of {len(shards)} weight files, the first is {absent[0]}. "
                "Copy the checkpoint again."
            )
    elif not (folder / "model.safetensors").is_file():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        found = f"only {pickled[0]}, a pickle, which is never loaded" if pickled else "no weights"
        raise ModelError(
            f"{folder} has no model.safetensors: it holds {found}. Save it again with "
            "model.save_pretrained(folder), which writes safetensors."
        )


def refuse_kernels(config: Any, where: str | Path) -> None:
    """Raise ModelError where a config names a kernel of the Hub, which is code that transformers would run."""
    ahead = [config]
    while ahead:
        each = ahead.pop()
        if isinstance(each, Mapping):
            for name, value in each.items():
                if str(name).endswith("attn_implementation") and "/" in json.dumps(value):
                    raise ModelError(
                        f"{where} names {checked_json.shown(value)} as its attention, code that would be fetched and "
                        f"run, which no file may ask for. Take {name} out of its config.json."
                    )
                ahead.append(value)
        elif isinstance(each, list):
            ahead += each


def _hub_config(name: str) -> Mapping[str, Any]:
    """What config.json says of a checkpoint on the Hub; empty where it has none, as adapters have."""
    try:
        found: Mapping[str, Any] = transformers_library().PreTrainedConfig.get_config_dict(name)[0]
    except (OSError, ValueError):
        return {}
    return found


def _preprocessor(checkpoint: str) -> dict[str, Any]:
    """What preprocessor_config.json says; empty where there is none."""
    from transformers.utils.hub import cached_file

    folder = Path(checkpoint)
    if folder.is_dir():
        path = folder / "preprocessor_config.json"
    else:
        found = guarded(
            checkpoint,
            lambda: cached_file(checkpoint, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False),
        )
        path = Path(found) if found else folder / "absent"
    if not path.is_file():
        return {}
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}.") from error
    return dict(saved)
