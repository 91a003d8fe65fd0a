"""A SAML identity provider, brokered as `deploy/keycloak/README.md` has administrators do it: a realm of its own.

What its administrators do with our metadata is done by the same server, which makes a client of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.kit.commands import plain_environment
from tests.kit.keycloak import ADMIN, REALM, Keycloak

BROKER = REALM.parent / "saml-broker.json"
NAME = "corp"
USER: dict[str, Any] = {
    "username": "sam",
    "enabled": True,
    "email": "sam@example.org",
    "firstName": "Sam",
    "lastName": "Ito",
    "credentials": [{"type": "password", "value": "sam-password", "temporary": False}],
    "groups": ["/scientists"],
}
#: to be imported when the server starts
SAML_REALM: dict[str, Any] = {
    "realm": NAME,
    "enabled": True,
    "sslRequired": "none",
    "groups": [{"name": "scientists"}],
    "users": [USER],
}
_GROUPS = {
    "name": "groups",
    "protocol": "saml",
    "protocolMapper": "saml-group-membership-mapper",
    "config": {"attribute.name": "groups", "attribute.nameformat": "Basic", "single": "true", "full.path": "false"},
}


def broker(server: Keycloak, folder: Path) -> None:
    """Make the realm of Packhouse ask the other one by SAML, and let that know of it."""
    there = f"{server.url}/realms/{NAME}"
    text = BROKER.read_text()
    for name, value in {
        "ENTITY_ID": there,
        "SIGN_ON_URL": f"{there}/protocol/saml",
        "METADATA_URL": f"{there}/protocol/saml/descriptor",
    }.items():
        text = text.replace(f"${{SAML_{name}}}", value)
    file = folder / "saml.json"
    file.write_text(text)
    command = ["create", "partialImport", "-r", "packhouse", "-s", "ifResourceExists=FAIL", "-f", str(file)]
    admin = ["--no-config", "--server", server.url, "--realm", "master", "--user", ADMIN, "--password", ADMIN]
    done = subprocess.run(
        [str(server.home / "bin" / "kcadm.sh"), *command, *admin],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    metadata = server.fetch(f"{server.issuer}/broker/{NAME}/endpoint/descriptor")
    client = server.call("POST", "client-description-converter", metadata, realm=NAME)
    for mapper in client["protocolMappers"]:  # they asked for these
        mapper["config"]["user.attribute"] = mapper["name"]
    client["protocolMappers"].append(_GROUPS)
    server.call("POST", "clients", client, realm=NAME)
