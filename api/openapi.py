"""The OpenAPI 3.1 description, made once, with our one form of error instead of the framework's."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.routes.shapes import Problem, problems

_FRAMEWORK = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> dict[str, Any]:
    """What `/openapi.json` answers; the application asks for it through ``app.openapi``."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=app.servers,
        )
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        for name in _FRAMEWORK:
            schemas.pop(name, None)
        for path, operations in described["paths"].items():
            for operation in operations.values():
                _with_our_errors(operation["responses"], "{" in path)
        app.openapi_schema = described
    return app.openapi_schema


def _with_our_errors(responses: dict[str, Any], addressed: bool) -> None:
    """Any request can be malformed, too large, one too many, or meet a failure of ours."""
    always = [422, 413, 429, 500, 503, *([404] if addressed else [])]
    for status, described in problems(*always).items():
        code = str(status)
        if code in {"400", "401", "403"} and code not in responses:
            continue
        known = responses.get(code)
        if known is None or "application/problem+json" not in known.get("content", {}):
            kept = known.get("description") if known and code != "422" else None
            content = dict(known.get("content", {})) if known and code != "422" else {}
            responses[code] = {
                "description": kept or described["description"],
                "content": {**content, **described["content"]},
            }
