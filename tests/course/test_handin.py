"""The document to hand in: every figure from the run's files, one page without anything from elsewhere, printable."""

import os
import re
import sys
from html import unescape
from html.parser import HTMLParser

import pytest

from ftlib.cli.entry import main
from ftlib.course import handin, printing
from ftlib.pipeline.stage import Run, StageMissing
from ftlib.reporting.tables import interval
from ftlib.runtime.files import read_json

VIDEO, REPOSITORY = "https://youtu.be/kettle", "https://github.com/me/kettle"


@pytest.fixture(scope="module")
def page(smoke_run):
    return handin.html(smoke_run, VIDEO, REPOSITORY)


def test_the_figures_are_those_of_the_run(page, smoke_run):
    """A figure that somebody typed belongs to another run by the evening before the deadline."""
    funnel = read_json(smoke_run.stage("dataset").path / "funnel.json")
    metrics = read_json(smoke_run.stage("evaluation").path / "metrics.json")
    adapter = smoke_run.stage("adapter").manifest()
    for count in (funnel["rows_in"], funnel["kept"], funnel["dropped"]["missing"], funnel["splits"]["train"]):
        assert f"{count:,}</td>" in page
    for system in ("base", "tuned"):
        mean, _, bounds = interval(metrics["unseen"]["systems"][system]["nll"]).partition(" ")
        assert mean in page and bounds in page
    assert f"{adapter['trainable_parameters']:,} parameters are trained" in page
    assert f"<td><code>r</code></td><td>{adapter['config']['lora']['r']}</td>" in page
    assert f'<a href="{VIDEO}">' in page and f'<a href="{REPOSITORY}">' in page and adapter["git_commit"] in page
    assert "Synthetic sample catalog" in page and "random weights" in page and "ftlib run --profile smoke" in page


def test_the_examples_are_the_first_test_rows(page, smoke_run):
    """Chosen examples would show another model than the one that was trained; a formula's quote would show another text."""
    from ftlib.pipeline.stages import load_dataset

    rows = load_dataset(smoke_run)["test"].select(range(handin.EXAMPLES))
    titles = re.findall(r'<div class="example"><h3>(.*?)</h3>', page)
    assert [unescape(title) for title in titles] == rows["title"]


@pytest.mark.parametrize("language", handin.LANGUAGES)
def test_the_page_is_complete_in_each_language(smoke_run, language):
    """A browser at the school has no network, and an unclosed table swallows what follows it."""
    text = handin.html(smoke_run, VIDEO, REPOSITORY, language)
    assert f'<html lang="{language}">' in text and "{" not in re.sub(
        r"<(style|pre)>.*?</\1>", "", text, flags=re.DOTALL
    )
    resources, open_tags = [], []

    class Check(HTMLParser):
        def handle_starttag(self, tag, attributes):
            resources.extend(
                value for name, value in attributes if name in ("src", "srcset") or tag in ("link", "script")
            )
            if tag not in ("meta", "img"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Check().feed(text)
    assert open_tags == [] and all(address.startswith("data:") for address in resources)


def test_the_languages_have_the_same_texts():
    """A key that one language lacks ends in a KeyError for half of the class."""
    shapes = [{key: sorted(value) if isinstance(value, dict) else sorted(re.findall(r"{\w+}", value)) for key, value in
               handin.texts(language).items()} for language in handin.LANGUAGES]  # fmt: skip
    assert shapes[0] == shapes[1]


def test_every_split_and_every_step_has_a_text():
    """A run with data.split=random must not claim that no copy of a test row was trained on."""
    words = handin.texts("en")
    assert set(words["split"]) == {"near", "group", "random"} and "copies" in words["split"]["random"]
    assert set(words["dropped"]) >= {"missing", "short_title", "short_content", "same_as_title", "duplicate", "adult"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--video": "my video"}, "--video my video: write an address"),
        ({"--repository": "javascript:alert(1)"}, "--repository javascript:alert(1): write an address"),
        ({"--lang": "fr"}, "--lang fr: allowed are en, pt-BR"),
        ({"--run": "nowhere"}, "ftlib evaluate"),
    ],
)
def test_errors_say_what_to_write(smoke_run, change, words, capsys):
    """A traceback an hour before the deadline helps nobody."""
    options = {"--video": VIDEO, "--repository": REPOSITORY, "--run": str(smoke_run.path)} | change
    assert main(["course", "handin", *(part for option in options.items() for part in option)]) == 2
    assert words in capsys.readouterr().err


def test_an_unfinished_run_is_refused(tmp_path):
    """A document without results must not look like one."""
    with pytest.raises(StageMissing):
        handin.html(Run(tmp_path), VIDEO, REPOSITORY)


@pytest.mark.parametrize(
    ("file", "words"),
    [("trn.json.gz", "AmazonTitles-1.3MM"), ("LF-AmazonTitles.zip", "McAuley"), ("shop.csv", "by the author")],
)
def test_the_terms_belong_to_the_file(smoke_run, file, words):
    """Amazon's texts have other terms than the sample, and those of a file of one's own are not known here."""
    manifests = smoke_run.manifests()
    manifests["dataset"] |= {"file": file, "sample": False}
    assert words in handin._sources(manifests, handin.texts("en"))["data_terms"]


def test_without_a_browser_the_page_says_how_to_print(smoke_run, tmp_path, monkeypatch, capsys):
    """The PDF is demanded, and a machine without Chromium must not end with nothing."""
    monkeypatch.setattr(printing, "find_browser", lambda: None)
    command = ["course", "handin", "--video", VIDEO, "--repository", REPOSITORY, "--run", str(smoke_run.path)]
    assert main([*command, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "no Chromium was found" in said and "FTLIB_CHROMIUM" in said and (tmp_path / "handin.html").exists()
    monkeypatch.setattr(printing, "find_browser", lambda: sys.executable)  # a browser that fails
    assert printing.print_pdf(tmp_path / "handin.html") is None and "print it to a PDF" in capsys.readouterr().out


@pytest.mark.browser
@pytest.mark.skipif(
    not printing.find_browser(), reason="needs a browser: apt-get install chromium, or set FTLIB_CHROMIUM"
)
def test_a_browser_prints_the_pdf(page, tmp_path):
    """The challenge demands a PDF."""
    path = tmp_path / "handin.html"
    path.write_text(page, encoding="utf-8")
    pdf = printing.print_pdf(path)
    assert pdf and pdf.read_bytes()[:5] == b"%PDF-" and os.path.getsize(pdf) > 20_000
