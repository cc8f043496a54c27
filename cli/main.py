"""The command `mmsearch`: a table of subcommands, each imported only when it is called."""

from __future__ import annotations

import importlib
from typing import NoReturn

import click

from mmsearch.errors import MissingPackageError, MmsearchError
from mmsearch.extras import missing_package

COMMANDS = {
    "up": ("up", "Start the embedded OpenSearch and Triton, and wait until both respond to real requests."),
    "down": ("down", "Stop the embedded servers."),
    "status": ("status", "Show the state of the embedded servers."),
    "logs": ("logs", "Print or follow a server's log."),
    "doctor": ("doctor", "Check servers, models and indexes; print what to repair."),
    "models": ("models", "Build the models that Triton serves, and deploy trained ones."),
    "train": ("train", "Train a fusion on pairs of queries and products."),
    "pairs": ("pairs", "Mine hard negatives for training pairs."),
    "synthetic-pairs": (
        "synthetic_pairs",
        "Generate pairs from a catalog's attributes, for trials.",
    ),
    "ingest": ("ingest", "Encode a catalog and index it."),
    "reindex": ("reindex", "Encode a catalog with another model and switch the alias."),
    "retry": ("retry", "Ingest rejected lines again."),
    "delete": ("delete", "Delete products by their ids."),
    "plan": ("plan", "Estimate memory, disk, nodes and encoders for a catalog."),
    "search": ("search", "Search by text, picture or both."),
    "evaluate": ("evaluate", "Evaluate systems against judgments, with an HTML report."),
    "judgments": ("judgments", "Convert judgments: TREC, Search Relevance Workbench, behaviour events."),
    "tune": ("tune", "Tune the normalization and weights of a hybrid."),
    "ui": ("ui", "Serve a local search page with images and two systems side by side."),
    "dashboards": ("dashboards", "Create saved objects for OpenSearch Dashboards and their index."),
}
"""name → (module in mmsearch.cli[:attribute], one line of help); the attribute is `command` when not given"""


class Refused(click.ClickException):
    """An error whose message explains it: one sentence on stderr, exit 1."""

    def show(self, file: object = None) -> None:
        from mmsearch.cli.in_container import fitted  # needed only here, and `--help` imports nothing more

        click.echo(f"mmsearch: {fitted(self.message)}", err=True)


class LazyGroup(click.Group):
    """Lists commands with one line of help, imports them on demand, and exits with 1 on mmsearch's errors."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        try:
            found = getattr(importlib.import_module(f"{__package__}.{module}"), attribute or "command")
        except ModuleNotFoundError as error:
            _refuse_missing(error, name)
        if not isinstance(found, click.Command):
            raise TypeError(f"expected {module} to hold a click command, got {type(found).__name__}")
        return found

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except MissingPackageError as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                _refuse_missing(error.__cause__, context.invoked_subcommand or "")
            raise Refused(str(error)) from error
        except MmsearchError as error:
            raise Refused(error.sentence()) from error
        except ModuleNotFoundError as error:
            _refuse_missing(error, context.invoked_subcommand or "")
        except OSError as error:
            # An error of a file that the user named; all others are bugs.
            if not error.filename or not error.strerror:
                raise
            raise Refused(
                f"expected to use {error.filename}, got: {error.strerror}; name an existing, writable "
                "file or folder with free space"
            ) from error


def _refuse_missing(error: ModuleNotFoundError, command: str) -> NoReturn:
    """Report the missing package of a command. If the module is mmsearch's own, raise the error unchanged."""
    missing = missing_package(error, f"`mmsearch {command}`")
    if missing is None:
        raise error
    raise Refused(str(missing)) from error


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="mmsearch")
def cli() -> None:
    """Multimodal semantic retrieval for product search, on OpenSearch k-NN and NVIDIA Triton.

    \b
    Example:
      mmsearch up
      mmsearch ingest catalog.jsonl
      mmsearch search "wooden chair"
    """


def main() -> None:
    """The entry point of the console script."""
    cli(prog_name="mmsearch")
