"""The groups of packages that a release installs for the settings of its site."""

from pathlib import Path

import pytest

from config import extras, missing_groups


def test_groups_that_the_settings_need_and_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"SWIPER_INSTANCE={tmp_path}\nSTORAGE=s3\nSMS_PROVIDERS=aliyun,console\nCACHE_TYPE=redis\n")
    monkeypatch.setattr(missing_groups, "ROOT", tmp_path)
    missing_groups.main()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    missing_groups.main()
    assert capsys.readouterr().out.split() == ["aliyun", "s3"]
