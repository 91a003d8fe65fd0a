"""`POST …/artifacts`: upload of one file as a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from packhouse.doors.api.parameters import Caller, Here, House
from packhouse.doors.api.problems import refused
from packhouse.doors.api.routes import of_channel
from packhouse.doors.api.shapes.artifacts import UploadShape, upload_shape
from packhouse.doors.multipart import FIELD_BYTES, checked_filename, receive_form, too_large
from packhouse.workflows.publishing.upload import upload

_FIELDS = {
    "content": Schema(type=OpenAPIType.STRING, description="The file, with its file name."),
    "filetype": Schema(type=OpenAPIType.STRING, description="`conda1`, `bdist_wheel` …; the name tells."),
    "size": Schema(type=OpenAPIType.STRING, description="Its size in bytes, to be checked."),
}


@dataclass
class UploadOperation(Operation):
    """The form, which Litestar cannot see because it is read as it arrives."""

    def __post_init__(self) -> None:
        form = Schema(type=OpenAPIType.OBJECT, required=["content"], properties={**_FIELDS})
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True)


@post(
    [*of_channel("/artifacts"), "/api/channels/{channel:str}/{subchannel:str}/artifacts"],
    tags=["artifacts"],
    operation_class=UploadOperation,
    request_max_body_size=None,  # packages have their own limit
    responses=refused("channel_frozen", "different_content", "malformed_package", "unsupported_type", "storage_full"),
)
async def upload_artifact(
    request: Request[Any, Any, Any], caller: Caller, services: House, here: Here
) -> Response[UploadShape]:
    """Upload a file; it can be installed when the answer comes. 200 when the very same file was there already."""
    limit = services.settings.upload_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit + 2 * FIELD_BYTES:
        raise too_large(limit)
    async with services.blobs.writer() as writer:
        form = await receive_form(request.stream(), request.headers.get("content-type", ""), writer, limit=limit)
        done = await upload(services, here, caller.username, writer, checked_filename(form, writer.size))
    return Response(upload_shape(done, here.path), status_code=201 if done.created else 200)


HANDLERS = [upload_artifact]
