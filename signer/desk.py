"""What signing needs, wired once per process: the place where documents are signed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from hsm.sealing import ActivationSeal, PinCost
from signer.keys.turns import Turns
from signer.looks.drawing import StampShelf
from signer.pdf.dss import RevocationShelf
from signer.pdf.original import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from ca.authority import Authority
    from ca.status.ocsp import Responder
    from ca.time.tsa import TimeStampAuthority
    from ca.trust import TrustStore
    from hsm.custody import Custody, WrappedKey
    from records.blobs import BlobStore
    from records.database import Database
    from signer.cms import CmsTemplate


@dataclass(frozen=True)
class Desk:
    """Shared by HTTP, command line and workers. Threads may share it; processes make their own."""

    database: Database
    blobs: BlobStore
    authority: Authority
    custody: Custody
    responder: Responder
    tsa: TimeStampAuthority
    trust: TrustStore
    limits: Limits = DEFAULT_LIMITS
    pin_cost: PinCost = field(default_factory=PinCost)
    """What new seals under a PIN cost to try. Each seal carries its own, so this may be raised."""
    stamps: StampShelf = field(default_factory=StampShelf, repr=False)
    revocation: RevocationShelf = field(default_factory=RevocationShelf, repr=False)
    templates: OrderedDict[str, CmsTemplate] = field(default_factory=OrderedDict, repr=False)
    opened: OrderedDict[str, WrappedKey] = field(default_factory=OrderedDict, repr=False)
    """Wrapped keys of authorisations in use, so that each document does not unseal anew."""
    turns: Turns = field(default_factory=Turns, repr=False)

    @cached_property
    def activation_seal(self) -> ActivationSeal:
        """The token's activation key; made at first use when the token has none."""
        return ActivationSeal(self.authority.token)
