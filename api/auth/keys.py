"""Which signing keys a person at the screen may see: their own, and the seals they keep.

Seeing is not signing: each key opens only under its PIN or passkey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth.people import Person, Role
from signer.errors import CredentialUnusable
from signer.holders import keepers
from signer.keys import credentials

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential


def keys_of(desk: Desk, person: Person) -> list[Credential]:
    """The person's own, then agency keys: those they keep, and as a clerk their unit's that nobody
    was named for.

    A unit's key that another clerk keeps is that clerk's alone (DOMAIN.md §2).
    """
    own = [one for one in credentials.by_holder(desk, person.holder_id) if _of_kind(one, person)]
    if person.kind != "official":
        return own
    kept = [credentials.find(desk, one) for one in keepers.kept_by(desk, person.holder_id)]
    known = {one.id for one in kept}
    if Role.CLERK in person.roles and person.unit is not None:
        kept += [
            one
            for one in credentials.of_unit(desk, person.unit, "agency")
            if one.id not in known and one.keeper is None
        ]
    return own + kept


def usable_of(desk: Desk, person: Person) -> list[Credential]:
    """Those of them that can sign today."""
    return [one for one in keys_of(desk, person) if one.state == "active"]


def require_own(desk: Desk, person: Person, credential_id: str) -> Credential:
    """Raises CredentialUnusable `credential-unknown` for anybody else's."""
    for one in keys_of(desk, person):
        if one.id == credential_id:
            return one
    raise CredentialUnusable("credential-unknown", credential=credential_id[:64])


def _of_kind(credential: Credential, person: Person) -> bool:
    """A citizen's account shows what they hold as a citizen, an official's what is of the office.

    Whoever has both signs in to each.
    """
    return (credential.kind == "citizen") == (person.kind == "citizen")
