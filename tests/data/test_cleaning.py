"""Each cleaning step: what it takes out, and above all what it must leave alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data.cleaning import (
    STEPS,
    boilerplate,
    changes_of,
    clean_text,
    looks_adult,
    normalize,
    steps_of,
    tags,
    unescape,
    unicode,
    whitespace,
)
from ftlib.data.cleaning_vectorized import clean_texts

ALL = list(STEPS.items())
SURVIVORS = [
    "Zoë Käßner's café, Ñandú & Co.",
    "McDonald O'Neill iPhone DVD-R USA",
    "5 < 6 > 4",
    "I <3 you",
    "AT&T R&B Q&A",
    "1/2\" x 3' (12 mm²), 20°C, 100%",
    "日本語のタイトル",
    "C++ <-> C# => F#",
    "naïve résumé — “quoted” … €5",
]


@pytest.mark.parametrize("text", SURVIVORS)
def test_names_accents_case_and_signs_survive(text):
    """Without it cleaning damages what the model should learn: names, letters, measures, signs."""
    assert clean_text(text, ALL) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rock &amp; Roll", "Rock & Roll"),
        ("Rock &amp;amp; Roll", "Rock & Roll"),
        ("don&amp;#8217;t", "don’t"),
        ("caf&eacute; &#x263A;", "café ☺"),
        ("AT&T, R&D; fish & chips", "AT&T, R&D; fish & chips"),
    ],
)
def test_unescape(text, expected):
    """Without it the model learns to write &amp;#8217; for an apostrophe."""
    assert unescape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>bold</b>er <a href='x.htm' title=\"y\">link</a>", "bolder link"),
        ("one<br>two<BR/>three", "one two three"),
        ("<ul><li>one</li><li>two</li></ul>", "  one  two  "),
        ("<p class='x'>para</p>text", " para text"),
        ("a<!-- note <b>x</b> -->b", "ab"),
        ("<!DOCTYPE html>x", "x"),
        ("<pre>code</pre>", "code"),
        ("5 < 6 > 4, <3, x<-y, a <= b", "5 < 6 > 4, <3, x<-y, a <= b"),
    ],
)
def test_tags(text, expected):
    """Without it markup stays in the answers, words on both sides of a <br> run together, or a "<3" is lost."""
    assert tags(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301", "café"),
        ("soft\u00adhyphen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
        ("e\u200b\u0301", "é"),
        ("bell\x07 private\uf0b7", "bell private"),
        ("line\nend\ttab\u00a0space", "line\nend\ttab\u00a0space"),
    ],
)
def test_unicode(text, expected):
    """Without it the same word has two spellings, and invisible characters become tokens of their own."""
    assert unicode(text) == expected


def test_whitespace():
    """Without it line ends and non-breaking spaces of the source page stay in the answers."""
    assert whitespace(" a\r\n\tb\u00a0\u2003c  ") == "a b c"


@pytest.mark.parametrize(
    "line",
    [
        "--This text refers to theHardcoveredition.",
        "--This text refers to an alternatePaperbackedition.",
        "--This text refers to thePrint on Demand (Paperback)edition.",
        "--This text refers to the Hardcover edition.",
        " --This text refers to an out of print or unavailable edition of this title.",
        "Copyright 2004 Reed Business Information, Inc.",
        "Copyright 2001 Cahners Business Information, Inc.",
        "Copyright © Reed Business Information, a division of Reed Elsevier Inc. All rights reserved.",
        "Copyright © American Library Association. All rights reserved",
        "Copyright 1989 Reed Business Information, Inc.--This text refers to an alternateHardcoveredition.",
    ],
)
def test_boilerplate(line):
    """Without it every sixth book of the real file teaches the model to end in a copyright line."""
    assert boilerplate(f"A fine book. JANE DOE{line}") == "A fine book. JANE DOE"
    assert whitespace(boilerplate(f"A fine book.{line}The next part.")) == "A fine book. The next part."
    assert boilerplate(line) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Chill refers to the edition of 1990.",
        "This text refers to the first edition of the Origin of Species.",
        "The title refers to a site -- this text refers to the past.",
        "Copyright law for Reed players, a Business Information guide.",
        "A history of the American Library Association.",
        "Reed Business Information in the age of the web.",
        "Copyright 2004 by the author.",
    ],
)
def test_boilerplate_is_not_over_eager(text):
    """Without it a sentence of the description is cut because it shares words with a known line."""
    assert boilerplate(text) == text


def test_boilerplate_takes_no_letter_of_the_next_word():
    """Without it "Including" after a copyright line loses its first letters."""
    line = "Copyright 2004 Reed Business Information, Including"
    assert boilerplate(line).endswith("Including")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&am<b></b>p;", "&"),
        ("<<b>b>bold", "bold"),
        ("&am\u200bp;lt;br&gt;end", "end"),
        ("&lt;p&gt;&amp;lt;b&amp;gt;x&lt;/p&gt;", "x"),
        ("--This text refers to the--This text refers to the Hardcover edition. edition.", "edition."),
        ("x <\u200bi>y", "x y"),
        ("e&#8203;&#769; ", "é"),
    ],
)
def test_cleaning_twice_changes_nothing_more(text, expected):
    """Without it a data set that is prepared from a cleaned one differs from it."""
    once = clean_text(text, ALL)
    assert once == expected
    assert clean_text(once, ALL) == once


def test_changes_are_told_step_by_step():
    """Without it the funnel counts changes under the wrong step, or rows that did not change."""
    assert changes_of("A &amp; <i>B</i>", ALL) == [
        ("unescape", "A &amp; <i>B</i>", "A & <i>B</i>"),
        ("tags", "A & <i>B</i>", "A & B"),
    ]


PIECES = [*"aB _.,-<>&;#\t\n\x00\x1c\x7f\x85\xa0é\u0301\u200b\u3000ßİſ²ǅ٣本\ue000😀", "&amp;", "&lt;br&gt;", "<b>", "  ", "©",
    "--This text refers to the Big edition.", "Copyright 2004 Reed Business Information, Inc.", "TEXT REFERS TO",
    "American Library Association"]  # fmt: skip
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30), max_size=20)


@settings(deadline=None, max_examples=500, derandomize=True)
@given(TEXTS, st.sets(st.sampled_from(list(STEPS))))
def test_many_texts_are_cleaned_as_one_is(texts, off):
    """If the quick way differed in one odd character, duplicates would be missed, and test rows would be trained on."""
    steps = [step for step in ALL if step[0] not in off]
    cleaned, keys, changes = clean_texts(texts, steps)
    assert cleaned == [clean_text(text, steps) for text in texts]
    assert keys == [normalize(text).encode() for text in cleaned]
    assert changes == [change for text in texts for change in changes_of(text, steps)]


@pytest.mark.parametrize("name", STEPS)
def test_each_step_can_be_switched_off(settings, name):
    """Without it `data.clean.<step>=false` is accepted and does nothing."""
    dirty = "a &amp; <b>b</b>  cafe\u0301--This text refers to the Hardcover edition."
    switches = settings(**{f"data.clean.{name}": False}).data.clean
    assert [step for step, _ in steps_of(switches)] == [step for step in STEPS if step != name]
    assert clean_text(dirty, steps_of(switches)) != clean_text(dirty, ALL) == "a & b café"


@pytest.mark.parametrize(
    ("one", "other"),
    [("The  Lamp!", "the lamp"), ("STRASSE", "Straße"), ("Lamp (red)", "lamp: red"), ("CAFÉ", "café")],
)
def test_normalize_equal(one, other):
    """Without it the same product counts as two and lies in the training and the test split."""
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(("one", "other"), [("cafe", "café"), ("Lamp 12", "Lamp 1 2"), ("日本", "日"), ("C3", "C")])
def test_normalize_different(one, other):
    """Without it different products are thrown together, and one of them is dropped as a duplicate."""
    assert normalize(one) != normalize(other)


@pytest.mark.parametrize(
    ("title", "content"),
    [("Erotic Tales", ""), ("XXX", ""), ("Massager", "The best VIBRATOR of the year"), ("Guide", "For adults only!")],
)
def test_adult_hits(title, content):
    """Without it the classroom filter lets plain cases through."""
    assert looks_adult(title, content)


@pytest.mark.parametrize(
    ("title", "content"),
    [
        ("Middlesex", "A novel."),
        ("Xxxl shirt", "Size XXXL"),
        ("Porch lamp", "x" * 300 + " porn"),
        ("Adult bicycle", "For adults"),
    ],
)
def test_adult_misses(title, content):
    """Without it the filter takes harmless products away because of a part of a word."""
    assert not looks_adult(title, content)
