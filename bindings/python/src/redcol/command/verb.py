# SPDX-License-Identifier: Apache-2.0
"""A verb of the command: a click command with the options that all have, and with examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from .session import Session, StoppedError


class Verb(click.Command):
    """A verb. Its examples are in its help, in the man page, and are run by the tests."""

    def __init__(
        self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.examples = examples
        self.own_options = [each for each in self.params if isinstance(each, click.Option)]
        self.params += common_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise StoppedError from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verb's own options, and then those that every verb has."""
        help_option = self.get_help_option(ctx)
        own = [*self.own_options, *([help_option] if help_option else [])]
        common = [
            each for each in self.params if isinstance(each, click.Option) and each not in own
        ]
        for title, options in (("Options", own), ("Options of every verb", common)):
            records = [record for each in options if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line, meaning in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                    with formatter.indentation():
                        formatter.write_text(meaning)


class Family(click.Group):
    """Verbs that belong together, such as ``group create`` and ``group delete``."""

    command_class = Verb


def common_options() -> list[click.Option]:
    """New options that every verb has. They may also stand before the verb."""
    return [
        _option("-u", "--url", metavar="URL", set_=_set_url, help="The server's URL. Default: "
                "REDCOL_URL, or redis://localhost. Better keep a password in REDCOL_PASSWORD."),
        _option("-q", "--quiet", is_flag=True, set_=_set_quiet,
                help="No progress, remarks or warnings."),
        _option("-v", "--verbose", count=True, set_=_set_verbose,
                help="Write the log to standard error. -vv: more of it, and tracebacks."),
        _option("--no-color", is_flag=True, set_=_set_no_color,
                help="No colors, as with NO_COLOR."),
    ]  # fmt: skip


def _option(*names: str, set_: Callable[[Session, Any], None], **settings: Any) -> click.Option:
    def remember(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            set_(context.ensure_object(Session), value)

    return click.Option(names, expose_value=False, callback=remember, **settings)


def _set_url(session: Session, url: str) -> None:
    session.url = url


def _set_quiet(session: Session, _: bool) -> None:
    session.is_quiet = True


def _set_verbose(session: Session, count: int) -> None:
    session.verbosity += count


def _set_no_color(session: Session, _: bool) -> None:
    session.has_color = False
