"""The Dockerfile, as far as it can be checked without building it: linted by `make`."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from server import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
COPIED = [source for sources in re.findall(r"^COPY ([^-].*) \S+$", TEXT, re.MULTILINE)
          for source in sources.split()]


def test_what_is_copied_exists_and_is_all_that_is_sent():
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    sent = [line[1:] for line in ignored if line.startswith("!")]
    assert sorted(sent) == sorted(COPIED)
    for source in COPIED:
        assert (REPOSITORY / source).exists(), source


def test_the_bill_of_materials_names_all_that_is_linked():
    bill = json.loads(Path(os.environ["BELLWETHER_SBOM"]).read_text(encoding="utf-8"))
    named = {(part["name"], part["version"]) for part in bill["components"]}
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none",
         "--no-dedupe", "--format", "{p}"],
        cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8", check=True)
    linked = {tuple(line.split()[:2]) for line in tree.stdout.splitlines() if line.strip()}
    linked = {(name, version.removeprefix("v")) for name, version in linked}
    root = bill["metadata"]["component"]
    assert linked - named == {(root["name"], root["version"])}
    assert len(linked) > 100


@pytest.fixture
def source(tmp_path):
    """The directory in which the image is built, as far as it comes from here."""
    for copied in COPIED:
        target = tmp_path / copied
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / copied).is_dir():
            shutil.copytree(REPOSITORY / copied, target)
        else:
            shutil.copy(REPOSITORY / copied, target)
    return tmp_path


def test_cargo_finds_every_target_of_the_manifest(source):
    metadata = subprocess.run(
        ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"],
        cwd=source, capture_output=True, text=True, encoding="utf-8", check=False)
    assert metadata.returncode == 0, metadata.stderr


def test_every_file_that_the_source_includes_is_copied(source):
    included = 0
    for file in (source / "src").rglob("*.rs"):
        text = file.read_text(encoding="utf-8")
        for path in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', text):
            assert (file.parent / path).is_file(), f"{file}: {path}"
            included += 1
    assert included


def test_the_image_runs_as_the_user_of_the_deployment(pod):
    context = pod["securityContext"]
    users = re.findall(r"^USER (.*)$", TEXT, re.MULTILINE)
    assert users == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_the_image_exposes_the_ports_of_the_deployment(container, settings):
    ports = {str(port["containerPort"]) for port in container["ports"]}
    [exposed] = re.findall(r"^EXPOSE (.*)$", TEXT, re.MULTILINE)
    assert set(exposed.split()) == ports
    for name in ["listen", "admin_listen"]:
        assert f"ENV BELLWETHER_{name.upper()}={settings[name]}\n" in TEXT


def test_the_compiler_is_one_that_the_crate_takes():
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    [needed] = re.findall(r'^rust-version = "(\d+)\.(\d+)"', manifest, re.MULTILINE)
    [used] = re.findall(r"^ARG RUST_VERSION=(\d+)\.(\d+)", TEXT, re.MULTILINE)
    assert tuple(map(int, used)) >= tuple(map(int, needed))


def test_the_labels_say_what_the_crate_says_of_itself():
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', TEXT))
    assert labels == {
        "title": package["name"],
        "description": package["description"],
        "licenses": package["license"],
        "source": "${SOURCE}",
        "version": "${VERSION}",
        "revision": "${REVISION}",
    }
    assert f"\nARG VERSION={package['version']}\n" in TEXT


def test_every_base_can_be_named_by_its_digest():
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert bases == ["${BUILD_IMAGE}", "${BASE_IMAGE}"]
    # Arguments of FROM stand before the first of them.
    before = TEXT.split("\nFROM ")[0]
    operations = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    for argument in ["BUILD_IMAGE", "BASE_IMAGE"]:
        assert f"\nARG {argument}=" in before
        assert f"--build-arg {argument}=" in operations


def test_the_directory_of_the_embedded_store_belongs_to_the_user():
    [user] = re.findall(r"^USER (.*)$", TEXT, re.MULTILINE)
    [directory] = re.findall(r"^ENV BELLWETHER_STORE=(.*)$", TEXT, re.MULTILINE)
    assert f"\nCOPY --from=build --chown={user} /store {directory}\n" in TEXT
    assert f"--volume bellwether:{directory} " in (
        REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
