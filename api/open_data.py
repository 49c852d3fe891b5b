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
from signer.routing.working_days import local

FILE_TYPES = {
    "csv": ("text/csv", "file-type/CSV"),
    "json": ("application/json", "file-type/JSON"),
}
FIRST_DAY = date(2025, 7, 1)
"""Since when there are two tiers, and the commune-level units that the numbers are of."""
_TITLE = {
    "vi": "Chỉ số số hóa và chứng thực điện tử theo đơn vị và kỳ",
    "en": "Digitisation and e-certification indicators by unit and period",
}
_ABOUT = {
    "vi": "Số liệu gộp theo đơn vị cấp xã và theo kỳ, không có dữ liệu cá nhân.",
    "en": "Counts by commune-level unit and period; no personal data.",
}
_PUBLISHER = "Ủy ban nhân dân tỉnh Thanh Hóa"
_PLACE = {"vi": "Tỉnh Thanh Hóa, Việt Nam", "en": "Thanh Hóa province, Viet Nam"}
_PLACE_CODE = "38"
_LICENCE = {
    "@id": "https://creativecommons.org/licenses/by/4.0/",
    "@type": "dct:LicenseDocument",
}


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
    """DCAT-AP 3.0 as JSON-LD. Each thing that is pointed at says of which class it is, so that the
    description can be checked by itself, without fetching anybody's vocabulary.
    """
    home = f"{base_url.rstrip('/')}/open-data"
    dataset = f"{home}/indicators"
    publisher = {
        "@id": f"{home}#publisher",
        "@type": ["foaf:Agent", "foaf:Organization"],
        "foaf:name": {"@value": _PUBLISHER, "@language": "vi"},
    }
    contact = {
        "@id": f"{home}#contact",
        "@type": ["vcard:Kind", "vcard:Organization"],
        "vcard:fn": {"@value": _PUBLISHER, "@language": "vi"},
        "vcard:hasURL": {"@id": base_url.rstrip("/")},
    }
    place = {
        "@id": f"{home}#place",
        "@type": "dct:Location",
        "skos:prefLabel": _texts(_PLACE),
        "dct:identifier": _PLACE_CODE,
    }
    period = {
        "@id": f"{home}#period",
        "@type": "dct:PeriodOfTime",
        "dcat:startDate": _day(FIRST_DAY),
        "dcat:endDate": _day(max(local(now).date(), FIRST_DAY)),
    }
    every_paper = {
        "dct:title": _texts(_TITLE),
        "dct:description": _texts(_ABOUT),
        "dct:publisher": publisher,
        "dct:language": [_known("language/VIE", "dct:LinguisticSystem")],
        "dct:spatial": place,
        "dct:issued": _day(FIRST_DAY),
        "dct:modified": _moment(now),
    }
    return {
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "vcard": "http://www.w3.org/2006/vcard/ns#",
            "xsd": "http://www.w3.org/2001/XMLSchema#",
        },
        "@id": home,
        "@type": "dcat:Catalog",
        **every_paper,
        "dct:license": _LICENCE,
        "dcat:themeTaxonomy": _known("data-theme", "skos:ConceptScheme"),
        "foaf:homepage": {"@id": f"{home}?lang=vi", "@type": "foaf:Document"},
        "dcat:dataset": {
            "@id": dataset,
            "@type": "dcat:Dataset",
            **every_paper,
            "dct:identifier": dataset,
            "dcat:contactPoint": contact,
            "dct:temporal": period,
            "dct:accrualPeriodicity": _known("frequency/DAILY", "dct:Frequency"),
            "dct:accessRights": _known("access-right/PUBLIC", "dct:RightsStatement"),
            "dcat:keyword": [{"@value": code} for code in CODES],
            "dcat:theme": _known("data-theme/GOVE", "skos:Concept"),
            "dcat:distribution": [
                {
                    "@id": f"{dataset}.{form}",
                    "@type": "dcat:Distribution",
                    "dct:title": _texts(
                        {name: f"{_TITLE[name]} ({form.upper()})" for name in _TITLE}
                    ),
                    "dct:description": _texts(_ABOUT),
                    "dcat:accessURL": {"@id": f"{dataset}.{form}"},
                    "dcat:downloadURL": {"@id": f"{dataset}.{form}"},
                    "dcat:mediaType": {
                        "@id": f"https://www.iana.org/assignments/media-types/{media}",
                        "@type": "dct:MediaType",
                    },
                    "dct:format": _known(file_type, "dct:MediaTypeOrExtent"),
                    "dct:license": _LICENCE,
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
    kinds = node["@type"] if isinstance(node["@type"], list) else [node["@type"]]
    said = [f"a {', '.join(kinds)}"]
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


def _known(name: str, kind: str) -> dict[str, str]:
    """An entry of the EU's authority tables, which DCAT-AP's portals sort by."""
    return {"@id": f"http://publications.europa.eu/resource/authority/{name}", "@type": kind}


def _day(day: date) -> dict[str, str]:
    return {"@value": day.isoformat(), "@type": "xsd:date"}


def _moment(now: datetime) -> dict[str, str]:
    return {"@value": now.replace(microsecond=0).isoformat(), "@type": "xsd:dateTime"}
