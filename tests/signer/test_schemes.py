"""Every way a key signs, at every level of a PDF (issue of signing, item 1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm.mechanisms import KeyAlgorithm
from signer.batches import batch, batch_request
from signer.cms import Scheme
from signer.errors import SignerError
from signer.levels import Level
from signer.signature import SignatureRequest
from signer.signing import document_digest, sign_pdf
from signer.verdicts.validation import validate
from tests.signer import paper
from tests.signer.holders import BY, OFFICIAL_PIN, authorizer, enrol
from tests.signer.software_desk import pdfsig
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("algorithm", "scheme"),
    [
        (KeyAlgorithm.RSA_2048, Scheme.RSA_PSS),
        (KeyAlgorithm.RSA_2048, None),
        (KeyAlgorithm.P_384, None),
    ],
)
def test_every_level(
    world: World, tmp_path: Path, algorithm: KeyAlgorithm, scheme: Scheme | None
) -> None:
    """EN 319 142-1 §6.3 with RFC 4056 (PSS), RFC 8017 and ECDSA: what was asked for is found."""
    official = enrol(world, algorithm=algorithm).official
    for level in Level:
        request, data = SignatureRequest(level=level, scheme=scheme), paper.decision()
        give = authorizer(world, official, OFFICIAL_PIN)
        signed = sign_pdf(
            world.desk, data, request, authorization=give([document_digest(data)]),
            now=world.now, by=BY,
        )  # fmt: skip
        report = validate(signed.data, trust=world.trust, now=world.now)
        assert report.signatures[0].level == level.pades, report.to_text("en")
        assert report.passed == level.long_term
    path = tmp_path / "signed.pdf"
    path.write_bytes(signed.data)
    assert "Signature is Valid" in pdfsig(path)


def test_a_scheme_that_does_not_fit_is_refused_at_once(world: World) -> None:
    """PSS with an EC key: nothing is reserved, no batch is opened."""
    official = enrol(world).official
    request, data = SignatureRequest(scheme=Scheme.RSA_PSS), paper.decision()
    give = authorizer(world, official, OFFICIAL_PIN)([document_digest(data)])
    with pytest.raises(SignerError) as refused:
        sign_pdf(world.desk, data, request, authorization=give, now=world.now, by=BY)
    assert refused.value.code == "scheme-unfit"
    # The digest was not used up by it.
    sign_pdf(world.desk, data, SignatureRequest(), authorization=give, now=world.now, by=BY)
    with pytest.raises(SignerError):
        batch.open_batch(
            world.desk, credential_id=official.id, client="client:x", request=request,
            now=world.now, by=BY,
        )  # fmt: skip
    assert batch_request.unpacked(batch_request.packed(request)) == request
