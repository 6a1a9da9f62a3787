# SPDX-License-Identifier: Apache-2.0
"""Running the command: its exit codes, and errors in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from .. import errors
from . import INSTALL
from .root import root
from .session import PipeClosedError, Session, StoppedError, TerminatedError

#: Exit codes, as in shells: 128 and the number of the signal where a signal is the reason.
ERROR, USAGE, INTERRUPTED, PIPE_CLOSED, TERMINATED = 1, 2, 130, 141, 143


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Returns its exit code."""
    session = Session()
    try:
        root.main(list(arguments), "redcol", standalone_mode=False, obj=session)
        sys.stdout.flush()
    except PipeClosedError:
        return _leave_quietly()
    except BrokenPipeError:  # of the last flush
        return _leave_quietly()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt, StoppedError) as error:
        is_terminated = isinstance(error.__cause__, TerminatedError)
        return TERMINATED if is_terminated else INTERRUPTED
    except BaseException as error:
        # What Polars gives up with is none of Python's usual errors.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if session.verbosity > 1:
            raise
        print(f"redcol: {sentence(error)}", file=sys.stderr)
        return USAGE if isinstance(error, errors.InvalidArgumentError) else ERROR
    finally:
        session.close()
    return 0


def sentence(error: BaseException) -> str:
    """What to tell of an error: its message, in one line."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, ModuleNotFoundError):
        return f"there is no package {error.name}: {INSTALL}"
    message = " ".join(str(error).split())
    if isinstance(error, errors.RedcolError) or not message:
        return message or type(error).__name__
    if isinstance(error, OSError):
        return message
    return f"{message} ({type(error).__name__})"


def _leave_quietly() -> int:
    # Python flushes stdout when it ends, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
