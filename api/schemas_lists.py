"""What the lists of alerts give, as JSON."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas import AlertOut


class AlertListOut(BaseModel):
    items: list[AlertOut]
    next_cursor: str | None = Field(description="Give it back as `cursor` for the next page; null at the end.")
    total: int | None = Field(
        default=None, description="How many alerts the whole list has; only where `total=true` asked for it."
    )
    total_is_exact: bool | None = Field(default=None, description="False: there are more than `total`.")


class AlertCountsOut(BaseModel):
    total: int
    total_is_exact: bool = Field(
        description="False: more than `total` match; the numbers are those of the newest, and so at least these."
    )
    by_state: dict[str, int]
    by_severity: dict[str, int]
    by_camera: dict[str, int] = Field(description="Under the empty name: alerts that concern no camera.")
