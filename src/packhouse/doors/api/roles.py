"""`/api/roles`: what those who hold a role may do, and which roles new accounts get."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from packhouse.catalog.roles import store
from packhouse.catalog.roles.role import read_levels
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Limit, Login, Offset, Page, Text, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.roles import RoleShape, role_shape
from packhouse.doors.api.words import RoleLevel
from packhouse.workflows.people import roles as editing


class RoleRequest(Body):
    """A role to be made."""

    name: Word
    description: Text = ""
    levels: dict[Word, RoleLevel] = {}  #: of some categories; the others have none
    default: bool = False  #: new accounts get it


class RoleEdit(Body):
    """What shall be otherwise with a role; unsent members stay as they are."""

    name: Word | None = None
    description: Text | None = None
    levels: dict[Word, RoleLevel] | None = None  #: of some categories; the others stay as they are
    default: bool | None = None  #: new accounts get it


@get("/api/roles", tags=["roles"], responses=refused())
async def list_roles(services: House, limit: Limit = 100, offset: Offset = 0) -> Page[RoleShape]:
    """List the roles by name, those of every installation and those made here."""
    rows, total = await store.page(services.db, page_size(limit), offset)
    return Page([role_shape(row) for row in rows], total)


@post("/api/roles", tags=["roles"], responses=refused("conflict"))
async def create_role(data: JSONBody[RoleRequest], caller: Caller, services: House) -> RoleShape:
    """Make a role; nobody can give it more than they have themselves."""
    edit = editing.Edit(None, data.description, read_levels(data.levels), data.default)
    return role_shape(await editing.create_role(services.db, caller, data.name, edit))


@get("/api/roles/{role:str}", tags=["roles"], responses=refused())
async def get_role(role: FromPath[str], services: House) -> RoleShape:
    """Show a role."""
    found = (await store.by_names(services.db, [role])).get(role)
    if found is None:
        raise editing.no_role(role)
    return role_shape(found)


@put("/api/roles/{role:str}", tags=["roles"], responses=refused("conflict"))
async def edit_role(
    role: FromPath[str], data: JSONBody[RoleEdit], caller: Caller, services: House, authenticator: Login
) -> RoleShape:
    """Change a role, which holds for everybody who has it within two seconds; `admin` cannot be changed."""
    levels = None if data.levels is None else read_levels(data.levels)
    edit = editing.Edit(data.name, data.description, levels, data.default)
    changed = await editing.edit_role(services.db, caller, role, edit)
    authenticator.forget("people", "")  # other processes hear of it by the list of changes
    return role_shape(changed)


@delete("/api/roles/{role:str}", tags=["roles"], responses=refused("conflict"))
async def delete_role(role: FromPath[str], caller: Caller, services: House) -> None:
    """Delete a role that nobody has."""
    await editing.delete_role(services.db, caller, role)


HANDLERS = [list_roles, create_role, get_role, edit_role, delete_role]
