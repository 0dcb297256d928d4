"""`ftlib course COMMAND`: what makes the course itself, its editions, and what a student hands in."""

from __future__ import annotations

from pathlib import Path

from ftlib.cli.common import add_command


def add(subparsers) -> None:
    """Add the commands to the parser."""
    course = subparsers.add_parser("course", help="record, render and hand out the notebooks")
    actions = course.add_subparsers(dest="action", required=True)
    record = add_command(actions, "record", "execute the notebooks, keep outputs and times, and stamp them", do_record)
    record.add_argument("names", nargs="*", metavar="NOTEBOOK", help="e.g. 03; all without a name")
    record.add_argument("--profile", default="cpu", help="another than cpu measures times and keeps no outputs")
    record.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a setting on top of another profile than cpu"
    )
    record.add_argument("--rebuild", action="store_true", help="ship the adapter that notebook 03 trains")
    _add_language(record)
    slides = add_command(actions, "slides", "one reveal.js deck a notebook, or the deck of a plan", do_slides)
    slides.add_argument("--deck", metavar="NAME", help="the plan docs/decks/NAME.yaml, with speaker notes and a PDF")
    slides.add_argument("--out", type=Path, default=Path("slides"), metavar="FOLDER")
    _add_language(slides)
    slides.add_argument(
        "--reveal", metavar="PLACE", help="address or folder of reveal.js (default: a pinned version from a CDN)"
    )
    for name, summary, function in (
        ("book", "one static page a notebook, with navigation", do_book),
        ("student", "copies of the notebooks without solutions and outputs", do_student),
        ("instructor", "copies of the notebooks with answers open, rubric and common errors", do_instructor),
    ):
        command = add_command(actions, name, summary, function)
        command.add_argument("--out", type=Path, default=Path(name), metavar="FOLDER")
        _add_language(command)
    translate = add_command(actions, "translate", "render the notebooks in another language", do_translate)
    translate.add_argument("--lang", default="pt-BR", metavar="LANGUAGE", help="pt-BR")
    translate.add_argument("--accept", metavar="CELL", help="its block fits the English text of today")
    badges = add_command(actions, "badges", "point badges and set-up cells to a repository and a tag", do_badges)
    badges.add_argument("--repository", metavar="OWNER/REPO", help="default: the git remote origin")
    badges.add_argument("--ref", metavar="TAG")
    handin = add_command(actions, "handin", "the document of a run to hand in, as printable HTML and PDF", do_handin)
    handin.add_argument("--video", required=True, metavar="URL")
    handin.add_argument("--repository", required=True, metavar="URL")
    handin.add_argument("--run", metavar="PATH", help="the run folder (default: runs/<profile>)")
    _add_language(handin)
    handin.add_argument("--out", type=Path, metavar="FOLDER", help="default: handin/ in the run's folder")


def _add_language(parser) -> None:
    parser.add_argument("--lang", default="en", metavar="LANGUAGE", help="en or pt-BR (default: en)")


def do_record(args) -> None:
    """Execute and record notebooks."""
    from ftlib.config.settings import parse_setting
    from ftlib.course.record import record

    settings = {key: str(value) for key, value in map(parse_setting, args.set)}
    record(args.names, args.profile, args.rebuild, settings, language=args.lang)


def do_slides(args) -> None:
    """Write the decks."""
    from ftlib.course.deck import write_deck
    from ftlib.course.site import REVEAL, write_slides

    reveal = args.reveal or REVEAL
    if args.deck:
        written = write_deck(args.deck, args.out, reveal, language=args.lang)
    else:
        written = write_slides(args.out, reveal, language=args.lang)
    _print_written(written, args.out)


def do_book(args) -> None:
    """Write the book."""
    from ftlib.course.site import write_book

    _print_written(write_book(args.out, language=args.lang), args.out)


def do_student(args) -> None:
    """Write the students' copies."""
    from ftlib.course.student import write_copies

    _print_written(write_copies(args.out, language=args.lang), args.out)


def do_instructor(args) -> None:
    """Write the instructors' copies."""
    from ftlib.course.student import for_instructors, write_copies

    _print_written(write_copies(args.out, edition=for_instructors, language=args.lang), args.out)


def do_translate(args) -> None:
    """Render the notebooks in another language; fail where a translation does not fit."""
    from ftlib.course import deck, translation
    from ftlib.reporting import notebook_files

    _print_written(translation.write(args.lang, args.accept), Path("notebooks") / args.lang)
    found = [
        message for path in notebook_files.notebook_paths() for message in translation.problems(path.stem, args.lang)
    ]
    found += [message for name in deck.plan_names() for message in deck.translation_problems(name, args.lang)]
    if found:
        raise notebook_files.CourseError("\n".join(found))


def do_handin(args) -> None:
    """Write the document to hand in."""
    from ftlib.config.settings import Config
    from ftlib.course.handin import write
    from ftlib.pipeline.stage import Run
    from ftlib.pipeline.stages import default_run
    from ftlib.runtime.files import home_path

    run = Run(home_path(args.run, "--run") if args.run else default_run(Config.load()))
    paths = write(run, args.out or run.path / "handin", args.video, args.repository, args.lang)
    print("\n".join(f"written: {path}" for path in paths if path))


def _print_written(paths: list[Path], folder: Path) -> None:
    print(f"{len(paths)} files written to {folder}: {', '.join(path.name for path in paths)}")


def do_badges(args) -> None:
    """Rewrite badges and set-up cells."""
    from ftlib.course.badges import rewrite

    repository, ref = rewrite(args.repository, args.ref)
    print(f"badges and set-up cells point to {repository} at {ref}")
