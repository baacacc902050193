"""The OpenAPI document: what the framework gathers, with what it can't know: our errors, and how to log in."""

from typing import Any, Final

from fastapi import FastAPI

from entrepot.catalog.projects import NAME as PROJECT_NAME
from entrepot.oci.reference import NAME, TAG
from entrepot.web.problem import MEDIA_TYPE

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "A refused request. Spec: RFC 9457; `code`, `errors` and `trace_id` are ours.",
    "required": ["type", "title", "status", "detail", "code", "errors", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "trace_id": {"type": "string"},
    },
}
REFUSED: Final[dict[str, Any]] = {
    "description": "Refused, or failed: the status says how, the document why.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
LOGINS: Final[dict[str, Any]] = {
    "basic": {"type": "http", "scheme": "basic", "description": "A name and password, or a robot's login and secret."},
    "token": {"type": "http", "scheme": "bearer", "description": "A personal token."},
}
END: Final = r"\Z"
DIGEST: Final = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
FORMS: Final = {
    "name": NAME.pattern,
    "tag": TAG.pattern,
    "reference": f"{TAG.pattern.removesuffix(END)}|{DIGEST}",
    "project": PROJECT_NAME.pattern,
}
FRAMEWORK_S: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Makes *app* serve the whole description."""
    gather = app.openapi

    def whole() -> dict[str, Any]:
        document = gather()
        if "security" not in document:
            _complete(document)
        return document

    app.openapi = whole  # type: ignore[method-assign]  # the framework's own way, see its "Extending OpenAPI"


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in FRAMEWORK_S:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    components["securitySchemes"] = LOGINS
    document["security"] = [{name: []} for name in LOGINS]
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = REFUSED
            for parameter in operation.get("parameters", []):
                _narrow(parameter)


def _narrow(parameter: dict[str, Any]) -> None:
    """A header is there or not, but never null; and names have a form, which the endpoint looks at itself."""
    if parameter["in"] == "header" and "anyOf" in parameter["schema"]:
        (parameter["schema"],) = [each for each in parameter["schema"]["anyOf"] if each.get("type") == "string"]
    if parameter["name"] == "If-Match":
        parameter["required"] = True
    if parameter["in"] == "path" and (form := FORMS.get(parameter["name"])) is not None:
        parameter["schema"]["pattern"] = f"^(?:{form.removesuffix(END)})$"
