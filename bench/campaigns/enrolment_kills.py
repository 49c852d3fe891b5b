"""`./dauso campaign enrolment-kills`: kill -9 at random moments of a bulk enrolment.

A child process enrols a list; it is killed after a random time and started again, until the list is
done. Then: everybody enrolled, nobody twice, every code opens its own key, no certificate without a
holder, no serial twice, and the audit log whole. The token lies in the child, as in life: SoftHSM
rewrites its token files at each login and can lose them if killed just then, so they are put back
from a copy when that happened (DESIGN.md §6).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from api.first_run import create
from api.house import House
from api.settings import Settings
from bench.population_files import as_csv, officials
from bench.report import Report, arguments
from ca.models import CertificateRow, IntentionRow, IntentionState
from hsm.sealing import unseal_with_code
from records import audit
from signer.holders import (
    bulk_enrolment,
    enrolment_intake,
    enrolment_lists,
    enrolment_reading,
    enrolment_results,
)
from signer.holders.enrolment_models import LineState, ListState
from signer.keys import credentials
from signer.models import CredentialRow

BY = "system:campaign"


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when anybody was lost or enrolled twice."""
    if arguments_ is None and os.environ.get("CAMPAIGN_LIST"):
        return child()
    report = Report("enrolment-kills", arguments("Kills in bulk enrolment").parse_args(arguments_))
    people, most = (1_500, 12) if report.quick else (12_000, 120)
    chooser = random.Random()
    with TemporaryDirectory(prefix="dauso-kills-") as directory:
        home = Path(directory) / "home"
        settings = Settings.from_environment({"DAUSO_HOME": str(home)})
        with create(settings, now=_now(), by=BY, told=report.say) as house:
            data = as_csv(officials(people))
            taken = enrolment_intake.take_in(
                house.desk, data, profile="official", file_name="ds.csv", now=_now(), by=BY
            )
            secret = enrolment_lists.start(house.desk, taken.id, now=_now(), by=BY)
        kept = Path(directory) / "token"
        shutil.copytree(home / "token", kept)
        kills, lost = _until_done(report, home, kept, taken.id, chooser, most)
        with House.open(settings, now=_now()) as house:
            problems = _problems(house, taken.id, secret, people)
    report.add("kills", kills, "made")
    report.add("token files lost by SoftHSM, put back", lost, "times")
    for name, count in problems.items():
        report.add(name, count, "found", peer="none may")
    return max(report.finish(), int(any(problems.values())))


def _until_done(
    report: Report, home: Path, kept: Path, list_id: str, chooser: random.Random, most: int
) -> tuple[int, int]:
    kills = lost = 0
    environment = {**os.environ, "DAUSO_HOME": str(home), "CAMPAIGN_LIST": list_id}
    while True:
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.campaigns.enrolment_kills"],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        if worker.stdout.readline().strip() == "at work" and kills < most:
            time.sleep(chooser.uniform(0, 1.5))
            worker.send_signal(signal.SIGKILL)
            kills += 1
        code = worker.wait()
        if code == 0:
            return kills, lost
        if code != -signal.SIGKILL:
            # The token did not survive the kill: as a backup would be put back.
            lost += 1
            if lost > 20:
                raise RuntimeError("the worker does not start any more")
            shutil.rmtree(home / "token")
            shutil.copytree(kept, home / "token")
        if kills % 10 == 0:
            report.say(f"{kills} kills")


def child() -> int:
    """One worker: opens the house as any process does, and goes on with the list."""
    sys.setswitchinterval(0.0005)
    settings = Settings.from_environment()
    with House.open(settings, now=_now()) as house:
        sys.stdout.write("at work\n")
        sys.stdout.flush()
        list_id = os.environ["CAMPAIGN_LIST"]
        if enrolment_reading.look(house.desk, list_id).state is ListState.RUNNING:
            bulk_enrolment.work(house.desk, list_id, clock=_now, by=BY)
    return 0


def _problems(house: House, list_id: str, secret: str, people: int) -> dict[str, int]:
    taken = enrolment_reading.look(house.desk, list_id)
    found = {"people not enrolled": people - taken.counts[LineState.ENROLLED]}
    codes = {
        line.credential_id: line.code
        for line in enrolment_results.results(house.desk, list_id, secret=secret, now=_now(), by=BY)
    }
    with house.database.reading() as session:
        holders = Counter(session.scalars(select(CredentialRow.holder_id)))
        rows = session.execute(
            select(CredentialRow.id, CredentialRow.sealed_key, CredentialRow.serial)
        ).all()
        issued = session.scalars(
            select(CertificateRow.serial).where(CertificateRow.profile == "official")
        ).all()
        open_ = session.scalar(
            select(func.count()).where(IntentionRow.state == IntentionState.OPEN.value)
        )
    found["people enrolled twice"] = sum(count > 1 for count in holders.values())
    found["certificates without a holder"] = len(set(issued) - {row.serial for row in rows})
    found["intentions left open"] = int(open_ or 0)
    closed = 0
    for row in rows:
        try:
            context = credentials.seal_context(row.id)
            unseal_with_code(row.sealed_key, codes[row.id], context=context)
        except Exception:  # counted, whatever it is
            closed += 1
    found["keys their code does not open"] = closed
    found["problems in the audit log"] = len(audit.verify(house.database).problems)
    return found


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
