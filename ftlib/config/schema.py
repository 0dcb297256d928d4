"""Declare the type and bounds of each setting, and the combinations that are invalid.

The schema has no default values: sizes and recipes are in `profiles/` only. `config.settings` merges the layers (profile,
environment, command line) and validates the result against this schema.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ftlib.prompts.templates import questions_of, template_problem

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # NumPy's range
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """Base class of all sections: immutable, no unknown keys, no infinity or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reject_bool_as_number(cls, value, info):
        """Reject booleans where a number is expected: True equals 1, so learning_rate=yes would train at 1."""
        annotation = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and not {bool} & {annotation, *get_args(annotation)}:
            raise PydanticCustomError("switch", "true and false are not allowed here")
        return value


class CleanConfig(Section):
    """Switches of the cleaning steps, which are functions of `ftlib.data.cleaning`."""

    unescape: bool
    tags: bool
    unicode: bool
    whitespace: bool
    boilerplate: bool
    same_as_title: bool


ColumnName = Annotated[str, Field(min_length=1)]


class ColumnsConfig(Section):
    """Names of our columns in the user's file."""

    uid: ColumnName
    title: ColumnName
    content: ColumnName

    @model_validator(mode="after")
    def _reject_equal_names(self):
        names = [self.uid, self.title, self.content]
        if len({*names}) < len(names):
            raise ValueError(
                f"data.columns.uid = {self.uid!r}, data.columns.title = {self.title!r}, data.columns.content = "
                f"{self.content!r}: each needs a column of its own"
            )
        return self


class DataConfig(Section):
    """Input file, its columns, split sizes, filters, cleaning and questions."""

    path: str
    columns: ColumnsConfig
    seed: Seed
    train_size: Count
    validation_size: Count
    test_size: Count
    max_malformed_share: Share
    use_damaged: bool
    min_title_chars: CountOrZero
    min_content_chars: CountOrZero
    clean: CleanConfig
    deduplicate: bool
    split: Literal["near", "group", "random"]
    drop_adult: bool
    questions: Annotated[list[str], Field(min_length=1)]

    @field_validator("questions")
    @classmethod
    def _reject_unknown_questions(cls, names):
        questions_of(names)
        return names


class PromptConfig(Section):
    """Template of the prompts and prefix of the target texts."""

    template: str
    prefix: str

    @field_validator("template")
    @classmethod
    def _reject_invalid_template(cls, template):
        if problem := template_problem(template):
            raise ValueError(f"prompt.template = {template!r}: {problem}")
        return template

    @field_validator("prefix")
    @classmethod
    def _reject_prefix_of_several_lines(cls, prefix):
        if prefix != prefix.lstrip() or "\n" in prefix:
            raise ValueError(f"prompt.prefix = {prefix!r}: it is one line and does not begin with white space")
        return prefix


class ModelConfig(Section):
    """The base model and the precision it is loaded in."""

    name: str
    quantization: Literal["nf4", "none", "auto"]
    dtype: Literal["auto", "float32", "bfloat16", "float16"]


class LoraConfig(Section):
    """The adapter; r = 0 trains all weights instead."""

    variant: Literal["lora", "dora"]
    r: CountOrZero
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    target_modules: str | list[str]
    modules_to_save: list[str]
    tie_saved_modules: bool

    @model_validator(mode="after")
    def _reject_invalid_combinations(self):
        if self.r == 0 and self.variant != "lora":
            raise ValueError(
                f"lora.r = 0 trains all weights, so lora.variant = {self.variant} adds nothing: set lora.variant = lora"
            )
        if self.r == 0 and self.modules_to_save:
            raise ValueError(
                f"lora.r = 0 trains all weights, so lora.modules_to_save = {self.modules_to_save} adds nothing: set []"
            )
        return self


class TrainConfig(Section):
    """Optimization, batching, labels, evaluation and checkpoints of a training run."""

    seed: Seed
    learning_rate: Positive
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"]
    warmup_share: Annotated[float, Field(ge=0, lt=1)]
    warmup_from: Literal["zero", "first"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    optimizer: Literal["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"]
    examples_per_step: Count
    micro_batch: Count | None
    epochs: Positive
    max_steps: Count | None
    loss_on: Literal["answer", "all"]
    label_eos: bool
    batching: Literal["packed", "grouped", "padded"]
    max_length: Annotated[int, Field(ge=64)]
    context_rows: Annotated[int, Field(ge=0, le=5)]
    context_share: Share
    context_tokens: Annotated[int, Field(ge=32)]
    context_order: Literal["best_first", "best_last"]
    context_near: bool
    context_distractors: Annotated[int, Field(ge=0, le=5)]
    checkpointing: bool
    compile: bool
    fp16: bool | None
    bf16: bool | None
    eval_steps: Count | None
    eval_rows: Count
    save_steps: Count
    log_steps: Count
    report_to: list[Literal["tensorboard", "trackio"]]
    sample_rows: CountOrZero
    early_stopping: Count | None

    def as_measured(self) -> TrainConfig:
        """Return a copy with the labels of every evaluation: the target text and its end token.

        All recipes are compared on the same tokens, whatever labels they were trained with.
        """
        return self.model_copy(update={"loss_on": "answer", "label_eos": True})

    @property
    def row_length(self) -> int:
        """Return the most tokens of a training row: `max_length`, and the passages where training prompts carry some."""
        return self.max_length + (self.context_tokens if self.context_rows else 0)

    @model_validator(mode="after")
    def _reject_invalid_combinations(self):
        if self.fp16 and self.bf16:
            raise ValueError("train.fp16 = true and train.bf16 = true: only one of them can be on")
        if self.micro_batch and self.examples_per_step % self.micro_batch:
            raise ValueError(
                f"train.micro_batch = {self.micro_batch}: it must divide train.examples_per_step = {self.examples_per_step}"
            )
        if self.compile and (self.batching != "packed" or self.micro_batch or self.checkpointing):
            raise ValueError(
                "train.compile = true: it needs train.batching = packed, train.micro_batch = null and train.checkpointing = false"
            )
        if self.eval_steps and self.save_steps % self.eval_steps:
            raise ValueError(
                f"train.save_steps = {self.save_steps}: it must be a multiple of train.eval_steps = {self.eval_steps}, "
                "so that the best checkpoint is one that was saved"
            )
        if self.context_distractors and not self.context_rows:
            raise ValueError(
                f"train.context_distractors = {self.context_distractors}: it needs train.context_rows of 1 or more"
            )
        if self.early_stopping and not self.eval_steps:
            raise ValueError(f"train.early_stopping = {self.early_stopping}: it needs train.eval_steps to be set")
        return self


class MergeConfig(Section):
    """The base and dtype of the merged model, and the size of the check after the merge."""

    onto: Literal["auto", "base", "dequantized"]
    dtype: Literal["float16", "bfloat16"]
    proof_prompts: Count


class GenerationConfig(Section):
    """Decoding: length, sampling, penalties and batch size."""

    max_new_tokens: Count
    do_sample: bool
    temperature: Positive
    top_p: Annotated[float, Field(gt=0, le=1)]
    min_p: Annotated[float, Field(ge=0, lt=1)]
    repetition_penalty: Positive
    penalize_prompt: bool
    no_repeat_ngram: CountOrZero
    length_decay: tuple[CountOrZero, Annotated[float, Field(ge=1)]] | None
    candidates: Count
    beams: Count
    seed: Seed
    batch_tokens: Annotated[int, Field(ge=256)]

    def deciding(self) -> dict:
        """Return the settings that decide an answer: without `batch_tokens`, and without those that are switched off."""
        neutral = {"candidates": self.candidates == 1, "penalize_prompt": self.penalize_prompt}
        return self.model_dump(exclude={"batch_tokens", *(name for name, is_neutral in neutral.items() if is_neutral)})

    @model_validator(mode="after")
    def _reject_invalid_combinations(self):
        if self.candidates > 1 and not self.do_sample:
            raise ValueError(
                f"generation.candidates = {self.candidates}: candidates are sampled; set generation.do_sample=true"
            )
        return self


class EvaluationConfig(Section):
    """Evaluated rows, additional systems and bootstrap resamples."""

    rows: Count
    seen_rows: CountOrZero
    one_shot: bool
    open_book: bool
    open_rows: Annotated[int, Field(ge=1, le=5)]
    bootstrap: Annotated[int, Field(ge=100)]
