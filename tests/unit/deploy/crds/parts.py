"""What custom resources have in common."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(m|Mi|Gi)?$")]
Resources = dict[Literal["requests", "limits"], dict[Literal["cpu", "memory"], Quantity]]
Duration = Annotated[str, StringConstraints(pattern=r"^\d+(s|m|h|d)$")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class Metadata(Part):
    name: Name
    namespace: Literal["ganzheng"]
    labels: dict[str, str] = {}


class Resource(Part):
    api_version: str
    kind: str
    metadata: Metadata


class Reference(Part):
    name: Name


class KeyReference(Reference):
    key: str


class Selector(Part):
    match_labels: dict[str, str] = {}
    match_expressions: list[dict[str, Any]] = []
