"""The command line itself: what it says of errors and in its help."""

import argparse
import errno
import os
from collections.abc import Iterator

import pytest

from avvp.cli import main, parser


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.json"), "No such file (a.json)."),
        (OSError("no plain file"), "no plain file."),
        (
            OSError(
                errno.EPERM, os.strerror(errno.EPERM), "out/.a.json.x.part", None, "out/a.json"
            ),
            f"{os.strerror(errno.EPERM)} (out/a.json).",
        ),
    ],
)
def test_what_the_system_refuses_is_one_sentence(error, told, monkeypatch, capsys):
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr("avvp.commands.oddities.read_annotations", refused)
    assert main(["oddities", "--annotations=a", "--out=b.json"]) == 1
    assert capsys.readouterr().err == f"avvp: the operating system says: {told}\n"


def commands(command: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield command
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from commands(inner)


@pytest.mark.parametrize("command", [*commands(parser())], ids=lambda command: command.prog)
def test_help_is_plain_text(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # no mark is broken in two
    said = command.format_help()
    assert command.prog in said
    for mark in ("``", ":mod:", ":func:", ":class:", ":data:", ":meth:"):
        assert mark not in said
    for text in (command.description, command.epilog, *(a.help for a in command._actions)):
        assert not text or "``" not in text


def test_help_says_what_the_docstrings_say(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = " ".join(parser().format_help().split())
    assert "The avvp command: each group of subcommands is one module of avvp.commands." in said
    assert "pack avvp pack: write a run's network and its model card" in said
