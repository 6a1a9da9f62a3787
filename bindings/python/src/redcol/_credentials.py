# SPDX-License-Identifier: Apache-2.0
"""Credentials that a Python function returns, each time that a connection begins.

The library calls `_ask` in threads of its own, so that a function that takes long blocks no event
loop. What the function raises is kept, and becomes the cause of the AuthenticationError.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import itertools
import weakref
from collections.abc import Callable
from ctypes import c_int32, c_void_p

from ._library import library
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Final

    from ._native import Handle

    Credentials = Callable[[], tuple[str | None, str]]

#: Functions by the number that the library knows them by.
_functions: Final[dict[int, Credentials]] = {}
#: What functions raised, by the number that the library has as "provider_code"; and which did.
_raised: Final[dict[int, tuple[BaseException, int]]] = {}
#: Exceptions that are kept, with all that their tracebacks refer to.
_RAISED_MAX: Final = 64
_CODE_MAX: Final = 2**31 - 1
_numbers: Final = itertools.count(1)


def _ask(request: int, number: int) -> int:
    lib = library()
    lib.redcol_capsule_credentials_entered()
    try:
        # Raised here, where no local variable shows the password.
        if wrong := _answer(lib, request, _functions[number]):
            raise TypeError(wrong)
    except BaseException as error:
        return _keep(error, number)
    return 0


def _answer(lib: Any, request: int, function: Credentials) -> str | None:
    """Ask, and tell the library. Returns what is wrong with what was returned."""
    returned: object = function()
    wrong = "credentials must return a tuple of two strings: the user (or None) and the password"
    if not isinstance(returned, tuple) or len(returned) != 2:
        return wrong
    user, password = returned
    if not isinstance(user, str | None) or not isinstance(password, str):
        return wrong
    try:
        words = (user or "").encode(), password.encode()
    except UnicodeEncodeError:
        return "credentials returned a user or password that is not valid Unicode"
    arguments = [part for word in words for part in (word, len(word))]
    if lib.redcol_credentials_set(request, *arguments, None) != 0:
        return "credentials returned a user or password of more than 64 KiB"
    return None


def _keep(error: BaseException, number: int) -> int:
    code = next(_numbers) % _CODE_MAX + 1
    _raised[code] = error, number
    for old in list(_raised)[:-_RAISED_MAX]:
        _raised.pop(old, None)
    return code


def _forget(number: int) -> None:
    _functions.pop(number, None)
    for code in [code for code, (_, of) in list(_raised.items()) if of == number]:
        _raised.pop(code, None)


def raised(code: str | None) -> BaseException | None:
    """What the function raised that the library has got this code from."""
    error, _ = _raised.get(int(code), (None, 0)) if code else (None, 0)
    return error


_callback: Final = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p)(_ask)


@functools.cache
def _prepare() -> c_void_p:
    lib = library()
    lib.redcol_capsule_credentials_setup(ctypes.cast(_callback, c_void_p))
    # A thread of the library must not call a Python that is shutting down.
    atexit.register(lib.redcol_capsule_credentials_setup, None)
    return ctypes.cast(lib.redcol_capsule_credentials, c_void_p)


def new_credentials(function: Credentials, credentials: Handle) -> int:
    """Make credentials that `function` returns as long as the handle lives. Returns the status."""
    callback, number = _prepare(), next(_numbers)
    _functions[number] = function
    weakref.finalize(credentials, _forget, number).atexit = False
    status: int = library().redcol_credentials_new(
        callback, number, None, credentials.pointer_reference, None
    )
    return status
