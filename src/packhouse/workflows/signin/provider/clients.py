"""The command lines that may ask for a key. None of them can keep a secret, so that none has one (RFC 6749 2.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

ANACONDA, REPO_CLI = "b4ad7f1d-c784-46b5-a9fe-106e50441f5a", "repo-service-cli"

#: client id → what a person is shown
DEVICE_CLIENTS: dict[str, str] = {ANACONDA: "the anaconda command line"}

_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"


class CodeClient(NamedTuple):
    """A command line that has a browser come back to it, on the machine of the person."""

    shown: str
    redirects: re.Pattern[str]  #: to where; whole
    pkce: bool  #: whether it has to use PKCE


#: those that use the authorization code flow. Ports are free: a command line takes one that is (RFC 8252 section 7.3)
CODE_CLIENTS: dict[str, CodeClient] = {
    ANACONDA: CodeClient("the anaconda command line", re.compile(rf"http://127\.0\.0\.1:{_PORT}/auth/oidc"), True),
    # made before PKCE was
    REPO_CLI: CodeClient(
        "the conda repo command line", re.compile(rf"http://localhost:{_PORT}/[A-Za-z0-9._/-]*"), False
    ),
}
