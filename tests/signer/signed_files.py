"""Files to sign in every format, signed by an official of the test's world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hsm.mechanisms import KeyAlgorithm
from signer.files.file_signing import FileRequest, Format, SignedFiles, SourceFile, sign_files
from tests.signer.holders import BY, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.world import World

REPORT = SourceFile(
    "Báo cáo quý III.txt", "Báo cáo tình hình giải quyết thủ tục.\n".encode(), "text/plain"
)
TABLE = SourceFile("phụ lục/số liệu.csv", b"ma,so\n2.000815,1204\n", "text/csv")
DOSSIER = SourceFile(
    "ho-so.xml",
    """<?xml version="1.0" encoding="UTF-8"?>
<?hien-thi kieu="bang"?>
<hs:HoSo xmlns:hs="urn:thanhhoa:ho-so" xmlns:bo="urn:bo" xml:lang="vi" ma="H56.17.22-261123-0001">
  <!-- lưu nháp -->
  <hs:TenThuTuc><![CDATA[Chứng thực bản sao & cấp]]></hs:TenThuTuc>
  <bo:Le tien="2000" loai='b&quot;1'/>
  <hs:GhiChu>dòng một&#13;
dòng hai</hs:GhiChu>
</hs:HoSo>
""".encode(),
    "text/xml",
)


@dataclass(frozen=True)
class Official:
    """Somebody who signs in this world."""

    world: World
    holders: Holders

    @classmethod
    def of(cls, world: World, algorithm: KeyAlgorithm = KeyAlgorithm.P_256) -> Official:
        return cls(world, enrol(world, algorithm=algorithm))

    def sign(self, request: FileRequest, *files: SourceFile, **more: Any) -> SignedFiles:
        chosen = files or sources(request.format)
        give = authorizer(self.world, self.holders.official, OFFICIAL_PIN)
        return sign_files(
            self.world.desk,
            chosen,
            request,
            authorization=give(list(dict.fromkeys(one.digest for one in chosen))),
            now=more.pop("now", self.world.now),
            by=BY,
            **more,
        )


def sources(chosen: Format) -> tuple[SourceFile, ...]:
    if chosen.is_container:
        return (REPORT, TABLE)
    return (DOSSIER,) if chosen is Format.XADES_ENVELOPED else (REPORT,)
