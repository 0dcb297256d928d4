"""Export the merged model as GGUF files for llama.cpp and Ollama, with a Modelfile and a proof.

llama.cpp's converter is a script of its repository and no package, so the `gguf` package (llama.cpp's own names and
writer) is used directly. The proof: the file read back by transformers gives the same prompt ids and, for f16, the same
greedy tokens on every prompt; for q8_0, which rounds weights to 8 bits, their number is printed. `ftlib export gguf
--run RUN`, then `ollama create NAME -f RUN/gguf/Modelfile`.

Sources: the GGUF specification (github.com/ggml-org/ggml, docs/gguf.md); Ollama's Modelfile reference.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from jinja2 import TemplateError

from ftlib.config.settings import Config
from ftlib.generation.batched import answer_prompts
from ftlib.models.checks import gguf_problem
from ftlib.models.loading import load_plain, load_tokenizer
from ftlib.prompts.encoding import encode_prompt, end_ids, end_of_turn_id
from ftlib.prompts.templates import TEMPLATE, build_prompt, open_prompt
from ftlib.runtime import hardware
from ftlib.runtime.console import log
from ftlib.runtime.errors import FtlibError
from ftlib.runtime.files import replacing, write_json, write_text

TYPES = {  # name: (type of the matrices, type of the file)
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
BLOCK = 32  # weights of a q8_0 block: a row must hold complete blocks
# {type of the pre-tokenizer: its name in llama.cpp}
PRE_TOKENIZERS = {"ByteLevel": "gpt-2", "Digits ByteLevel": "smollm", "Split ByteLevel": "llama-bpe"}
SPACE = "▁"  # how SentencePiece writes a space
PROOF_TOKENS = 48
# what all engines implement alike: greedy decoding without any change of the logits
PLAIN_GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram": 0, "length_decay": None, "beams": 1}


class ExportError(FtlibError):
    """The model cannot be written as GGUF, or the file does not reproduce it; the message says what to do."""


def export(
    cfg: Config, dataset, merged: Path, folder: Path, types: tuple[str, ...] = ("f16", "q8_0"), prompts: int = 20
) -> dict:
    """Write the files into `folder` and prove them on `prompts` rows of the test split; returns the proof. Raises ExportError."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, model = load_tokenizer(cfg.model.name), load_plain(str(merged), "float32")
    if problem := gguf_problem(model.config):
        raise ExportError(problem)
    input_texts = list(dataset["test"].select(range(min(prompts, len(dataset["test"]))))["input_text"])
    generation = cfg.generation.model_copy(
        update=PLAIN_GREEDY | {"max_new_tokens": min(PROOF_TOKENS, cfg.generation.max_new_tokens)}
    )
    completions, ends = answer_prompts(model, tokenizer, input_texts, generation), end_ids(tokenizer, model)
    proof: dict = {"prompts": len(input_texts), "new_tokens": generation.max_new_tokens}
    for name in types:
        path = folder / f"model-{name}.gguf"
        write(model, tokenizer, path, name, cfg.model.name)
        comparison = read_back(path, tokenizer, input_texts, generation, completions, ends)
        proof[name] = {"bytes": path.stat().st_size, **comparison}
        agreement = f"{comparison['same_words']} of {len(input_texts)} prompts answered alike"
        log.info(f"  {path.name}: {path.stat().st_size / 2**20:.0f} MiB, {agreement} by transformers")
        if not comparison["same_ids"]:
            raise ExportError(
                f"{path.name}: prompt ids differ from those of the model's tokenizer; do not use this file, and report this model"
            )
        if name == "f16" and comparison["same_words"] < len(input_texts):
            raise ExportError(
                f"{path.name}: {agreement}, required are all; do not use this file, and report this model"
            )
    write_text(folder / "Modelfile", modelfile(cfg, tokenizer, f"model-{types[0]}.gguf", ends))
    write_json(folder / "proof.json", proof)
    return proof


def write(model, tokenizer, path: Path, kind: str, base: str) -> None:
    """Write one file, complete or not at all. kind: a name of TYPES; vectors stay in float32."""
    with replacing(path) as partial, contextlib.closing(gguf.GGUFWriter(str(partial), "llama")) as writer:
        _fill(writer, model, tokenizer, kind, base)


def _fill(writer: gguf.GGUFWriter, model, tokenizer, kind: str, base: str) -> None:
    matrices, file_type = TYPES[kind]
    config = model.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(f"{Path(base).stem} with ftlib")
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    add_tokenizer(writer, tokenizer, config.vocab_size, end_ids(tokenizer, model))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if name.endswith("rotary_emb.inv_freq") or (tied and name == "lm_head.weight"):
            continue
        values = weight.detach().float().cpu().numpy()
        if name.endswith("q_proj.weight"):
            values = paired(values, config.num_attention_heads)
        elif name.endswith("k_proj.weight"):
            values = paired(values, config.num_key_value_heads)
        gguf_name = names.get_name(name, try_suffixes=(".weight",))
        if gguf_name is None:
            raise ExportError(f"{name}: no GGUF name for this tensor of a Llama; report this model")
        quantization = matrices if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        if quantization == gguf.GGMLQuantizationType.Q8_0 and values.shape[-1] % BLOCK:
            quantization = gguf.GGMLQuantizationType.F16
        data = gguf.quantize(values, quantization)
        if quantization == gguf.GGMLQuantizationType.F16 and not np.isfinite(data).all():
            raise ExportError(
                f"{name}: overflows float16, the type of GGUF's f16 (the model was merged as bfloat16); use convert_hf_to_gguf.py"
            )
        writer.add_tensor(gguf_name, data, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()


def paired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Reorder rows as llama.cpp's rotary embedding needs them: neighbors in place of the two halves of a head."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer, size: int, ends: list[int]) -> None:
    """Write vocabulary, merges or scores, special tokens and chat template. ends: the tokens at which an answer stops.

    Raises ExportError for an unsupported kind of tokenizer.
    """
    tokenizer_json = json.loads(tokenizer.backend_tokenizer.to_str())
    model = tokenizer_json["model"]
    if model["type"] != "BPE":
        raise ExportError(f"tokenizer type: {model['type']}; supported is BPE; use convert_hf_to_gguf.py")
    added = {token["id"]: token for token in tokenizer_json["added_tokens"]}
    tokens = {token_id: token for token, token_id in model["vocab"].items()} | {
        i: token["content"] for i, token in added.items()
    }
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    # transformers 5.17 sets byte_fallback for every BPE tokenizer that it reads from a GGUF file
    sentencepiece = model["byte_fallback"] and "<0x00>" in model["vocab"]
    token_types, token_list = [], []
    for token_id in range(size):
        token = tokens.get(token_id)
        token_list.append(f"[PAD{token_id}]" if token is None else token)
        if token is None:
            token_types.append(gguf.TokenType.UNUSED)
        elif token_id in added:
            unknown = sentencepiece and token == tokenizer.unk_token
            token_types.append(
                gguf.TokenType.UNKNOWN
                if unknown
                else gguf.TokenType.CONTROL
                if added[token_id]["special"]
                else gguf.TokenType.USER_DEFINED
            )
        else:
            is_byte = sentencepiece and len(token) == 6 and token.startswith("<0x")
            token_types.append(gguf.TokenType.BYTE if is_byte else gguf.TokenType.NORMAL)
    if sentencepiece:  # the scores hold the order of the merges
        rank = {merge.replace(" ", ""): -float(merge_rank) for merge_rank, merge in reversed(list(enumerate(merges)))}
        writer.add_tokenizer_model("llama")
        writer.add_token_list(token_list)
        writer.add_token_scores([rank.get(token, -float(len(merges))) for token in token_list])
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre_tokenizer(tokenizer_json["pre_tokenizer"]))
        writer.add_token_list(token_list)
        writer.add_token_merges(merges)
    writer.add_token_types(token_types)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    end = end_of_turn_id(tokenizer)
    writer.add_eos_token_id(end)
    for other in [token for token in ends if token != end][:1]:  # GGUF has one further field for an end token
        writer.add_eot_token_id(other)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_add_bos_token(adds_bos(tokenizer))
    writer.add_chat_template(tokenizer.chat_template)


def pre_tokenizer(config: dict | None) -> str:
    """Return llama.cpp's name for how text is split before merging. Raises ExportError for one without a name."""
    steps = (config or {}).get("pretokenizers", [config or {}])
    types = " ".join(str(step.get("type")) for step in steps)
    if types not in PRE_TOKENIZERS:
        raise ExportError(
            f"pre-tokenizer: {types}; supported are {', '.join(PRE_TOKENIZERS)}; use convert_hf_to_gguf.py"
        )
    return PRE_TOKENIZERS[types]


def adds_bos(tokenizer) -> bool:
    """Return True if plain text gets a BOS in front, which llama.cpp must then do as well."""
    return tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]


def read_back(path: Path, tokenizer, prompts: list[str], generation, words: list, ends: list[int]) -> dict:
    """Read the file with transformers and compare the prompts' ids and the greedy answers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    file_tokenizer = AutoTokenizer.from_pretrained(**source)
    expected_ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    same_ids = expected_ids == [file_tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that transformers' own switch does not reach
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    model = model.to(hardware.device()).eval()
    model.hf_quantizer, model.is_quantized = None, False  # all its tensors are plain
    model.generation_config.eos_token_id = ends  # the file stores at most two of them
    answers = answer_prompts(model, tokenizer, prompts, generation)
    comparison = {"same_ids": same_ids, "same_words": sum(a == b for a, b in zip(answers, words, strict=True))}
    return comparison | llama_cpp(path, tokenizer, prompts, generation, words, ends)


def llama_cpp(path: Path, tokenizer, prompts: list[str], generation, words: list, ends: list[int]) -> dict:
    """Compare with llama.cpp itself, if its Python package is installed: {'llama_cpp_same_words': ...}, else {}.

    Reported, not required: llama.cpp computes in other number formats, so two nearly equally likely tokens may swap.
    """
    try:
        from llama_cpp import Llama
    except ImportError:
        return {}
    room = max(len(encode_prompt(tokenizer, text)) for text in prompts) + generation.max_new_tokens
    model = Llama(str(path), n_ctx=room, verbose=False, logits_all=False)
    matches = 0
    for text, answer in zip(prompts, words, strict=True):
        ids: list[int] = []
        for token in model.generate(encode_prompt(tokenizer, text), temp=0.0, repeat_penalty=1.0):
            if token in ends or len(ids) == generation.max_new_tokens:
                break
            ids.append(token)
        matches += tokenizer.decode(ids, skip_special_tokens=True).strip() == answer.text
    log.info(f"  {path.name}: {matches} of {len(prompts)} prompts answered alike by llama.cpp")
    return {"llama_cpp_same_words": matches}


def modelfile(cfg: Config, tokenizer, file: str, ends: list[int]) -> str:
    """Return Ollama's Modelfile: the chat template in Ollama's syntax, where answers stop, the decoding of `cfg.generation`."""
    generation = cfg.generation
    parameters = {
        "temperature": generation.temperature if generation.do_sample else 0,
        "top_p": generation.top_p if generation.do_sample else 1,
        "repeat_penalty": generation.repetition_penalty,  # Ollama's own default is 1.1
        "num_predict": generation.max_new_tokens,
        "num_ctx": cfg.train.max_length
        + (cfg.train.context_tokens if cfg.with_retrieval else 0)
        + generation.max_new_tokens,
    }
    lines = [f"FROM ./{file}", f'TEMPLATE """{ollama_template(tokenizer)}"""']
    lines += [f"# {line}" for line in without_counterpart(generation)]
    if cfg.prompt.template != TEMPLATE:
        lines += [f"# {line}" for line in prompt_note(cfg)]
    if cfg.train.context_rows:
        lines += [f"# {line}" for line in passages_note(cfg)]
    lines += [f"PARAMETER stop {json.dumps(tokenizer.decode([end]), ensure_ascii=False)}" for end in ends]
    return "\n".join([*lines, *(f"PARAMETER {name} {value}" for name, value in parameters.items())]) + "\n"


def prompt_note(cfg: Config) -> list[str]:
    """Return sentences about the template of a model that was trained with one of its own: Ollama sends a message as it is."""
    message = build_prompt("(the title)", "(the question)", cfg.prompt.template)
    return ["trained with prompts of this form; Ollama adds nothing to your message, so write it so:"] + [
        f"  {line}".rstrip() for line in message.splitlines()
    ]


def passages_note(cfg: Config) -> list[str]:
    """Return sentences about the prompts of a model that was trained with passages: Ollama does not retrieve."""
    prompt = open_prompt("(the question as usual)", [("(its title)", "(its text)")], cfg.prompt.prefix)
    return [
        f"trained with up to {cfg.train.context_rows} catalog rows in the prompt; Ollama retrieves none, so add them:",
        *(f"  {line}".rstrip() for line in prompt.splitlines()),
    ]


def without_counterpart(generation) -> list[str]:
    """Return sentences about decoding settings that Ollama lacks."""
    set_here = {
        "length_decay": generation.length_decay,
        "no_repeat_ngram": generation.no_repeat_ngram,
        "beams": generation.beams > 1,
    }
    return [
        f"generation.{name} was set when the model was evaluated; Ollama has no counterpart, so some answers will be longer"
        for name, value in set_here.items()
        if value
    ]


def ollama_template(tokenizer) -> str:
    """Convert the chat template to Ollama's: rendered once with placeholders, with and without a system message."""

    def rendered(*roles: tuple[str, str]) -> str:
        turns = [{"role": role, "content": text} for role, text in roles]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        # llama.cpp prepends the BOS itself; a second one would change the answer
        return text.removeprefix(tokenizer.bos_token) if adds_bos(tokenizer) else text

    user = ("user", "{{ .Prompt }}")
    without_system = with_system = rendered(user)
    with contextlib.suppress(TemplateError):  # some templates (Gemma) refuse a system message
        with_system = rendered(("system", "{{ .System }}"), user)
    prompt = (
        without_system
        if "{{ .System }}" not in with_system
        else f"{{{{ if .System }}}}{with_system}{{{{ else }}}}{without_system}{{{{ end }}}}"
    )
    return prompt + "{{ .Response }}" + tokenizer.decode([end_of_turn_id(tokenizer)])
