"""What browsers are shown: templates and one style sheet. No page needs a script."""

from __future__ import annotations

from importlib.resources import files

STYLE = files(__name__).joinpath("page.css").read_bytes()
