# SPDX-License-Identifier: Apache-2.0
"""``redcol`` itself: the list of its verbs."""

from __future__ import annotations

import click

from . import completion, entries, export, import_, lists, plot, steering, tail, top
from .verb import Family, common_options


class _Root(Family):
    """The verbs in the order of the list below, which is that of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """Redis Streams from a shell: see, read, steer, export.

    Output is a table on a terminal, and JSON lines in a pipe. `redcol VERB --help` shows a verb's
    options and examples.
    """


root.params += common_options()
root.params.append(_version := click.Option(["--version"], is_flag=True, is_eager=True,
    expose_value=False, help="Show the version and end."))  # fmt: skip


def _show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from .._native import version

        click.echo(f"redcol {version()}")
        context.exit()


_version.callback = _show_version

for verb in (
    *(lists.ls, lists.info, entries.peek, tail.tail, entries.read),
    *(export.export, import_.import_),
    *(lists.groups, lists.consumers, lists.pending),
    *(steering.group, steering.ack, steering.claim, steering.release, steering.trim),
    *(top.top, plot.plot),
    completion.completion,
):
    root.add_command(verb)
