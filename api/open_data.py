"""The indicators as open data: CSV, JSON, and a DCAT-AP description of both.

The description is DCAT-AP 3 in JSON-LD and in Turtle, made from one list of facts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from certify.indicators import CODES, OWN, Row

FILE_TYPES = {
    "csv": ("text/csv", "http://publications.europa.eu/resource/authority/file-type/CSV"),
    "json": ("application/json", "http://publications.europa.eu/resource/authority/file-type/JSON"),
}
_TITLE = {
    "vi": "Chỉ số số hóa và chứng thực điện tử theo đơn vị và kỳ",
    "en": "Digitisation and e-certification indicators by unit and period",
}
_ABOUT = {
    "vi": "Số liệu gộp theo đơn vị cấp xã và theo kỳ, không có dữ liệu cá nhân.",
    "en": "Counts by commune-level unit and period; no personal data.",
}
_PUBLISHER = "Ủy ban nhân dân tỉnh Thanh Hóa"


def as_csv(rows: Sequence[Row], *, first: date, last: date) -> bytes:
    """UTF-8 with BOM; one line for each unit and indicator."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("unit", "unit_name", "agency_code", "from", "to", "indicator", "value"))
    for row in rows:
        for code in (*CODES, *OWN):
            place = (row.unit, row.unit_name, row.agency_code)
            writer.writerow((*place, first.isoformat(), last.isoformat(), code, row.values[code]))
    return out.getvalue().encode("utf-8-sig")


def as_json(rows: Sequence[Row], *, first: date, last: date) -> dict[str, Any]:
    """One object for each unit."""
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "indicators": [*CODES, *OWN],
        "units": [
            {
                "unit": row.unit,
                "name": row.unit_name,
                "agency_code": row.agency_code,
                "values": dict(row.values),
            }
            for row in rows
        ],
    }


def catalogue(base_url: str, *, now: datetime) -> dict[str, Any]:
    """DCAT-AP 3 as JSON-LD."""
    home = f"{base_url.rstrip('/')}/open-data"
    dataset = f"{home}/indicators"
    publisher = {
        "@id": f"{home}#publisher",
        "@type": "foaf:Organization",
        "foaf:name": {"@value": _PUBLISHER, "@language": "vi"},
    }
    return {
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": home,
        "@type": "dcat:Catalog",
        "dct:title": _texts(_TITLE),
        "dct:description": _texts(_ABOUT),
        "dct:publisher": publisher,
        "dct:language": {"@id": "http://publications.europa.eu/resource/authority/language/VIE"},
        "dct:modified": _moment(now),
        "dcat:dataset": {
            "@id": dataset,
            "@type": "dcat:Dataset",
            "dct:identifier": dataset,
            "dct:title": _texts(_TITLE),
            "dct:description": _texts(_ABOUT),
            "dct:publisher": {"@id": publisher["@id"]},
            "dct:accrualPeriodicity": {
                "@id": "http://publications.europa.eu/resource/authority/frequency/DAILY"
            },
            "dct:accessRights": {
                "@id": "http://publications.europa.eu/resource/authority/access-right/PUBLIC"
            },
            "dcat:keyword": [{"@value": code} for code in CODES],
            "dcat:theme": {
                "@id": "http://publications.europa.eu/resource/authority/data-theme/GOVE"
            },
            "dcat:distribution": [
                {
                    "@id": f"{dataset}.{form}",
                    "@type": "dcat:Distribution",
                    "dcat:accessURL": {"@id": f"{dataset}.{form}"},
                    "dcat:downloadURL": {"@id": f"{dataset}.{form}"},
                    "dcat:mediaType": {
                        "@id": f"https://www.iana.org/assignments/media-types/{media}"
                    },
                    "dct:format": {"@id": file_type},
                    "dct:license": {"@id": "https://creativecommons.org/licenses/by/4.0/"},
                }
                for form, (media, file_type) in FILE_TYPES.items()
            ],
        },
    }


def as_turtle(described: dict[str, Any]) -> str:
    """The same description in Turtle (RDF 1.1)."""
    prefixes = described["@context"]
    lines = [f"@prefix {name}: <{address}> ." for name, address in prefixes.items()]
    blocks: list[str] = []
    _block({key: one for key, one in described.items() if key != "@context"}, blocks)
    return "\n".join(lines) + "\n\n" + "\n\n".join(blocks) + "\n"


def _block(node: dict[str, Any], blocks: list[str]) -> None:
    """One subject with what is said of it; nodes inside become subjects of their own."""
    said = [f"a {node['@type']}"]
    inner: list[dict[str, Any]] = []
    for name, value in node.items():
        if name.startswith("@"):
            continue
        objects = []
        for one in value if isinstance(value, list) else [value]:
            objects.append(_object(one))
            if isinstance(one, dict) and "@type" in one and "@id" in one:
                inner.append(one)
        said.append(f"{name} {', '.join(objects)}")
    blocks.append(f"<{node['@id']}>\n    " + " ;\n    ".join(said) + " .")
    for one in inner:
        _block(one, blocks)


def _object(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if "@id" in value:
        return f"<{value['@id']}>"
    text = json.dumps(value["@value"], ensure_ascii=False)
    if "@language" in value:
        return f"{text}@{value['@language']}"
    return f"{text}^^{value['@type']}" if "@type" in value else text


def _texts(texts: dict[str, str]) -> list[dict[str, str]]:
    return [{"@value": text, "@language": language} for language, text in texts.items()]


def _moment(now: datetime) -> dict[str, str]:
    return {"@value": now.replace(microsecond=0).isoformat(), "@type": "xsd:dateTime"}
