"""Build the prompt and the target text of a row, in the format that the settings `prompt.template` and `prompt.prefix` define.

Models are trained on these texts: changing a single byte of a question or a template invalidates their results.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from typing import NamedTuple

# The reference's, byte for byte.
TEMPLATE = "Based on the product title below, answer the question.\nQuestion: {question}\nTitle: {title}"
PREFIX = "Description: "


class PromptFormat(NamedTuple):
    """The format of prompts and targets.

    Attributes:
        template: of the user message, with the fields {title} and {question}.
        prefix: of the target text; it may be empty.
    """

    template: str = TEMPLATE
    prefix: str = PREFIX


DEFAULT_FORMAT = PromptFormat()


# The first is the reference's, byte for byte; the others are for training on more than one wording.
QUESTIONS = {
    "reference": (
        "What is the complete product description? Answer strictly in the format: 'Description: ...' and nothing else."
    ),
    "en_describe": "Describe this product. Answer in the format 'Description: ...'.",
    "en_customer": "I saw this in the shop. What can you tell me about it? Begin your answer with 'Description:'.",
    "en_catalogue": "Write the catalogue text for this item, beginning with 'Description:'.",
    "en_short": "What is it? Answer as 'Description: ...'.",
    "pt_descreva": "Descreva este produto. Responda em inglês, no formato 'Description: ...'.",
    "pt_cliente": "O que você sabe sobre este produto? Comece a resposta, em inglês, com 'Description:'.",
    "pt_catalogo": "Escreva o texto de catálogo deste item, em inglês, começando com 'Description:'.",
}


Turns = Sequence[tuple[str, str]]  # few-shot examples: (user message, assistant message)


Passages = Sequence[tuple[str, str]]  # retrieved catalog rows: (title, description)


def questions_of(names: list[str]) -> list[str]:
    """Resolve names of QUESTIONS, ['all'], or literal questions to the questions.

    Raises:
        ValueError: an unknown name (a text without a space).
    """
    if names == ["all"]:
        return list(QUESTIONS.values())
    unknown = [name for name in names if name not in QUESTIONS and " " not in name]
    if unknown:
        raise ValueError(
            f"data.questions = {unknown}: allowed are {', '.join(QUESTIONS)}, all, or a question in your own words"
        )
    return [QUESTIONS.get(name, name) for name in names]


def question_for(uid: str, seed: int, names: list[str]) -> str:
    """Choose a row's question: a hash of (seed, uid), so that every stage chooses the same one."""
    questions = questions_of(names)
    digest = hashlib.blake2b(f"{seed}:{uid}".encode(), digest_size=8).digest()
    return questions[int.from_bytes(digest, "little") % len(questions)]


def template_problem(template: str) -> str | None:
    """Return what is wrong with a template, None if nothing is. Braces that are no field are written twice."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"{error}; a brace that is no field is written twice: {{{{ or }}}}"
    fields = [name for _, name, _, _ in parts if name is not None]
    unknown = [name for name in fields if name not in ("title", "question")]
    if unknown:
        return f"{{{unknown[0]}}} is no field; allowed are {{title}} and {{question}}; other braces are written twice"
    if any(spec or conversion for _, name, spec, conversion in parts if name is not None):
        return "a field is written {title} or {question}, without : or ! in it"
    if "title" not in fields:
        return "{title} is missing, so every row would have the same prompt"
    if "\\n" in template:
        return (
            "it has a backslash and n; for a line end put the value in double quotes, 'prompt.template=\"... \\n ...\"'"
        )
    return None


def build_prompt(title: str, question: str = QUESTIONS["reference"], template: str = TEMPLATE) -> str:
    """Build the user message; with the default question and template the reference's, byte for byte."""
    return template.format(title=title, question=question)


def open_prompt(prompt: str, passages: Passages, prefix: str = PREFIX) -> str:
    """Build a prompt with retrieval: the passages before it; unchanged if there are none.

    `encoding.context_prompt` truncates the passages to a number of tokens first.
    """
    if not passages:
        return prompt
    entries = "\n".join(f"Title: {title}\n{build_target(' '.join(text.split()), prefix)}" for title, text in passages)
    return f"These entries of the catalogue may help:\n{entries}\n\n{prompt}"


def build_target(content: str, prefix: str = PREFIX) -> str:
    """Build the target text: the prefix and the description."""
    return prefix + content


def strip_prefix(text: str, prefix: str = PREFIX) -> str:
    """Remove a leading prefix (case-sensitive) and the white space around it."""
    return text.strip().removeprefix(prefix.strip()).lstrip()
