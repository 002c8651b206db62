"""Events from outside as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.external import Does
from api.schemas import Moment

KIND = r"^[a-z][a-z0-9_]{0,63}$"
_Printable = r"^[^\x00-\x1f\x7f]+$"


class ExternalEventIn(BaseModel):
    """Something that happened outside the pictures; signed by its source."""

    model_config = ConfigDict(extra="forbid", title="ExternalEventIn")

    event_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_Printable)] = Field(
        description="The source's own id of it. The same id again does nothing again, and is answered as the first; "
        "with another `kind` or `text`: 409 `conflict`."
    )
    kind: Annotated[str, StringConstraints(pattern=KIND)] = Field(
        description="One that the site file names for this source.", examples=["barrier_opened", "panic_button"]
    )
    at: Moment | None = Field(
        default=None,
        description="When it happened; left out: now. At most 24 h ago and 60 s ahead; an alert with another time is "
        "raised all the same, as of now (`at_replaced`), anything else is refused.",
    )
    text: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_Printable)] | None = Field(
        default=None, description="What guards may want to read, such as a door's name."
    )


class ExternalEventOut(BaseModel):
    accepted: bool = True
    duplicate: bool = Field(
        description="An event of this id was taken before: nothing was done again, and the answer is that of the first."
    )
    did: Does
    at: datetime = Field(description="When it counts as having happened.")
    at_replaced: bool = Field(description="`at` is not that of the message.")
    alert_id: str | None = Field(description="The alert that it opened or joined; null once retention has removed it.")
