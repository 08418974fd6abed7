"""The command-line arguments that the runners share: which settings."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from pipeline import config_files
from pipeline.configs import Config
from word2vec.errors import UserError, printable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, as all other errors."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        raise UserError(f"{printable(message)}. --help says what there is")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """See `argparse.ArgumentParser.print_help`, which takes a full disk for a success."""
        (file or sys.stdout).write(self.format_help())


def parser(description: str) -> Parser:
    """A parser whose help ends with a list of all settings."""
    settings = "\n".join(
        f"  {key} ({kind}) = {default}\n      {meaning}" for key, kind, default, meaning in config_files.settings()
    )
    return Parser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"settings, for --set and for YAML files:\n{settings}",
    )


def add_settings(to: argparse.ArgumentParser, default: str) -> None:
    """Adds the arguments that give settings.

    Args:
        to: the parser.
        default: the preset for who names none.
    """
    presets = ", ".join(sorted(path.stem for path in config_files.PRESETS.glob("*.yaml")))
    to.add_argument(
        "--config",
        default=default,
        metavar="NAME_OR_FILE",
        help=f"a preset ({presets}) or a YAML file with settings; by default {default}",
    )
    to.add_argument("--corpus", nargs="+", metavar="GLOB_OR_DIR", help="the text: sets corpus.paths; quote a glob")
    to.add_argument("--name", help="the run's name: sets name")
    to.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a setting; may be given many times"
    )


def load(options: argparse.Namespace) -> Config:
    """The settings that the arguments give.

    Raises:
        UserError: they are wrong.
    """
    values = {"corpus.paths": options.corpus, "name": options.name}
    return config_files.load(
        options.config, options.set, {key: value for key, value in values.items() if value is not None}
    )
