"""`make models`: write services/portal/api/ from the services' OpenAPI documents, or `--check` that it is not stale.

The portal is a tolerant reader: its models hold what an answer is made of, without the limits that the service keeps
itself, with sets of values that may grow, and with null for a nullable field that is missing.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datamodel_code_generator import generate
from datamodel_code_generator.enums import DataModelType, InputFileType
from datamodel_code_generator.format import PythonVersion
from datamodel_code_generator.parser import LiteralType

from deploy.embedded.platform import SERVICES, build_platform

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "services" / "portal" / "api"
HEADER = '"""What the {service} service answers. Written by `make models` from its OpenAPI document."""\n'
JSON = "application/json"
# What of a schema makes the type; the rest are words, and limits that only the service has to keep.
SHAPE = ("type", "format", "default", "additionalProperties")

Schema = dict[str, Any]


def documents() -> dict[str, Schema]:
    """The OpenAPI documents by service. Nothing is connected to; the secrets are made for the moment."""
    urls = dict.fromkeys(SERVICES, "postgresql+psycopg://nobody@localhost/none")
    with TemporaryDirectory() as var:
        platform = build_platform(urls, Path(var), demo=True)
        found = {name: app.openapi() for name, app in platform.apps.items()}
        asyncio.run(platform.close())
    return found


def answers(document: Mapping[str, Any]) -> dict[str, Schema]:
    """The schemas that answers of success are made of, by name, reduced to what a reader needs."""
    schemas = document["components"]["schemas"]
    found: dict[str, Schema] = {}

    def shape(schema: Mapping[str, Any]) -> Schema:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if "enum" in schemas[name]:
                return shape(schemas[name])
            if name not in found:
                found[name] = {}
                found[name] = shape(schemas[name])
            return {"$ref": schema["$ref"]}
        reduced: Schema = {key: schema[key] for key in SHAPE if key in schema}
        if "enum" in schema:
            reduced["enum"] = schema["enum"]
        if "items" in schema:
            reduced["items"] = shape(schema["items"])
        if "anyOf" in schema:
            reduced["anyOf"] = [shape(option) for option in schema["anyOf"]]
        if "properties" in schema:
            reduced["properties"] = {name: shape(each) for name, each in schema["properties"].items()}
            required = schema.get("required", ())
            reduced["required"] = [name for name in required if not _is_nullable(schema["properties"][name])]
        return reduced

    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get(JSON, {}).get("schema")
                if status.startswith("2") and schema:
                    shape(schema)
    return {name: found[name] for name in sorted(found)}


def _is_nullable(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def render(service: str, document: Mapping[str, Any]) -> str:
    """The module with the service's answers."""
    reduced = {"openapi": document["openapi"], "info": document["info"], "paths": {}}
    text = generate(
        {**reduced, "components": {"schemas": answers(document)}},
        input_file_type=InputFileType.OpenAPI,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        base_class="services.portal.api.Answer",
        additional_imports=["services.portal.api.Known"],
        custom_file_header=HEADER.format(service=service),
        enum_field_as_literal=LiteralType.All,
        strict_nullable=True,
        use_object_type=True,
        use_standard_collections=True,
        use_union_operator=True,
        disable_future_imports=True,
        formatters=[],
    )
    if not isinstance(text, str):
        raise TypeError(f"{service}: more than one module")
    text = re.sub(r"(Literal\[[^\]]*\])", r"Known[\1]", text)
    name = str((MODELS / f"{service}.py").relative_to(ROOT))
    for arguments in (("check", "--fix", "--quiet", "--select", "F401,I"), ("format", "--quiet")):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
        text = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return text


def main() -> int:
    stale = []
    for service, document in documents().items():
        file, text = MODELS / f"{service}.py", render(service, document)
        if file.exists() and file.read_text() == text:
            continue
        if "--check" in sys.argv:
            stale.append(str(file.relative_to(ROOT)))
        else:
            file.write_text(text)
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: stale, run `make models`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
