"""Which of pkilint's validators can speak of a node, found once for each kind of node.

pkilint offers every node of a certificate to every validator, some fifteen thousand questions for
one certificate, and nearly all are answered no by the node's place or type. Those answers are the
same for every certificate, so they are remembered; whoever is left is asked as before, in the same
order. Every `match` of pkilint begins with these two questions (a test looks at each of them, and
at the verdicts).
"""

from __future__ import annotations

from typing import Any

_MOST_KINDS = 20_000
"""Of places and types in one container: strange certificates must not fill the memory."""


def remember_who_can_speak(container: Any) -> None:
    """Make a container of validators, and those inside it, ask only who may have an answer."""
    from pkilint.validation import ValidatorContainer

    validators = container.validators
    for one in validators:
        if isinstance(one, ValidatorContainer):
            remember_who_can_speak(one)
    known: dict[tuple[str, type], list[Any]] = {}

    def able(node: Any, kind: tuple[str, type]) -> list[Any]:
        found = [one for one in validators if _can_speak(one, node)]
        if len(known) < _MOST_KINDS:
            known[kind] = found
        return found

    def walk(node: Any, results: list[Any]) -> None:
        kind = (node.path, type(node.pdu))
        found = known.get(kind)
        if found is None:
            found = able(node, kind)
        for one in found:
            if one.match(node):
                result = one.validate_wrapper(node)
                if isinstance(result, list):
                    results += result
                else:
                    results.append(result)
        for child in node.children.values():
            walk(child, results)

    container._validate_rec = walk


def _can_speak(validator: Any, node: Any) -> bool:
    """What does not change from one node of this place and type to the next."""
    if validator._path is not None and validator._path != node.path:
        return False
    if validator._path_re is not None and validator._path_re.match(node.path) is None:
        return False
    return validator._pdu_class is None or isinstance(node.pdu, validator._pdu_class)
