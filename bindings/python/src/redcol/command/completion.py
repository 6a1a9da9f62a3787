# SPDX-License-Identifier: Apache-2.0
"""Completion of the command in shells: ``completion``."""

from __future__ import annotations

import click

from .verb import Verb


@click.command(
    cls=Verb,
    examples=[
        ("redcol completion bash > ~/.local/share/bash-completion/completions/redcol", "For bash."),
        ("redcol completion zsh > ~/.zfunc/_redcol", "For zsh, if ~/.zfunc is in fpath."),
        ("redcol completion fish > ~/.config/fish/completions/redcol.fish", "For fish."),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Write the lines that let SHELL complete verbs and options."""
    from click.shell_completion import get_completion_class

    from .root import root

    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(root, {}, "redcol", "_REDCOL_COMPLETE").source())
