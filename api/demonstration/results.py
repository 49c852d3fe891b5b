"""What a run of the demonstration leaves in its output directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.demonstration.steps import clock
from ca.status import crl
from certify.register_export import register_pdf

if TYPE_CHECKING:
    from api.demonstration.cast import Cast
    from api.demonstration.steps import Made
    from api.house import House


def write(
    house: House,
    cast: Cast,
    made: Made,
    over_http: Mapping[str, Any],
    timings: Mapping[str, float],
    output: Path,
) -> dict[str, Any]:
    """Every promised file, then `summary.json` that names them with their digests."""
    files: dict[str, bytes] = {
        "decision-signed.pdf": made.decision,
        "certified-copy.pdf": made.copy.data,
        "register.pdf": register_pdf(
            house.office, unit=cast.unit.code, year=made.copy_status.issued_on.year, now=clock()
        ),
        "validation.json": _json([made.decision_report.to_json(), made.copy_report.to_json()]),
        "validation.txt": "\n\n".join(
            report.to_text(language)
            for report in (made.decision_report, made.copy_report)
            for language in ("vi", "en")
        ).encode(),
    }
    files |= {f"certificates/{name}": data for name, data in certificates(house, made).items()}
    for issuer in house.authority.issuers():
        current = crl.current(house.authority, issuer.name)
        if current is not None:
            files[f"crl/{issuer.name}.crl"] = current
    summary = {
        "made_at": clock().isoformat(timespec="seconds"),
        "unit": {"code": cast.unit.code, "name": cast.unit.committee},
        "official": made.official.name,
        "agency": made.agency.name,
        "certified_copy": {
            "number": made.copy.number,
            "book": made.copy.book,
            "code": made.copy.code,
            "address": made.copy.address,
            "digest": made.copy.digest,
        },
        "over_http": dict(over_http),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        "seconds": {name: round(seconds, 3) for name, seconds in timings.items()},
    }
    files["summary.json"] = _json(summary)
    for name, data in files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.write_bytes(data)
        partial.replace(path)
    return summary


def certificates(house: House, made: Made) -> dict[str, bytes]:
    """Root, issuing, service and holders' certificates as DER, and one chain as PEM."""
    authority = house.authority
    found: dict[str, x509.Certificate] = {
        issuer.name: issuer.certificate for issuer in authority.issuers()
    }
    found["tsa"] = authority.service("tsa").certificate
    for issuer in authority.issuers():
        found[f"ocsp-{issuer.name}"] = authority.service(f"ocsp-{issuer.name}").certificate
    found["official"] = made.official.certificate
    found["agency"] = made.agency.certificate
    files = {f"{name}.cer": one.public_bytes(Encoding.DER) for name, one in found.items()}
    files["chain.pem"] = b"".join(one.public_bytes(Encoding.PEM) for one in found.values())
    return files


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
