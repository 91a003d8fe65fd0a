"""URLs as they may be shown: in errors, logs and audit events no address carries a secret."""

from __future__ import annotations

import re

#: a password with an unescaped / ? or #: what follows the colon is no port number, and an @ comes later
_BROKEN_USERINFO = re.compile(r"(?<=//)[^/?#@\[]*:(?!\d*([/?#]|$)).*@", re.DOTALL)
_USERINFO = re.compile(r"(?<=//)[^/?#]*@")
_QUERY = re.compile(r"\?[^#]+")
_TOKEN = re.compile(r"(?<=/t/)[^/?#]+")


def mask_url(url: object) -> str:
    """Return `url` with user and password, conda's `/t/<token>` and the query (presigned URLs) as `***`.

    The fragment goes away. Works on text that is no well-formed URL too, and never raises.
    """
    text = _BROKEN_USERINFO.sub("***@", str(url))
    text = _USERINFO.sub("***@", text)
    text = _QUERY.sub("?***", text).split("#", 1)[0]
    return _TOKEN.sub("***", text)
