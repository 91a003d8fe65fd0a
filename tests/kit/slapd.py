"""A real OpenLDAP server for tests, on its own ports and folder, changed through its own protocol."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kit.processes import accepts, find_program, free_port, start, stop, wait_until
from tests.kit.services import missing
from tests.kit.tls import Authority

BASE = "dc=example,dc=org"
PEOPLE, GROUPS, SERVICE = f"ou=people,{BASE}", f"ou=groups,{BASE}", f"cn=packhouse,{BASE}"
SERVICE_PASSWORD, _ROOT, _ROOT_PASSWORD = "service-password", f"cn=root,{BASE}", "root-password"
_SBIN = Path("/usr/sbin")

_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
loglevel stats
{tls}
database mdb
maxsize 268435456
suffix "{base}"
rootdn "{root}"
rootpw {root_password}
directory {folder}/db
index objectClass,uid,member,entryUUID eq
limits * size={most} size.prtotal={most}
access to attrs=userPassword by anonymous auth by * none
access to * by dn="{service}" read by anonymous {anonymous} by * none
"""


def person(uid: str, password: str = "", **more: str) -> dict[str, list[str]]:
    """Return the attributes of a person; the password is `UID-password` unless another is given."""
    return {
        "objectClass": ["inetOrgPerson"],
        "uid": [uid],
        "cn": [uid],
        "sn": [more.pop("sn", "Lee")],
        "mail": [f"{uid}@example.org"],
        "userPassword": [password or f"{uid}-password"],
        **{name: [value] for name, value in more.items()},
    }


def group(name: str, members: Iterable[str]) -> dict[str, list[str]]:
    """Return the attributes of a group with these DNs."""
    return {"objectClass": ["groupOfNames"], "cn": [name], "member": list(members)}


def uid(name: str) -> str:
    """Return the DN of a person."""
    return f"uid={name},{PEOPLE}"


def cn(name: str) -> str:
    """Return the DN of a group."""
    return f"cn={name},{GROUPS}"


@dataclass(frozen=True, slots=True)
class Slapd:
    """A running server."""

    port: int
    tls_port: int
    folder: Path
    ca: Path  #: of the authority that signed its certificate, which is good for 127.0.0.1

    @property
    def url(self) -> str:
        """Its address that begins without encryption."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Its address that is encrypted from the first byte."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def log(self) -> str:
        """What it wrote of each operation."""
        return (self.folder / "log").read_text(errors="replace")

    def add(self, dn: str, attributes: Mapping[str, Iterable[str]]) -> None:
        """Add an entry."""
        with self._root() as connection:
            connection.add_s(dn, [(name, [text.encode() for text in texts]) for name, texts in attributes.items()])

    def set(self, dn: str, attribute: str, texts: Iterable[str]) -> None:
        """Replace the values of an attribute."""
        with self._root() as connection:
            connection.modify_s(dn, [(2, attribute, [text.encode() for text in texts])])  # MOD_REPLACE

    def rename(self, dn: str, rdn: str) -> None:
        """Give an entry another name in the same place."""
        with self._root() as connection:
            connection.rename_s(dn, rdn)

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self._root() as connection:
            connection.delete_s(dn)

    @contextmanager
    def _root(self) -> Iterator[Any]:
        import ldap

        connection = ldap.initialize(self.url)
        connection.simple_bind_s(_ROOT, _ROOT_PASSWORD)
        try:
            yield connection
        finally:
            connection.unbind_s()


@contextmanager
def slapd(
    folder: Path,
    entries: Mapping[str, Mapping[str, Iterable[str]]],
    *,
    tls: bool = True,
    authority: Authority | None = None,
    address: str = "127.0.0.1",
    anonymous: str = "auth",
    most: str = "unlimited",
) -> Iterator[Slapd]:
    """Run a server with these entries besides the tree, the service account and nobody else.

    `address` is what its certificate is for, `anonymous` what strangers may (`auth`, `read`), and `most` how many
    entries anybody is given.
    """
    program = find_program("slapd", _SBIN) or missing("OpenLDAP's server", "apt-get install slapd")
    loader = find_program("slapadd", _SBIN) or missing("OpenLDAP's slapadd", "apt-get install slapd")
    try:
        import ldap  # noqa: F401 -- only whether it is there
    except ImportError:
        missing("python-ldap", "apt-get install libldap2-dev libsasl2-dev, then pip install 'packhouse[ldap]'")
    (folder / "db").mkdir(parents=True)
    signer = authority or Authority(folder)
    certificate, key = signer.issue("slapd", address)
    lines = f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}" if tls else ""
    configuration = folder / "slapd.conf"
    configuration.write_text(
        _CONF.format(
            folder=folder, tls=lines, base=BASE, root=_ROOT, root_password=_ROOT_PASSWORD, service=SERVICE,
            anonymous=anonymous, most=most,
        )
    )  # fmt: skip
    tree: dict[str, Mapping[str, Iterable[str]]] = {
        BASE: {"objectClass": ["dcObject", "organization"], "o": ["x"], "dc": ["example"]},
        PEOPLE: {"objectClass": ["organizationalUnit"], "ou": ["people"]},
        GROUPS: {"objectClass": ["organizationalUnit"], "ou": ["groups"]},
        SERVICE: {"objectClass": ["person"], "cn": ["packhouse"], "sn": ["x"], "userPassword": [SERVICE_PASSWORD]},
    }
    (folder / "tree.ldif").write_text(_ldif({**tree, **entries}))
    words = [str(loader), "-q", "-f", str(configuration), "-l", str(folder / "tree.ldif")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    port, tls_port = free_port(), free_port()
    addresses = f"ldap://127.0.0.1:{port}" + (f" ldaps://127.0.0.1:{tls_port}" if tls else "")
    process = start([program, "-d", "stats", "-h", addresses, "-f", configuration], log=folder / "log")
    try:
        wait_until(lambda: accepts(port) and (not tls or accepts(tls_port)), process, folder / "log")
        yield Slapd(port, tls_port, folder, signer.ca)
    finally:
        stop(process)


def _ldif(entries: Mapping[str, Mapping[str, Iterable[str]]]) -> str:
    made = []
    for dn, attributes in entries.items():
        lines = [f"dn: {dn}", *(f"{name}: {text}" for name, texts in attributes.items() for text in texts)]
        made.append("\n".join(lines))
    return "\n\n".join(made) + "\n"
