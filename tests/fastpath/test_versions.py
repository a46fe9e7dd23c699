"""The fast paths are used where they are on, by gevent workers alone, and with known versions of the libraries."""

import logging

import pytest

from swiper.fastpath import versions


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a gevent worker."""
    monkeypatch.setattr(versions, "is_module_patched", lambda name: name == "socket")


def test_threads_and_commands_never_share() -> None:
    assert not versions.may_share(True, versions.REDIS)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("packages", [versions.REDIS, versions.POSTGRES])
def test_a_worker_shares_unless_that_is_off(packages: versions.Versions, caplog: pytest.LogCaptureFixture) -> None:
    assert versions.may_share(True, packages), "the versions that are pinned must be known"
    assert not versions.may_share(False, packages)
    assert not caplog.records


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("installed", "is_known"), [("8.1", True), ("8.1.0", True), ("8.1.9", True), ("8.10.0", False), ("9.0", False)]
)
def test_an_unknown_version_falls_back_and_is_logged(
    installed: str, is_known: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(versions, "version", lambda _: installed)
    with caplog.at_level(logging.WARNING):
        assert versions.may_share(True, {"redis": ("8.1",)}) is is_known
    assert [record.getMessage() for record in caplog.records] == (
        [] if is_known else [f"redis {installed} is not known to the fast path; the stock way serves"]
    )
