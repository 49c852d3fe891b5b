"""Errors: a code for programs, a text for people, and never an error of their own."""

from __future__ import annotations

import pickle

from records.errors import DatabaseBusy, DomainError, RecordsError, catalogue, text


def test_the_text_names_the_facts_in_the_readers_language() -> None:
    error = RecordsError("database-newer", revision="0009")
    assert "0009" in error.message("en")
    assert "0009" in error.message("vi")
    assert error.message("vi") != error.message("en") == str(error)


def test_a_missing_fact_or_text_never_raises() -> None:
    assert "{revision}" in RecordsError("database-newer").message("en")
    assert DomainError("unheard-of").message("vi") == "unheard-of"
    assert (
        RecordsError("disk-full", place="{0.__class__}").message("fr").count("{0.__class__}") == 1
    )
    assert text("database-newer", {"revision": None}, "en").count("None") == 1


def test_an_error_crosses_to_another_process() -> None:
    for error in (DatabaseBusy("database-busy"), RecordsError("disk-full", place="blobs")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.code, copy.params) == (type(error), error.code, error.params)
        assert repr(copy) == repr(error)


def test_both_languages_have_the_same_codes() -> None:
    assert catalogue("vi").keys() == catalogue("en").keys()


def test_states_are_told_in_the_readers_language() -> None:
    """Nobody at a counter has to know what `suspended` means; programs read it in the facts."""
    error = DomainError("credential-state", state="suspended", wanted="active")
    assert "tạm dừng" in error.message("vi")
    assert "suspended" not in error.message("vi")
    assert "ngày sinh, họ và tên" in DomainError("identity-mismatch", differs="born, name").message(
        "vi"
    )
    assert error.params["state"] == "suspended"
