"""A scheme operator that publishes trusted lists (TS 119 612 v2.3.1) for tests, signed for real."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from signer.cms import CmsTemplate
from signer.files import xades
from signer.files.file_signing import FileRequest, Format, SourceFile
from signer.levels import Level
from signer.pdf.dss import Material
from signer.signature import Pen
from tests.small_pki import SIGNED_AT, Party, issue, rsa_key

_SVC = "http://uri.etsi.org/TrstSvc"
_ADDRESS = """<PostalAddresses><PostalAddress xml:lang="en">
<StreetAddress>1 Test Street</StreetAddress><Locality>Test</Locality><CountryName>VN</CountryName>
</PostalAddress></PostalAddresses>
<ElectronicAddress><URI xml:lang="en">mailto:tsl@tsl.test</URI></ElectronicAddress>"""
GRANTED, WITHDRAWN = "granted", "withdrawn"


@dataclass(frozen=True)
class Service:
    """One service of a provider: its certificate and its statuses, newest last."""

    kind: str
    name: str
    party: Party
    states: tuple[tuple[str, dt.datetime], ...]


def operator(name: str = "TEST Scheme Operator") -> Party:
    """Who signs lists: a self-signed certificate, as TS 119 612 §5.7.1 allows."""
    return issue(name, rsa_key(name), None, not_after=SIGNED_AT + dt.timedelta(days=3000))


def trusted_list(
    signer: Party,
    services: Sequence[Service] = (),
    *,
    issued: dt.datetime = SIGNED_AT,
    next_update: dt.datetime | None = SIGNED_AT + dt.timedelta(days=180),
    pointers: Sequence[tuple[str, str, Party]] = (),
    territory: str = "VN",
    version: int = 6,
) -> bytes:
    """The list as XML, signed; `pointers` are (territory, location, signer) of other lists."""
    listed = "".join(_service(one) for one in services)
    pointing = "".join(_pointer(*one) for one in pointers)
    if pointing:
        pointing = f"<PointersToOtherTSL>{pointing}</PointersToOtherTSL>"
    due = f"<dateTime>{next_update:%Y-%m-%dT%H:%M:%SZ}</dateTime>" if next_update else ""
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" Id="tsl" TSLTag="http://uri.etsi.org/19612/TSLTag">
<SchemeInformation><TSLVersionIdentifier>{version}</TSLVersionIdentifier>
<TSLSequenceNumber>7</TSLSequenceNumber><TSLType>{_SVC}/TSLType/EUgeneric</TSLType>
<SchemeOperatorName><Name xml:lang="en">TEST operator</Name></SchemeOperatorName>
<SchemeOperatorAddress>{_ADDRESS}</SchemeOperatorAddress>
<SchemeName><Name xml:lang="en">{territory}:TEST scheme</Name></SchemeName>
<SchemeInformationURI><URI xml:lang="en">http://tsl.test/scheme</URI></SchemeInformationURI>
<StatusDeterminationApproach>{_SVC}/TrustedList/StatusDetn/EUappropriate</StatusDeterminationApproach>
<SchemeTerritory>{territory}</SchemeTerritory>
<HistoricalInformationPeriod>65535</HistoricalInformationPeriod>
{pointing}
<ListIssueDateTime>{issued:%Y-%m-%dT%H:%M:%SZ}</ListIssueDateTime>
<NextUpdate>{due}</NextUpdate></SchemeInformation>
<TrustServiceProviderList><TrustServiceProvider><TSPInformation>
<TSPName><Name xml:lang="en">TEST provider</Name></TSPName><TSPAddress>{_ADDRESS}</TSPAddress>
<TSPInformationURI><URI xml:lang="en">http://tsl.test/provider</URI></TSPInformationURI>
</TSPInformation>
<TSPServices>{listed}</TSPServices></TrustServiceProvider></TrustServiceProviderList>
</TrustServiceStatusList>"""
    template = CmsTemplate(signer.certificate, [])
    key: Any = signer.key  # a software key behaves like a token's
    request = FileRequest(format=Format.XADES_ENVELOPED, level=Level.B_B)
    return xades.sign_document(
        SourceFile("tsl.xml", text.encode(), "text/xml"),
        request,
        Pen(template, key, "TEST operator"),
        evidence=Material,
        time_stamper=None,
        now=issued,
    )


def _identity(party: Party) -> str:
    value = base64.b64encode(party.certificate.public_bytes(Encoding.DER)).decode()
    return (
        "<ServiceDigitalIdentity><DigitalId><X509Certificate>"
        f"{value}</X509Certificate></DigitalId></ServiceDigitalIdentity>"
    )


def _state(one: Service, status: str, begin: dt.datetime) -> str:
    return (
        f"<ServiceTypeIdentifier>{_SVC}/Svctype/{one.kind}</ServiceTypeIdentifier>"
        f'<ServiceName><Name xml:lang="en">{one.name}</Name></ServiceName>'
        f"{_identity(one.party)}<ServiceStatus>{_SVC}/TrustedList/Svcstatus/{status}</ServiceStatus>"
        f"<StatusStartingTime>{begin:%Y-%m-%dT%H:%M:%SZ}</StatusStartingTime>"
    )


def _service(one: Service) -> str:
    *earlier, (status, begin) = one.states
    history = "".join(
        f"<ServiceHistoryInstance>{_state(one, *each)}</ServiceHistoryInstance>"
        for each in reversed(earlier)
    )
    extension = (
        '<ServiceInformationExtensions><Extension Critical="true"><AdditionalServiceInformation>'
        f'<URI xml:lang="en">{_SVC}/TrustedList/SvcInfoExt/ForeSignatures</URI>'
        "</AdditionalServiceInformation></Extension></ServiceInformationExtensions>"
    )
    return (
        f"<TSPService><ServiceInformation>{_state(one, status, begin)}{extension}"
        f"</ServiceInformation><ServiceHistory>{history}</ServiceHistory></TSPService>"
    )


def _pointer(territory: str, location: str, signer: Party) -> str:
    return (
        f"<OtherTSLPointer><ServiceDigitalIdentities>{_identity(signer)}"
        f"</ServiceDigitalIdentities><TSLLocation>{location}</TSLLocation><AdditionalInformation>"
        f"<OtherInformation><SchemeTerritory>{territory}</SchemeTerritory></OtherInformation>"
        '<OtherInformation><x:MimeType xmlns:x="http://uri.etsi.org/02231/v2/additionaltypes#">'
        "application/vnd.etsi.tsl+xml</x:MimeType></OtherInformation></AdditionalInformation>"
        "</OtherTSLPointer>"
    )
