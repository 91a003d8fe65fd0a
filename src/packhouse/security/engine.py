"""The number of the engine: of all that decides, from the same facts, what may be seen.

That is the rules (`policies`), how versions compare (`formats`), which versions an advisory affects and what packages
are called in advisories (`vulnerabilities`, with the map). Raise it with any change of what these *say*; one of how
they are written or how fast they are needs none. An installation whose files were judged under another number judges
everything anew by itself. A test (`tests/unit/house/test_engine.py`) tells when it was forgotten.
"""

from __future__ import annotations

ENGINE = 1
