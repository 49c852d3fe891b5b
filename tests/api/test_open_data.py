"""The description of the open data, read by somebody else's RDF library, offline."""

from __future__ import annotations

from typing import Any

import pytest

from api.open_data import catalogue
from tests.api.conftest import ONLY_SQLITE, Service

rdflib: Any = pytest.importorskip("rdflib", reason="rdflib is not installed")

pytestmark = ONLY_SQLITE
DCAT, DCT, FOAF = rdflib.DCAT, rdflib.DCTERMS, rdflib.FOAF
VCARD = rdflib.Namespace("http://www.w3.org/2006/vcard/ns#")
SKOS, XSD = rdflib.SKOS, rdflib.XSD

WANTED = {
    DCAT.Catalog: [
        DCT.title, DCT.description, DCT.publisher, DCAT.dataset, DCT.language, DCT.license,
        DCT.spatial, DCT.issued, DCT.modified, FOAF.homepage, DCAT.themeTaxonomy,
    ],
    DCAT.Dataset: [
        DCT.title, DCT.description, DCT.publisher, DCAT.distribution, DCT.identifier, DCT.temporal,
        DCT.spatial, DCAT.contactPoint, DCAT.keyword, DCAT.theme, DCT.accrualPeriodicity,
        DCT.accessRights,
    ],
    DCAT.Distribution: [
        DCAT.accessURL, DCAT.downloadURL, DCT.format, DCAT.mediaType, DCT.license, DCT.title,
        DCT.description,
    ],
    FOAF.Agent: [FOAF.name],
    DCT.PeriodOfTime: [DCAT.startDate, DCAT.endDate],
    DCT.Location: [SKOS.prefLabel],
    VCARD.Kind: [VCARD.fn, VCARD.hasURL],
}  # fmt: skip
"""DCAT-AP 3.0.0 §7: the mandatory properties of each class, and the recommended ones we give."""

CLASSES = {
    DCT.publisher: FOAF.Agent,
    DCT.language: DCT.LinguisticSystem,
    DCT.license: DCT.LicenseDocument,
    DCT.format: DCT.MediaTypeOrExtent,
    DCAT.mediaType: DCT.MediaType,
    DCT.temporal: DCT.PeriodOfTime,
    DCT.spatial: DCT.Location,
    DCT.accrualPeriodicity: DCT.Frequency,
    DCT.accessRights: DCT.RightsStatement,
    DCAT.theme: SKOS.Concept,
    DCAT.themeTaxonomy: SKOS.ConceptScheme,
    DCAT.contactPoint: VCARD.Kind,
    DCAT.dataset: DCAT.Dataset,
    DCAT.distribution: DCAT.Distribution,
    FOAF.homepage: FOAF.Document,
}
"""The class of what each property points at (`sh:class` in the profile's shapes)."""

ONCE = {
    DCT.publisher, DCT.license, DCT.format, DCAT.mediaType, DCT.modified, DCT.issued,
    DCT.accrualPeriodicity, DCT.accessRights, DCAT.startDate, DCAT.endDate, FOAF.homepage,
}  # fmt: skip
"""At most one value (`sh:maxCount 1`)."""


def findings(graph: Any) -> list[str]:
    """What the profile asks for and is not there."""
    found = []
    for kind, properties in WANTED.items():
        nodes = list(graph.subjects(rdflib.RDF.type, kind))
        found += [] if nodes else [f"no {kind}"]
        for node in nodes:
            found += [f"{node} lacks {one}" for one in properties if (node, one, None) not in graph]
    for subject, predicate, value in graph:
        wanted = CLASSES.get(predicate)
        if wanted is not None and (value, rdflib.RDF.type, wanted) not in graph:
            found.append(f"{value} is no {wanted}")
        if predicate in ONCE and len(list(graph.objects(subject, predicate))) > 1:
            found.append(f"{subject} says {predicate} twice")
        if isinstance(value, rdflib.Literal) and value.ill_typed:
            found.append(f"{value} is no {value.datatype}")
    for text in (DCT.title, DCT.description):
        for subject in set(graph.subjects(text)):
            if {one.language for one in graph.objects(subject, text)} != {"vi", "en"}:
                found.append(f"{subject}: {text} is not in both languages")
    return found


def test_the_description_is_dcat_ap(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """W3C DCAT 3 and DCAT-AP 3.0.0: what a portal that harvests needs is there, of the right class,
    the same in both forms, and read without asking anybody on the network."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("asked the network"))
    linked = service.http.get("/open-data/catalog.jsonld").text
    turtle = service.http.get("/open-data/catalog.ttl").text
    first = rdflib.Graph().parse(data=linked, format="json-ld")
    second = rdflib.Graph().parse(data=turtle, format="turtle")
    assert len(first) > 70
    assert set(first) == set(second), "one list of facts, in two forms"
    assert findings(first) == []
    for address in first.objects(predicate=DCAT.downloadURL):
        answer = service.http.get(str(address))
        assert answer.status_code == 200
        (media,) = first.objects(address, DCAT.mediaType)
        assert answer.headers["content-type"].startswith(str(media).rpartition("media-types/")[2])
    (start,) = first.objects(predicate=DCAT.startDate)
    (end,) = first.objects(predicate=DCAT.endDate)
    assert (start.datatype, end.datatype) == (XSD.date, XSD.date)
    assert start.toPython() <= end.toPython()


def test_the_judge_sees_what_is_missing(service: Service) -> None:
    """Each thing taken away is found: the check itself is worth something."""
    described = catalogue("http://pki.dauso.vn", now=service.now)
    dataset = described["dcat:dataset"]
    spoilt: list[tuple[dict[str, Any], str]] = [
        (described, "dct:publisher"),
        (dataset, "dct:title"),
        (dataset, "dct:temporal"),
        (dataset["dcat:distribution"][0], "dcat:accessURL"),
        (dataset["dcat:distribution"][0], "dct:license"),
        (dataset["dct:spatial"], "@type"),
    ]
    for node, name in spoilt:
        kept = node.pop(name)
        graph = rdflib.Graph().parse(data=described, format="json-ld")
        assert findings(graph), name
        node[name] = kept
