"""Rules every file of every room keeps, checked on the source itself.

`pytest -m house` runs only these.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from records.errors import LANGUAGES, catalogue
from tests.conftest import LONG_WITH_FEW_TESTS

pytestmark = pytest.mark.house

ROOT = Path(__file__).parents[1]
ROOMS = ("records", "hsm", "ca", "signer", "certify", "api")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Raised:
    """One place in the code that makes a domain error with a literal code."""

    where: str
    code: str
    facts: frozenset[str] | None  # None: given as **facts


@cache
def sources() -> dict[str, ast.Module]:
    """Every room's modules, parsed once."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8"))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def error_classes() -> dict[str, ast.ClassDef]:
    """Every class derived from DomainError, by name."""
    classes = {
        node.name: node
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"DomainError"}
    while True:
        more = {
            name
            for name, node in classes.items()
            if found & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        } - found
        if not more:
            return {name: classes[name] for name in found}
        found |= more


def codes_in(argument: ast.expr) -> list[str]:
    """The code of `X("code")`, or both of `X("one" if … else "other")`."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.IfExp):
        return codes_in(argument.body) + codes_in(argument.orelse)
    return []


@cache
def raised() -> tuple[Raised, ...]:
    """Every literal code given to a domain error, in a call or by a subclass to its base."""
    return tuple(_raised())


def _raised() -> Iterator[Raised]:
    classes = error_classes()
    own_arguments = {  # classes that choose their code themselves: their first argument is not one
        name
        for name, node in classes.items()
        if name != "DomainError"
        and any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)
    }
    for path, tree in sources().items():
        inside = {
            id(call)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and node.name in classes
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            called = call.func
            name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
            base = name == "__init__" and id(call) in inside
            if not base and (name not in classes or name in own_arguments):
                continue
            named = [keyword.arg for keyword in call.keywords]
            facts = None if None in named else frozenset(str(one) for one in named)
            for code in codes_in(call.args[0]):
                yield Raised(f"{path}:{call.lineno}", code, facts)


def test_every_code_has_a_text_in_every_language() -> None:
    """A person is never shown a bare code."""
    missing = sorted(
        f"{one.where} {one.code} ({language})"
        for one in raised()
        for language in LANGUAGES
        if one.code not in catalogue(language)
    )
    assert missing == []


def test_codes_are_kebab_case() -> None:
    odd = [one for one in raised() if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", one.code)]
    assert odd == []


def test_every_text_names_only_facts_that_are_given() -> None:
    """A text with `{reason}` is raised with `reason=`, wherever it is raised."""
    gaps = sorted(
        f"{one.where} {one.code} ({language}) lacks {sorted(lacking)}"
        for one in raised()
        for language in LANGUAGES
        if one.facts is not None
        and (lacking := {*_PLACEHOLDER.findall(catalogue(language).get(one.code, ""))} - one.facts)
    )
    assert gaps == []


def test_both_languages_have_the_same_codes_and_facts() -> None:
    vi, en = (
        {code: frozenset(_PLACEHOLDER.findall(text)) for code, text in catalogue(language).items()}
        for language in ("vi", "en")
    )
    assert vi == en


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    """A name says what a module decides."""
    assert [
        path for path in sources() if {*Path(path).with_suffix("").parts} & FORBIDDEN_NAMES
    ] == []


def tracked() -> list[Path]:
    """The files of the repository, as git has them."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the repository's files")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def registry_hosts() -> set[str]:
    """Where this machine's package tools fetch from: environment and configuration files."""
    told = [value for name, value in os.environ.items() if re.search("INDEX|REGISTRY", name)]
    for path in ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf",
                 "/etc/uv/uv.toml", "~/.config/uv/uv.toml", "~/.npmrc"):  # fmt: skip
        file = Path(path).expanduser()
        if file.is_file() and os.access(file, os.R_OK):
            told.append(file.read_text("utf-8", "replace"))
    hosts = {
        host for text in told for host in re.findall(r"https?://(?:[^/@\s]*@)?([\w.-]+)", text)
    }
    return hosts | {"pypi" + ".org", "files." + "pythonhosted.org", "registry." + "npmjs.org"}


def test_no_file_names_a_machine_or_a_registry() -> None:
    """The same checkout works anywhere: no absolute path of a home, no package index."""
    places = [rf"(?<![\w.~-])/{'home'}/[a-z]\w*/", rf"/{'Users'}/\w+/"]
    if len(ROOT.parts) > 2:
        places.append(rf"(?<![\w.~-]){re.escape(str(ROOT))}(?![\w-])")
    places += [rf"(?<![\w.-]){re.escape(host)}(?![\w.-])" for host in registry_hosts()]
    pattern = re.compile("|".join(places).encode())
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            found += [
                f"{path.relative_to(ROOT)}: {hit[0].decode()}" for hit in pattern.finditer(data)
            ]
    assert found == []


def test_the_modules_that_begin_first_are_there() -> None:
    """A module that was renamed would quietly lose its turn (tests/conftest.py)."""
    assert [path for path in LONG_WITH_FEW_TESTS if not (ROOT / path).is_file()] == []


def test_nothing_is_left_for_later() -> None:
    """No unfinished marks in the code."""
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|raise NotImplemented" r"Error")
    folders = (*ROOMS, "migrations", "tests", "bench")
    left = [
        f"{path.relative_to(ROOT)}: {hit[0]}"
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders
        for hit in mark.finditer(path.read_text("utf-8"))
    ]
    assert left == []


def test_suppressions_say_what_and_why() -> None:
    """`noqa` and `type: ignore` name their rule and give a reason on the same line."""
    bare = re.compile(
        r"#\s*(noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* [–—-] \S)|type: ignore(?!\[[\w,-]+\]  # \S))"
    )
    here = Path(__file__).resolve()
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix == ".py" and path != here
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if bare.search(line)
    ]
    assert left == []


@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(["ruff", "check", "."], id="ruff"),
        pytest.param(["mypy"], id="mypy"),
        pytest.param(["importlinter"], id="import-linter"),
    ],
)
def test_the_checkers_are_content(tool: list[str]) -> None:
    """ruff, mypy --strict, and the one direction of imports (pyproject.toml)."""
    if importlib.util.find_spec(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed (requirements-dev.lock)")
    command = [sys.executable, "-m", *tool]
    if tool[0] == "importlinter":
        program = "from importlinter.cli import lint_imports_command as run; run()"
        command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_service_knows_every_row_that_keeps_a_file() -> None:
    """records.kept_files: "all of them are asked before one is deleted" - also a room's that no
    caller of it imports."""
    program = (
        "import importlib, api.app\n"
        "from records.kept_files import keeping_columns\n"
        "known = set(map(str, keeping_columns()))\n"
        "[importlib.import_module(one) for one in MODELS]\n"
        "left = set(map(str, keeping_columns())) - known\n"
        "assert len(known) > 15 and not left, left\n"
    )
    models = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in tracked()
        if path.name.endswith("models.py")
    ]
    program = program.replace("MODELS", repr(models))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
