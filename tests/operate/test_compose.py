"""deploy/compose.yaml and deploy/Dockerfile: valid, and the same programs and values as elsewhere.

`compose-spec.json` is the schema of the Compose Specification (github.com/compose-spec/compose-spec, Apache-2.0).
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from config.settings import ROOT
from deploy.backup.__main__ import parser
from deploy.operate.services import SERVICES
from deploy.operate.site import Release, Site
from tests.front import CONFIG

FILE = ROOT / "deploy/compose.yaml"
SCHEMA = Path(__file__).with_name("compose-spec.json")
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


def test_the_file_is_what_the_specification_says(compose: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(compose, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose | {"services": compose["services"] | {"web-3": {"comand": "x"}}}, schema)


def test_every_part_of_a_site_is_there_and_only_nginx_is_public(compose: dict[str, Any]) -> None:
    parts = compose["services"]
    assert set(parts) == {service.name for service in SERVICES} | {"postgres", "redis", "prepare", "backup", "nginx"}
    assert {name for name, part in parts.items() if "ports" in part} == {"nginx"}
    for name, part in parts.items():
        for needed in part.get("depends_on", ()):
            assert needed in parts
        for volume in part.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"]
        assert part["restart"] == ("no" if name in ("prepare", "backup") else "unless-stopped")


def test_containers_run_the_programs_that_are_run_elsewhere(compose: dict[str, Any]) -> None:
    site = Site(Path("/srv/swiper"))
    for service in SERVICES:
        if service.web:
            continue
        command = compose["services"][service.name]["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        # Containers have one environment, and begin in the folder of the code.
        at = Release(Path("/srv/swiper"))
        expected = [word.removeprefix(f"{at.bin}/").removeprefix("/srv/swiper/") for word in service.command(site, at)]
        if "--workdir" in expected:
            place = expected.index("--workdir")
            del expected[place : place + 2]
        assert words == expected


def test_backups_are_run_by_hand_with_a_client_as_new_as_the_server(compose: dict[str, Any]) -> None:
    backup = compose["services"]["backup"]
    assert backup["profiles"] == ["backup"]
    arguments = parser().parse_args(backup["command"][3:])
    assert f"backups:{arguments.to}" in backup["volumes"]
    assert "instance:/srv/swiper/instance" in backup["volumes"]
    # What Debian 13 has.
    assert compose["services"]["postgres"]["image"].startswith("postgres:17")
    assert "slim-trixie AS app" in DOCKERFILE
    assert "postgresql-client" in DOCKERFILE


def test_images_are_built_from_what_is_there() -> None:
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
    front = CONFIG.read_text()
    for found in re.findall(r"-e 's/\^?(.+?)/", DOCKERFILE):
        assert found.replace("\\", "") in front
    assert "/srv/swiper/instance/media" in front
    assert "/var/www/swiper-acme" in front


def test_no_secret_gets_into_an_image() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().splitlines())
    assert {".env", "deploy/.env", "instance", ".git"} <= ignored
