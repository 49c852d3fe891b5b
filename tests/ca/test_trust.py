"""Trust anchors: pinned by fingerprint, chosen by chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.ceremonies.ceremony_keys import SoftwareKeys
from ca.errors import CaError
from ca.issuance import issue
from ca.trust import TrustStore, fingerprint
from tests.ca.subjects import MAU
from tests.world import BY, World, quick_plan


def test_our_own_roots_are_anchors(world: World) -> None:
    """DOMAIN §2: many signatures embed only the leaf: intermediates are known beside anchors."""
    leaf = issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    path = world.trust.path(leaf)
    assert path == [leaf, *world.authority.chain(leaf)]
    assert world.trust.is_anchor(path[-1])
    assert TrustStore(world.trust.anchors).path(leaf) is None
    assert TrustStore(world.trust.anchors).path(leaf, path[1:2]) == path


def test_a_root_of_the_same_name_is_not_ours(world: World, tmp_path: Path) -> None:
    """DOMAIN §2: anchors are pinned by SHA-256, never chosen by a pattern in a name."""
    impostor_der = SoftwareKeys().stand_in(quick_plan().roots[0], now=world.now)
    (tmp_path / "root.cer").write_bytes(impostor_der)
    own = world.authority.issuer("root").certificate
    with pytest.raises(CaError) as refused:
        TrustStore.load([tmp_path / "root.cer"], pins={fingerprint(own)})
    assert refused.value.code == "anchor-not-pinned"
    impostor = TrustStore.load([tmp_path / "root.cer"])
    assert impostor.anchors[0].subject == own.subject
    leaf = world.authority.service("tsa").certificate
    assert impostor.path(leaf, world.trust.intermediates) is None
    assert impostor.with_anchors(world.trust.anchors, world.trust.intermediates).path(leaf)


def test_files_of_several_certificates(world: World, tmp_path: Path) -> None:
    """`--trust PEM …`: bundles, with pins written as tools print them."""
    bundle = tmp_path / "bundle.pem"
    certificates = [issuer.certificate for issuer in world.authority.issuers()]
    bundle.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    pins = {
        ":".join(fingerprint(one)[at : at + 2].upper() for at in range(0, 64, 2))
        for one in certificates
    }
    assert TrustStore.load([bundle], pins=pins).anchors == tuple(certificates)


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_is_no_certificate(tmp_path: Path, content: bytes) -> None:
    """Bad input gives one clear message."""
    (tmp_path / "x").write_bytes(content)
    for path in (tmp_path / "x", tmp_path / "missing"):
        with pytest.raises(CaError) as refused:
            TrustStore.load([path])
        assert refused.value.code == "anchor-unreadable"
