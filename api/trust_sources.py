"""Whom this instance believes beside itself, and what it may ask of the network for a verdict.

    sources = TrustSources(settings.trust_file, fetcher)
    sources.store(now)                      # configured anchors, and those of trusted lists
    asked(look, trust, lists, fetcher)      # a verdict; once more with what was fetched

The file is read at start and refused as a whole when it contradicts itself. Trusted lists are read
anew every hour; one that cannot be had or believed leaves its anchors out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from ca.trust import TrustStore
from ca.trust_file import ConfiguredTrust, load_trust
from signer.trust.status_fetching import Fetcher, fetch_status
from signer.trust.trusted_lists import load_lists
from signer.verdicts.report import Report
from signer.verdicts.verdict import Finding, Weight

log = structlog.get_logger("dauso.trust")

LISTS_KEPT = timedelta(hours=1)
_LARGEST_TRUSTED_LIST = 32 << 20
# What may become better when somebody is asked.
_OPEN = frozenset(
    {"validation-revocation-missing", "validation-revocation-stale", "validation-no-chain"}
)
Look = Callable[[TrustStore, Sequence[bytes]], Report]


class TrustSources:
    """The configured trust of one instance; safe to share between threads."""

    def __init__(self, path: Path | None, fetcher: Fetcher | None) -> None:
        """Raises TrustFileError or CaError when the file cannot be meant as it stands."""
        nothing = ConfiguredTrust(TrustStore(anchors=()), ())
        self._configured = load_trust(path) if path is not None else nothing
        self._fetcher = fetcher
        self._lists: TrustStore = TrustStore(anchors=())
        self._until: datetime | None = None
        self._lock = threading.Lock()
        self.findings: tuple[Finding, ...] = ()

    def store(self, now: datetime) -> TrustStore:
        """Everything that is believed at this moment."""
        if not self._configured.lists:
            return self._configured.store
        with self._lock:
            if self._until is None or now >= self._until:
                self._lists, self.findings = load_lists(
                    self._configured.lists, fetch=self._fetch(), now=now
                )
                self._until = now + LISTS_KEPT
                for one in self.findings:
                    if one.weight is Weight.WARNS:
                        log.warning("trusted list not used", code=one.code, **one.params)
            return self._configured.store.and_also(self._lists)

    def _fetch(self) -> Callable[[str], bytes] | None:
        fetcher = self._fetcher
        if fetcher is None:
            return None
        return lambda url: fetcher.get(url, limit=_LARGEST_TRUSTED_LIST)


def asked(look: Look, trust: TrustStore, lists: Sequence[bytes], fetcher: Fetcher | None) -> Report:
    """The verdict; where it stays open for want of data, once more with what could be fetched."""
    report = look(trust, lists)
    if fetcher is None or report.passed or not _is_open(report):
        return report
    leaves = [
        one
        for one in (
            *(each.signer_certificate for each in report.signatures),
            *(each.certificate for each in report.timestamps),
        )
        if one is not None
    ]
    found = fetch_status(leaves, trust, fetcher, report.certificates)
    if not found.certificates and not found.revocation:
        return report
    more = replace(trust, intermediates=(*trust.intermediates, *found.certificates))
    return look(more, [*lists, *found.revocation])


def _is_open(report: Report) -> bool:
    told = [one for each in report.signatures for one in each.findings]
    told += [one for each in report.timestamps for one in each.findings]
    return any(one.code in _OPEN for one in told)
