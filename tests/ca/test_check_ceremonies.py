"""The checker holds what the roots have signed against the ceremonies' logs."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from ca.checking.checks import check_everything
from ca.models import CeremonyRow, CertificateRow
from tests.world import World


def forge(session: Session) -> None:
    """Whoever owns the database's file can take away what keeps its rows."""
    for act in ("update", "delete"):
        session.execute(text(f"DROP TRIGGER ca_ceremonies_no_{act}"))


def codes(world: World) -> list[str]:
    report = check_everything(world.authority, world.now)
    return sorted({problem.code for problem in report.problems})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_everything_a_root_signed_is_logged(world: World) -> None:
    """ "Finds … unexplained intentions and missing audit rows"; a root has no
    intentions, its certificates are explained by the signed log alone."""
    assert codes(world) == []
    with world.database.transaction() as session:
        forge(session)
        session.execute(delete(CeremonyRow))
    assert codes(world) == ["certificate-not-in-ceremony-log", "crl-not-in-ceremony-log"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_changed_log_explains_nothing(world: World) -> None:
    """The log is signed and stored."""
    with world.database.transaction() as session:
        forge(session)
        row = session.scalars(select(CeremonyRow)).one()
        row.log = row.log.replace("operator:test", "operator:evil")
    assert codes(world) == [
        "ceremony-log-not-signed",
        "certificate-not-in-ceremony-log",
        "crl-not-in-ceremony-log",
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_certificate_that_vanished(world: World) -> None:
    """What a ceremony's log names is still in the tables."""
    with world.database.transaction() as session:
        session.execute(
            update(CertificateRow).where(CertificateRow.profile == "audit").values(der=b"\x30\x00")
        )
    assert "certificate-of-ceremony-missing" in codes(world)
