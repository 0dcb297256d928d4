"""The page without a browser: what it shows is escaped, votes are kept once, nobody outside this machine is let in unasked."""

import dataclasses
import re
from html.parser import HTMLParser

import gradio as gr
import pytest
import smoke
from gradio import component_meta
from starlette.requests import Request

from ftlib.app import gradio_app, html
from ftlib.app import session as work
from ftlib.app import votes as vote_file
from ftlib.app.model_pair import AskError, Pair, load_pair
from ftlib.app.session import Desk
from ftlib.app.votes import Votes, tally
from ftlib.cli.entry import main
from ftlib.config.settings import Config
from ftlib.evaluation.bootstrap import wilson
from ftlib.retrieval.attribution import Marked
from ftlib.retrieval.bm25_index import Source
from ftlib.runtime import library_imports

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&${alert(1)}"
W = html.wordings()["en"]


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def desk(smoke_run):
    cfg = Config.load("smoke", env={}, **{"generation.max_new_tokens": 6})
    return Desk(load_pair(cfg, smoke_run), smoke_run)


def views(desk, title, question="", open_book=False, blind=False, lang="en"):
    return list(desk.ask(title, question, open_book, blind, desk.pair.generation, lang))


def test_no_start_of_the_page_writes_into_the_installed_library():
    """A later gradio may write its stub files by another function."""
    assert getattr(component_meta, library_imports.WRITES_A_STUB).__module__ == library_imports.__name__


def test_text_of_strangers_and_models_stays_text():
    """A title that holds a script runs it in the browser of whoever looks at the page."""
    source = Source(EVIL, EVIL, 1.0, EVIL, 3, (EVIL,), EVIL)
    marked = [Marked(EVIL, EVIL), Marked(EVIL, None)]
    row = {"uid": EVIL, "title": EVIL, "content": EVIL}
    pieces = [
        html.answer(EVIL, EVIL, EVIL, W, "other", marked, {EVIL: 1}),
        html.answer(EVIL, EVIL, EVIL, W),
        html.sources([source], W),
        html.message(EVIL),
        html.row_page(row, EVIL, "en"),
    ]
    for piece in pieces:
        tags = Tags(piece)
        assert not {"script", "img"} & {tag for tag, _ in tags.found}
        assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
        assert "<script>alert(1)</script>" in re.sub(r"\s+", " ", tags.text)


def test_marks_say_what_they_mean_without_color():
    """Who cannot see colors, or hears the page, must still learn which sentence no source supports."""
    found = html.answer(
        "B",
        "Holds 300 ml. Is red.",
        "",
        W,
        "Is blue.",
        [Marked("Holds 300 ml.", "u1"), Marked("Is red.", None)],
        {"u1": 2},
    )
    assert "<u>Holds</u> <u>300</u> <u>ml</u>. " in found.replace(".<span", ". <span") and "<u>Is</u>" not in found
    assert "(supported by source 2)" in found and "(supported by no source)" in found
    assert html.answer("B", "Description: A cup.", "", W, "", [Marked("A cup.", None)]).count("Description:") == 1


def test_both_languages_say_everything():
    """A missing word shows its key, or fails, for everybody whose browser speaks that language."""
    en, pt = html.wordings()["en"], html.wordings()["pt"]
    assert en.keys() == pt.keys() and set(AskError.REASONS) <= en.keys()
    for key in en:
        assert sorted(re.findall(r"{\w+}", en[key])) == sorted(re.findall(r"{\w+}", pt[key])), key
    assert [html.language_of(header) for header in ("pt-BR,pt;q=0.9", "en-US", "de,pt", None)] == [
        "pt",
        "en",
        "en",
        "en",
    ]


def test_both_answers_with_figures_and_sources(desk):
    """The page shows another answer than the evaluation measured, or no source although there is one."""
    title = desk.pair.index.dataset["train"][0]["title"]
    *writing, last = views(desk, title)
    assert writing[0].answer_pair is None and "waiting" in writing[0].left
    assert last.answer_pair.order == ("base", "tuned") and set(last.answer_pair.answers) == {"base", "tuned"}
    assert "before (base model)" in last.left and "after (fine-tuned)" in last.right and "tokens/s" in last.left
    uid = desk.pair.index.dataset["train"][0]["uid"]
    assert f'href="row/train/0" target="_blank" rel="noopener">{uid}' in last.sources


@pytest.mark.parametrize(("lang", "words"), [("en", "The title is empty"), ("pt", "O título está vazio")])
def test_wrong_input_is_answered_in_words(desk, lang, words):
    """A traceback, or a spinner that never ends, for an empty field."""
    (view,) = views(desk, " ", lang=lang)
    assert words in view.notice and 'role="alert"' in view.notice and view.answer_pair is None


def test_a_portuguese_question_is_answered_with_a_note(desk):
    """Somebody asks in Portuguese, gets English, and takes it for a fault."""
    assert "O catálogo está em inglês" in views(desk, "Cup", "Quantos ml tem a caneca?")[-1].notice
    assert views(desk, "Cup", "How many ml does it hold?")[-1].notice == ""


def test_blind_hides_who_is_who(desk):
    """Votes by people who know which model was trained are no evidence."""
    orders = set()
    for _ in range(20):
        last = views(desk, "Cup", blind=True)[-1]
        orders.add(last.answer_pair.order)
        for side in (last.left, last.right):
            assert not re.search(r"base|tuned|before|after", Tags(side).found[0][1]["aria-label"])
    assert len(orders) == 2


def test_who_has_had_enough_gets_what_is_written(desk):
    """Stop that loses what is there, or keeps writing in the background while others wait."""
    long = desk.pair.generation.model_copy(update={"max_new_tokens": 400})
    *_, last = desk.ask("Cup", "", False, False, long, "en", halted=lambda: True)
    assert (
        last.answer_pair
        and sum(len(desk.pair.tokenizer(text)["input_ids"]) for text in last.answer_pair.answers.values()) < 50
    )


def test_a_pair_is_voted_on_once(desk, tmp_path):
    """A double click counts twice, or the left answer's vote goes to the wrong model."""
    desk = Desk(desk.pair, desk.run)
    desk.votes = Votes(tmp_path / "votes.sqlite")
    answer_pair = work.AnswerPair("one", "Cup", "?", ("tuned", "base"), True, {"base": "b", "tuned": "t"})
    assert desk.vote(answer_pair, "left", "en") == "Thank you. A: after (fine-tuned). B: before (base model)."
    assert desk.vote(answer_pair, "right", "en") == W["voted"]
    assert list(desk.votes.counts().values()) == [{"base": 0, "tuned": 1, "tie": 0}]


def answer_pair_of(number: int, blind: bool, answers: dict, **more) -> work.AnswerPair:
    return work.AnswerPair(str(number), "Cup", "?", ("base", "tuned"), blind, answers, **more)


def test_a_blind_vote_counts_once_for_a_pair_and_only_if_it_was_not_revealed(desk, tmp_path):
    """Greedy answers come back word for word: the second vote is cast by somebody who has just been told who is who."""
    desk = Desk(desk.pair, desk.run)
    desk.votes = Votes(tmp_path / "votes.sqlite")
    first, other, third = ({"base": f"b{n}", "tuned": f"t{n}"} for n in range(3))
    assert "apart" not in desk.vote(answer_pair_of(1, True, first), "left", "en")
    assert W["known"] in desk.vote(answer_pair_of(2, True, first), "left", "en")  # the same pair again
    assert "apart" not in desk.vote(answer_pair_of(3, False, other), "left", "en")
    assert W["known"] in desk.vote(answer_pair_of(4, True, other), "right", "en")  # shown with names before
    assert W["half"] in desk.vote(answer_pair_of(5, True, third, stopped=True), "right", "en")
    counts = {blind: sum(each.values()) for (_, blind), each in desk.votes.counts().items()}
    assert counts == {True: 1, False: 4}
    desk.votes.reveal(desk.model, "question key")
    assert W["known"] in desk.vote(
        answer_pair_of(6, True, {"base": "x", "tuned": "y"}, question_key="question key"), "left", "en"
    )
    long = {"base": "b" * 200, "tuned": "t" * 200}
    desk.vote(answer_pair_of(7, True, long), "left", "en")
    longer = {system: f"{text} and a word" for system, text in long.items()}  # one more token asked for
    assert W["known"] in desk.vote(answer_pair_of(8, True, longer), "left", "en")


def test_a_pair_that_was_shown_with_names_is_known(desk, tmp_path):
    """Ask with names, then tick blind, ask again and vote: that vote would count as blind."""
    desk = Desk(desk.pair, desk.run)
    desk.votes = Votes(tmp_path / "votes.sqlite")
    views(desk, "Blue cup")
    answer_pair = views(desk, "Blue cup", blind=True)[-1].answer_pair
    assert W["known"] in desk.vote(answer_pair, "left", "en")
    answer_pair = views(desk, "Red cup", blind=True)[-1].answer_pair
    # on some CPUs the tiny model answers both titles alike
    answer_pair = dataclasses.replace(answer_pair, answers={"base": "a red cup", "tuned": "a cup, red"})
    assert "apart" not in desk.vote(answer_pair, "left", "en")
    assert W["known"] in desk.vote(views(desk, "Red cup", blind=True)[-1].answer_pair, "left", "en")


def test_votes_from_before_are_counted_once_for_a_pair(tmp_path):
    """A file of votes that was kept since an older version has each returning pair several times."""
    votes = Votes(tmp_path / "votes.sqlite")
    rest = {"model": "m", "title": "", "question": "", "choice": "tuned"}
    for number, (blind, text) in enumerate([(True, "a"), (True, "a"), (False, "b"), (True, "b"), (True, "c")]):
        votes.cast(ask=str(number), blind=blind, base=text, tuned=text, **rest)
    assert votes.counts() == {
        ("m", True): {"base": 0, "tuned": 2, "tie": 0},
        ("m", False): {"base": 0, "tuned": 3, "tie": 0},
    }


def test_keys_of_revealed_pairs_do_not_grow_without_end(tmp_path, monkeypatch):
    """Every question leaves a line in the file, for years."""
    monkeypatch.setattr(vote_file, "KEPT", 3)
    votes = Votes(tmp_path / "votes.sqlite")
    for number in range(9):
        votes.reveal("m", str(number))
    assert [votes.revealed("m", str(number)) for number in (4, 5, 6, 8)] == [False, False, True, True]
    assert not votes.revealed("other model", "8") and not votes.counts()


def test_a_blind_answer_does_not_say_whose_it_is_by_its_form(desk, monkeypatch):
    """Nearly all answers of the fine-tuned model begin with "Description:", and none of the base's: blind is not blind."""
    assert [work.blinded(text) for text in ("Desc", "Description:", " Description: A cup", "A cup")] == [
        "",
        "",
        "A cup",
        "A cup",
    ]

    def stream(*_):
        for piece in ("Descr", "iption: A ", "cup."):
            yield "tuned", piece
        yield "base", "A cup."

    monkeypatch.setattr(work, "stream_together", stream)
    monkeypatch.setattr(work, "EVERY", -1.0)
    for blind in (True, False):
        found = views(desk, "Cup", blind=blind)
        shown_at_all = any("Descr" in Tags(side).text for view in found for side in (view.left, view.right))
        assert shown_at_all is not blind and found[-1].answer_pair.answers["tuned"] == "Description: A cup."


def test_the_tally_tells_blind_votes_from_others(tmp_path):
    """Three votes look like a result, or votes of people who knew are counted in."""
    votes = Votes(tmp_path / "votes.sqlite")
    assert "no votes yet" in tally(votes)
    for number in range(24):
        choice = "tie" if number > 21 else "tuned" if number % 4 else "base"
        votes.cast(
            ask=str(number),
            model="m",
            blind=number < 22,
            choice=choice,
            title="",
            question="",
            base=str(number),
            tuned="",
        )
    said = tally(votes).splitlines()
    assert "tuned better 16, base better 6, equal 0" in said[0] and "tuned won 73% [52%, 87%]" in said[0]
    assert "people prefer the tuned model" in said[1] and "no evidence" in said[2]
    assert wilson(0, 0) == (0.0, 1.0) and wilson(3, 0)[0] < 0.5


def test_votes_command_without_votes(smoke_run, capsys):
    """`ftlib votes` before the first vote must say how to get one."""
    assert main(["votes", "--run", str(smoke_run.path)]) == 0
    assert "`ftlib serve` opens the page" in capsys.readouterr().out


def test_decoding_from_a_browser_is_checked(desk):
    """A forged request asks for a million tokens and nobody else is served for an hour."""
    now = desk.pair.generation
    assert work.chosen_decoding(now, {"max_new_tokens": 10**9}).max_new_tokens == work.LONGEST
    with pytest.raises(ValueError, match="temperature"):
        work.chosen_decoding(now, {"max_new_tokens": 8, "temperature": -1})


def test_a_row_has_an_address(desk):
    """A source that cannot be opened cannot be checked."""

    def asked(split, place, language="en"):
        scope = {"type": "http", "path_params": {"split": split, "place": place}}
        return desk.row(Request(scope | {"headers": [(b"accept-language", language.encode())]}))

    row = desk.pair.index.dataset["test"][1]
    found = asked("test", 1)
    assert found.status_code == 200 and row["uid"] in found.body.decode()
    assert asked("test", 10**6, "pt").status_code == 404 == asked("nowhere", 0).status_code
    assert "Esta linha não existe." in asked("test", 10**6, "pt").body.decode()


def test_only_this_machine_is_served_unless_asked(desk, monkeypatch):
    """A page that listens to the whole network, or shares itself, shows a store's catalog to strangers."""
    asked = {}
    monkeypatch.setattr(gr.Blocks, "launch", lambda self, **options: asked.update(options) or (None, "address", ""))
    assert gradio_app.serve(desk, block=False) == "address"
    assert asked["server_name"] == "127.0.0.1" and asked["share"] is False
    assert "http" not in html.CSS and "system-ui" in str(asked["theme"].font)


def test_without_a_trained_run_the_command_to_run_is_named(tmp_path, capsys):
    """A newcomer who starts with the page gets a traceback."""
    for command in (["serve"], ["ask", "Cup"]):
        assert main([*command, "--run", str(tmp_path / "none")]) == 2
        assert "ftlib run" in capsys.readouterr().err


def test_a_pair_without_an_index_has_no_sources(desk):
    """A run from before the index must still be asked."""
    bare = Desk(Pair(desk.pair.models, smoke.tokenizer(), desk.pair.generation, 256), desk.run)
    last = views(bare, "Cup")[-1]
    assert W["no_index"] in Tags(last.sources).text and last.answer_pair
    assert bare.examples() == []
