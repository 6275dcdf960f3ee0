"""A section of `feeds.toml`: frozen, and refusing every key that it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(frozen=True, extra="forbid")
