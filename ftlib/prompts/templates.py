"""The texts around a row: the prompt, the target, and the questions that a row can be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

PREFIX = "Description: "


# The first is the reference's, byte for byte. The others let a configuration train on more than one wording.
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


Turns = Sequence[tuple[str, str]]  # (what the user said, what the assistant answered), before the prompt


Passages = Sequence[tuple[str, str]]  # (title, description) of catalog rows that stand in the prompt


PASSAGE_CHARS = 500  # of each description


def questions_of(names: list[str]) -> list[str]:
    """Names of QUESTIONS, 'all', or questions written out, to the questions themselves. Raises ValueError for an unknown name."""
    if names == ["all"]:
        return list(QUESTIONS.values())
    unknown = [name for name in names if name not in QUESTIONS and " " not in name]
    if unknown:
        raise ValueError(
            f"data.questions = {unknown}: allowed are {', '.join(QUESTIONS)}, all, or a question in your own words"
        )
    return [QUESTIONS.get(name, name) for name in names]


def question_for(uid: str, seed: int, names: list[str]) -> str:
    """The question that a row is asked: a function of (seed, uid), so that every stage finds the same one."""
    questions = questions_of(names)
    digest = hashlib.blake2b(f"{seed}:{uid}".encode(), digest_size=8).digest()
    return questions[int.from_bytes(digest, "little") % len(questions)]


def build_prompt(title: str, question: str = QUESTIONS["reference"]) -> str:
    """The user's message: three lines, the reference's byte for byte with the default question."""
    return f"Based on the product title below, answer the question.\nQuestion: {question}\nTitle: {title}"


def open_prompt(prompt: str, passages: Passages) -> str:
    """The prompt with rows of the catalogue before it (open book); the prompt as it is without any."""
    if not passages:
        return prompt
    shown = "\n".join(f"Title: {title}\n{build_target(shorten(text))}" for title, text in passages)
    return f"These entries of the catalogue may help:\n{shown}\n\n{prompt}"


def shorten(text: str, limit: int = PASSAGE_CHARS) -> str:
    """The text on one line, cut between two words if it has more than `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit + 1].rpartition(" ")[0] or text[:limit]


def build_target(content: str) -> str:
    """The assistant's answer."""
    return PREFIX + content


def strip_prefix(text: str) -> str:
    """The text without the "Description:" it may begin with (case as written, white space around it ignored)."""
    return text.strip().removeprefix(PREFIX.strip()).lstrip()
