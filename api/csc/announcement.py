"""`info`: what this service is and can do (CSC API §11.1), in the version asked and announced."""

from __future__ import annotations

from typing import Any

from api.csc.algorithms import EC_ALGORITHMS, RSA_ALGORITHMS, RSA_PSS
from api.csc.calls import Call, Reply
from api.csc.credential_methods import language_of
from api.csc.document_shapes import ANNOUNCED

_NAME = "Dấu Số"
_WORDS = {
    "vi": "Dịch vụ ký số từ xa của tỉnh Thanh Hóa",
    "en": "Remote signing service of Thanh Hóa province",
}
_OAUTH = ("oauth2/authorize", "oauth2/pushed_authorize", "oauth2/token", "oauth2/revoke")


def announce(call: Call, methods: tuple[str, ...]) -> Reply:
    """The one method without authorisation."""
    settings = call.wired.house.settings
    language = language_of(call)
    v1 = call.version == "v1"
    offered = ["info", *methods, *_OAUTH]
    if v1:
        offered.remove("oauth2/pushed_authorize")
    answer: dict[str, Any] = {
        "specs": "1.0.4.0" if v1 else settings.csc_specs,
        "name": _NAME,
        "logo": f"{settings.base_url}/static/seal.png",
        "region": "VN",
        "lang": language,
        "description": _WORDS[language],
        "authType": ["oauth2code", "oauth2client"],
        "oauth2": f"{settings.base_url}/csc",
        "methods": offered,
    }
    if v1:
        return Reply(answer)
    algorithms = [*RSA_ALGORITHMS, *EC_ALGORITHMS]
    answer |= {
        "asynchronousOperationMode": True,
        "validationInfo": True,
        "signAlgorithms": {
            "algos": algorithms,
            # one per algorithm: the parameters each takes
            "algoParams": [RSA_PSS if one == RSA_PSS else "" for one in algorithms],
        },
        "signature_formats": dict(ANNOUNCED),
        "conformance_levels": ["AdES-B-B", "AdES-B-T", "AdES-B-LT", "AdES-B-LTA"],
    }
    if settings.csc_specs == "2.2.0.0":
        del answer["oauth2"]
        answer["oauth2Servers"] = [
            {
                "baseUri": f"{settings.base_url}/csc",
                "authType": ["oauth2code", "oauth2client"],
                "supportsRar": True,
            }
        ]
        answer["supportedHashTypes"] = ["dtbsr", "sodr"]
        answer["documentTypes"] = ["application/pdf", "application/xml", "application/octet-stream"]
        answer["signature_formats"]["allowMix"] = False
    return Reply(answer)
