"""The OpenAPI description: 3.1, complete, and true, as a generator of requests finds it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import ONLY_SQLITE, Service

pytestmark = ONLY_SQLITE


@schemathesis.serializer(
    "application/ocsp-request", "application/timestamp-query", "application/pkcs10"
)
def as_bytes(_: Any, value: Any) -> bytes:
    """DER bodies are generated as plain bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


OPEN = ("/api/v1/verifications", "/api/v1/validation-policies", "/api/v1/bank-notices")
"""Without an account: what anyone may verify, by which rules; notices that a bank has signed."""


def test_described_well(service: Service) -> None:
    """OpenAPI 3.1; every operation has a summary, a tag and a unique identifier."""
    described = service.http.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    seen: set[str] = set()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])
            if path.startswith("/api/v1") and not path.startswith(OPEN):
                assert operation["security"], (method, path)
    assert "Problem" in described["components"]["schemas"]


def test_generated_requests(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request, well-formed or not, gives a 5xx or an answer that is not described."""
    monkeypatch.setattr(service.services.rates, "take", lambda *_: None)
    monkeypatch.setattr(service.services.rates, "check", lambda *_: None)
    headers = service.bearer("sign", "certify", "validate", "enrol")
    schema = schemathesis.openapi.from_asgi("/openapi.json", service.http.app)
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    count = 0
    problems: list[str] = []
    for found in schema.get_all_operations():
        operation: Any = found.ok()
        count += 1

        @settings(
            max_examples=4,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            with contextlib.suppress(UnicodeEncodeError):  # a header nobody could send
                answer = case.call(base_url=service.world.base_url, headers=headers)
                try:
                    case.validate_response(answer, checks=checks)
                except FailureGroup as failures:
                    where = f"{case.method} {case.path} {answer.status_code}"
                    problems.extend(f"{where}: {one}" for one in failures.exceptions)

        ask()
    assert count > 25
    assert not problems, "\n".join(sorted(set(problems))[:10])
