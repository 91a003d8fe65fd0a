"""`/api/permissions`: the permission table itself, for pages and programs that show who may do what."""

from __future__ import annotations

from litestar import get

from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.roles import PermissionsShape, permissions_shape


@get("/api/permissions", tags=["roles"], responses=refused(), sync_to_thread=False)
def show_permissions() -> PermissionsShape:
    """Show categories, actions and what each route needs; which role has which level now is told by `/api/roles`."""
    return permissions_shape()


HANDLERS = [show_permissions]
