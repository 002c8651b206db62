"""Cameras: how each is doing, its picture, and its live picture."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Path, Query, Request, Response
from PIL import Image as Pillow
from starlette.concurrency import run_in_threadpool

from api.access.doubts import Doubts
from api.access.principal import Principal
from api.access.requiring import Requires, requires
from api.errors import DeskError, NotFoundError, UnavailableError
from api.failures import documented
from api.live_view import LiveView, Picture, Watcher
from api.routes_stream import CHECK_AGAIN_S, CHECK_S
from api.schemas_cameras import CameraOut, CamerasOut, WorkerOut
from api.streamed import Streamed
from rules.types import utc_text

router = APIRouter(prefix="/cameras", tags=["cameras"])

PICTURE_S = 5.0
"""How long a picture is waited for."""
PATIENCE_S = 30.0
"""A live picture that stands still for so long ends."""
TAKEN_AT = "x-gatewatch-taken-at"
BOUNDARY = "gatewatch-picture"
MayLook: Final = Requires("cameras.live")

Reader = Annotated[Principal, requires("cameras.read")]
CameraName = Annotated[str, Path(max_length=64, description="As the list gives it; percent-encoded in the address.")]
Width = Annotated[int | None, Query(ge=64, le=3840, description="At most this wide.")]
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_HEADERS = {TAKEN_AT: {"description": "When it was taken (ISO 8601, UTC).", "schema": {"type": "string"}}}


class Cameras(Protocol):
    """What runs the cameras."""

    view: LiveView

    def cameras(self) -> Sequence[CameraOut]: ...
    def workers(self) -> Sequence[WorkerOut]: ...


def cameras_of(request: Request) -> Cameras:
    cameras: Cameras = request.app.state.cameras
    return cameras


@router.get("", operation_id="list_cameras", responses=documented(401, 429))
def list_cameras(request: Request, principal: Reader) -> CamerasOut:
    """Every camera that the caller sees and how it is doing now, once a second."""
    cameras = cameras_of(request)
    return CamerasOut(
        items=[camera for camera in cameras.cameras() if principal.sees(camera.camera)],
        workers=list(cameras.workers()),
    )


@router.get("/{camera}", operation_id="get_camera", responses=documented(401, 404, 422, 429))
def get_camera(request: Request, camera: CameraName, principal: Reader) -> CameraOut:
    """How one camera is doing now, once a second."""
    return _camera(request, camera, principal)


@router.get(
    "/{camera}/frame",
    operation_id="get_camera_frame",
    response_class=Response,
    responses={
        **documented(401, 404, 422, 429, 503),
        200: {"description": "A JPEG.", "content": {"image/jpeg": _BINARY}, "headers": _HEADERS},
    },
)
async def get_camera_frame(
    request: Request,
    camera: CameraName,
    principal: Reader,
    width: Width = None,
    full: Annotated[bool, Query(description="As large as the camera sends it; takes longer.")] = False,
) -> Response:
    """The camera's newest picture: the size that is analysed, unless `full`. 503 says why there is none."""
    view = _connected(request, camera, principal)
    picture = None if full else view.recent(camera)
    if picture is None:
        with view.watcher(camera, principal) as watcher:
            view.renew(camera, full=full)
            picture = await _first(watcher, full=full)
            if picture is None:
                raise UnavailableError(watcher.why or f"Camera {camera} sent no picture within {PICTURE_S:g} s.")
    jpeg = picture.jpeg if width is None else await run_in_threadpool(_small, picture.jpeg, width)
    headers = {"cache-control": "no-store"}
    if picture.at is not None:
        headers[TAKEN_AT] = utc_text(picture.at) or ""
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.get(
    "/{camera}/live",
    operation_id="get_camera_live",
    response_class=Response,
    responses={
        **documented(401, 404, 422, 429, 503),
        200: {
            "description": "JPEGs one after another, as browsers show them in an `<img>` (multipart/x-mixed-replace); "
            f"each part has its time in `{TAKEN_AT}`.",
            "content": {"multipart/x-mixed-replace": _BINARY},
        },
    },
)
async def get_camera_live(
    request: Request,
    camera: CameraName,
    principal: Annotated[Principal, requires("cameras.live")],
    fps: Annotated[float, Query(ge=0.1, le=5.0, description="Pictures per second at most.")] = 5.0,
    width: Width = None,
    pictures: Annotated[int | None, Query(ge=1, le=1000, description="End after so many.")] = None,
) -> Response:
    """The live picture, for as long as the caller looks and may look. 503 says why there is none."""
    view = _connected(request, camera, principal)
    stack = AsyncExitStack()
    watcher = stack.enter_context(view.watcher(camera, principal))
    doubts: Doubts = request.app.state.doubts
    stack.enter_context(doubts.told(principal, watcher.doubt))
    try:
        view.renew(camera)
        first = await _first(watcher)
        if first is None:
            raise UnavailableError(watcher.why or f"Camera {camera} sent no picture within {PICTURE_S:g} s.")
    except BaseException:
        await stack.aclose()
        raise
    parts = _parts(request, camera, view, watcher, first, fps=fps, width=width, pictures=pictures)
    return Streamed(parts, stack, media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")


def _camera(request: Request, name: str, principal: Principal) -> CameraOut:
    """Raises NotFoundError, the same for a camera that there is not and for one that is not the caller's."""
    for camera in cameras_of(request).cameras() if principal.sees(name) else ():
        if camera.camera == name:
            return camera
    raise NotFoundError(f"There is no camera {name}.")


def _connected(request: Request, name: str, principal: Principal) -> LiveView:
    """Raises NotFoundError; UnavailableError with the camera's reason where it is not connected."""
    camera, view = _camera(request, name, principal), cameras_of(request).view
    if not camera.connected or view.ended:
        raise UnavailableError(
            f"Camera {name} sends no picture: {camera.reason or 'it is not connected.'}", {"camera": name}
        )
    return view


async def _first(watcher: Watcher, *, full: bool = False) -> Picture | None:
    loop = asyncio.get_running_loop()
    until = loop.time() + PICTURE_S
    while (left_s := until - loop.time()) > 0:
        picture = await watcher.next(left_s)
        if picture is None and watcher.why is None:
            continue  # Time is up, or the caller is doubted, which is looked into once pictures are sent.
        # Others look, too: their pictures are of the analysed size. Where no other can be had, it has to do.
        if picture is None or not full or picture.full or until - loop.time() < PICTURE_S / 2:
            return picture
    return None


async def _parts(
    request: Request, camera: str, view: LiveView, watcher: Watcher, picture: Picture | None, *,
    fps: float, width: int | None, pictures: int | None,
) -> AsyncIterator[bytes]:  # fmt: skip
    loop = asyncio.get_running_loop()
    check = loop.time() + CHECK_S
    last, sent = loop.time(), 0
    while not view.ended and loop.time() - last < PATIENCE_S and (pictures is None or sent < pictures):
        if watcher.doubted or loop.time() >= check:
            check = loop.time() + (CHECK_AGAIN_S if watcher.doubted else CHECK_S)
            watcher.believe()
            if not await _may_look(request, camera):
                return
        if picture is not None:
            last, sent = loop.time(), sent + 1
            jpeg = picture.jpeg if width is None else await run_in_threadpool(_small, picture.jpeg, width)
            yield _part(jpeg, picture)
            await watcher.rest(max(0.0, last + 1 / fps - 0.02 - loop.time()))
        try:
            view.renew(camera)
        except UnavailableError:
            await watcher.rest(1.0)  # Its process is being started again.
        # Nothing is waited for, nor shown, before it is known that the caller may still look.
        picture = None if watcher.doubted else await watcher.next(1.0)


async def _may_look(request: Request, camera: str) -> bool:
    try:
        return (await MayLook.still(request)).sees(camera)
    except UnavailableError:
        return True
    except DeskError:
        return False


def _part(jpeg: bytes, picture: Picture) -> bytes:
    taken = f"{TAKEN_AT}: {utc_text(picture.at)}\r\n" if picture.at is not None else ""
    head = f"--{BOUNDARY}\r\ncontent-type: image/jpeg\r\ncontent-length: {len(jpeg)}\r\n{taken}\r\n"
    return head.encode() + jpeg + b"\r\n"


def _small(jpeg: bytes, width: int) -> bytes:
    with Pillow.open(io.BytesIO(jpeg)) as picture:
        if picture.width <= width:
            return jpeg
        picture.draft("RGB", (width, width))
        picture.thumbnail((width, 4 * width))
        out = io.BytesIO()
        picture.save(out, format="JPEG", quality=80)
    return out.getvalue()
