"""How key pairs come into being on a token: they sign, and do nothing else."""

from __future__ import annotations

from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

from hsm.mechanisms import CURVE_PARAMETERS, KeyAlgorithm


def generate_pair(
    session: pkcs11.Session,
    algorithm: KeyAlgorithm,
    *,
    store: bool,
    private_template: dict[Attribute, Any],
    key_id: bytes = b"",
    label: str = "",
) -> tuple[Any, Any]:
    """A pair that only signs and verifies: (public, private) objects.

    On the PKCS#11 thread. `private_template` says how well the private half is guarded.
    """
    options: dict[str, Any] = {
        "id": key_id,
        "label": label,
        "store": store,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": private_template,
    }
    if algorithm.is_rsa:
        rsa_pair: tuple[Any, Any] = session.generate_keypair(
            KeyType.RSA, algorithm.bits, mechanism=Mechanism.RSA_PKCS_KEY_PAIR_GEN, **options
        )
        return rsa_pair
    domain = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: CURVE_PARAMETERS[algorithm]}, local=True
    )
    ec_pair: tuple[Any, Any] = domain.generate_keypair(
        mechanism=Mechanism.EC_KEY_PAIR_GEN, **options
    )
    return ec_pair
