"""The READMEs tell the truth: their journey runs as printed, and both tell the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.processes import Program, environment, free_port

READMES = ("README.md", "README.zh.md")


def code_blocks(name: str) -> list[str]:
    """The shell blocks of a README, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    return [re.sub(r"\s+#.*$", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.mark.parametrize("name", READMES)
def test_a_readme_opens_with_the_two_commands(name: str) -> None:
    assert code_blocks(name)[0].split("\n")[:2] == ["make run", "make test"]


def test_both_readmes_show_the_same_code() -> None:
    english, chinese = (code_blocks(name) for name in READMES)
    assert english == chinese


def test_make_help_lists_every_target() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in answer.stdout.splitlines()] == targets


def test_the_journey_leads_to_a_match_as_printed(tmp_path: Path) -> None:
    port, instance = free_port(), tmp_path / "instance"
    env = environment(instance, PORT=port, ROBOTS_ANSWER_PERCENT=40)
    with Program((sys.executable, "-m", "deploy.run"), env, tmp_path / "log") as swiper:
        swiper.wait_for_line("Swiper serves on")
        journey = code_blocks("README.md")[1]
        assert "http://127.0.0.1:8000" in journey
        journey = journey.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}").replace(
            "instance/sms-outbox.jsonl", str(instance / "sms-outbox.jsonl")
        )
        done = subprocess.run(["sh", "-eu", "-c", journey], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert [answer["code"] for answer in answers] == [0] * len(answers)
    likes = [answer["data"]["is_matched"] for answer in answers if "is_matched" in answer["data"]]
    assert len(likes) == 5
    friends = next(answer["data"] for answer in answers if "items" in answer["data"])
    assert friends["total"] == sum(likes) >= 1
    orders = [answer["data"]["state"] for answer in answers if "state" in answer["data"]]
    assert orders == ["pending", "paid"]
    assert answers[-1]["data"]["sid"]
