"""Which member names and links of an archive are safe to extract, whatever tool does it on whatever system."""

from __future__ import annotations

from packhouse.formats.archives.limits import Limits
from packhouse.formats.base import Malformed


def shown(raw: bytes | str) -> str:
    """Return a name as it may stand in a message: short, without control characters."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return repr(text if len(text) <= 120 else text[:117] + "…")


def _decode(raw: bytes, limits: Limits) -> str:
    if len(raw) > limits.name_length:
        raise Malformed(f"The member name {shown(raw)} is longer than {limits.name_length} bytes.")
    if b"\0" in raw:
        raise Malformed(f"The member name {shown(raw)} holds a NUL byte.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The member name {shown(raw)} is not UTF-8.") from error


def member_name(raw: bytes, limits: Limits) -> str:
    """Return the normal form of a member name: relative, `/` between parts, no `.` parts, no slash at the end.

    The empty string is the root folder itself. Malformed for names that are absolute, climb with `..` (Windows
    separators count too), hold NUL, are not UTF-8, or are too long or too deep.
    """
    name = _decode(raw, limits)
    if name[:1] in ("/", "\\") or name[1:2] == ":":
        raise Malformed(f"The member name {shown(name)} is absolute.")
    if ".." in name and ".." in name.replace("\\", "/").split("/"):
        raise Malformed(f"The member name {shown(name)} leads out of the package with '..'.")
    if name.count("/") > limits.name_depth:
        raise Malformed(f"The member name {shown(name)} lies more than {limits.name_depth} folders deep.")
    if "//" in name or "./" in name or name[-1:] in ("/", "."):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


class Links:
    """The symbolic links seen so far in one package, and the checks that none leads anything out of it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._links: set[str] = set()
        self._doubtful: list[tuple[str, str]] = []  # (link, a path inside that some target climbs out of)

    def add(self, name: str, raw_target: bytes) -> None:
        """Note the symbolic link `name` -> `raw_target`; Malformed when the target is outside the package."""
        target = _decode(raw_target, self._limits)
        if not target:
            raise Malformed(f"The link {shown(name)} has no target.")
        if target[0] in "/\\" or target[1:2] == ":":
            raise Malformed(f"The link {shown(name)} has the absolute target {shown(target)}.")
        if len(self._links) >= self._limits.links:
            raise Malformed(f"The package has more than {self._limits.links:,} links.")
        self._links.add(name)
        self._resolve(name, target)

    def _resolve(self, name: str, target: str) -> None:
        at = name.split("/")[:-1]
        named = False  # after a named part, '..' may climb out of another link: judged when all links are known
        for part in target.replace("\\", "/").split("/"):
            if part in ("", "."):
                continue
            if part != "..":
                at.append(part)
                named = True
                continue
            if not at:
                raise Malformed(f"The link {shown(name)} leads out of the package: its target is {shown(target)}.")
            if named:
                self._doubtful.append((name, "/".join(at)))
            at.pop()

    def holds(self, name: str) -> bool:
        """Say whether `name` is a symbolic link of the package."""
        return name in self._links

    def check_path(self, name: str) -> None:
        """Malformed when a folder on the way to `name` is a symbolic link of the package."""
        at = name.rfind("/") if self._links else -1
        while at > 0:
            if name[:at] in self._links:
                raise Malformed(f"The member {shown(name)} would be written through the link {shown(name[:at])}.")
            at = name.rfind("/", 0, at)

    def check_all(self) -> None:
        """Malformed when a target climbs with '..' out of a folder that is itself a link."""
        for link, path in self._doubtful:
            parts = path.split("/")
            if any("/".join(parts[:end]) in self._links for end in range(1, len(parts) + 1)):
                raise Malformed(f"The target of the link {shown(link)} climbs out of another link with '..'.")
