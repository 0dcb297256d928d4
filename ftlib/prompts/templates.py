"""Build the prompt and the target text of a row.

Models are trained on these texts: changing a single byte of a question or a template invalidates their results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

PREFIX = "Description: "


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


def build_prompt(title: str, question: str = QUESTIONS["reference"]) -> str:
    """Build the user message; with the default question the reference's, byte for byte."""
    return f"Based on the product title below, answer the question.\nQuestion: {question}\nTitle: {title}"


def open_prompt(prompt: str, passages: Passages) -> str:
    """Build a prompt with retrieval: the passages before it; unchanged if there are none.

    `encoding.context_prompt` truncates the passages to a number of tokens first.
    """
    if not passages:
        return prompt
    entries = "\n".join(f"Title: {title}\n{build_target(' '.join(text.split()))}" for title, text in passages)
    return f"These entries of the catalogue may help:\n{entries}\n\n{prompt}"


def build_target(content: str) -> str:
    """Build the target text: PREFIX and the description."""
    return PREFIX + content


def strip_prefix(text: str) -> str:
    """Remove a leading "Description:" (case-sensitive) and the white space around it."""
    return text.strip().removeprefix(PREFIX.strip()).lstrip()
