"""The Debian package, as `make deb` makes it of the build of the tests."""

import os
import re
import subprocess
import tomllib

import pytest
from server import REPOSITORY, Server, run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Where the package is unpacked."""
    directory = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "--extract", os.environ["BELLWETHER_DEB"], directory], check=True)
    return directory


def field(name):
    asked = ["dpkg-deb", "--field", os.environ["BELLWETHER_DEB"], name]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_of_the_version_of_the_manifest_and_names_what_it_needs():
    manifest = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["package"]["version"]
    assert field("Version") == f"{version}-1"
    # The C library alone: TLS comes with the binary.
    assert re.fullmatch(r"libc6 \(>= [0-9.]+\)", field("Depends"))


def test_what_is_configured_is_kept_when_the_package_is_replaced(tmp_path):
    control = tmp_path / "control"
    subprocess.run(["dpkg-deb", "--control", os.environ["BELLWETHER_DEB"], control], check=True)
    kept = (control / "conffiles").read_text(encoding="utf-8").split()
    assert kept == ["/etc/bellwether/bellwether.toml"]


def test_the_unit_starts_the_binary_on_the_configuration_that_comes_along(
        root, tmp_path, monkeypatch):
    unit = (root / "usr/lib/systemd/system/bellwether.service").read_text(encoding="utf-8")
    [started] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = started.split()
    assert arguments == ["serve", "--config", "/etc/bellwether/bellwether.toml"]
    configured = (root / "etc/bellwether/bellwether.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(configured)
    [state] = re.findall(r"^StateDirectory=(.*)$", unit, re.MULTILINE)
    assert settings["store"].startswith(f"/var/lib/{state}/")
    assert settings["listen"].startswith("127.0.0.1:"), "open to nobody else before it is set up"
    # What is commented out is known to the server, too.
    commented = re.findall(r"^#(\w+) =", configured, re.MULTILINE)
    known = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    assert commented and all(f"`{name}`" in known for name in commented)

    monkeypatch.setenv("BELLWETHER_BINARY", str(root / program.removeprefix("/")))
    arguments = ["--config", str(root / "etc/bellwether/bellwether.toml")]
    with Server(tmp_path / "store", arguments=arguments) as server:
        asked = run("health", "--server", f"http://{server.address}")
        assert asked.returncode == 0, asked.stderr


def test_the_unit_is_understood_and_lets_the_server_do_little(root):
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", f"--root={root}",
         "bellwether.service"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Unknown" not in judged.stderr, judged.stderr


def test_commands_on_the_store_run_as_the_unit_does(root, tmp_path):
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(on_store\(\).*?)^```", text, re.MULTILINE | re.DOTALL)
    subprocess.run(["sh", "-n"], input=block, text=True, check=True)
    said = re.findall(r"-p (\w+=\S+)", block)
    # The user of a unit without User= is named like the unit.
    assert said[:2] == ["DynamicUser=yes", "User=bellwether"]
    unit = root / "usr/lib/systemd/system/bellwether.service"
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert "DynamicUser=yes" in lines and not any(line.startswith("User=") for line in lines)
    assert unit.stem == "bellwether"
    assert set(said[2:]) == {line for line in lines
                             if re.match("(StateDirectory(Mode)?|UMask)=", line)}
    configured = tomllib.loads((root / "etc/bellwether/bellwether.toml").read_text(encoding="utf-8"))
    assert set(re.findall(r"/var/lib/\S+", block)) == {configured["store"]}
    # systemd takes each of the settings in a unit, too.
    made = tmp_path / "run.service"
    made.write_text("\n".join(["[Service]", f"ExecStart={root}/usr/bin/bellwether", *said]),
                    encoding="utf-8")
    judged = subprocess.run(["systemd-analyze", "verify", "--man=no", made], capture_output=True,
                            text=True, check=False)
    assert judged.returncode == 0 and not judged.stderr, judged.stderr


def test_every_command_has_its_page(root):
    pages = {page.name for page in (root / "usr/share/man/man1").iterdir()}
    shown = run("--help").stdout
    commands = re.findall(r"^  ([a-z]+)  ", shown.split("Commands:")[1], re.MULTILINE)
    commands.remove("help")
    assert len(commands) > 20
    assert {f"bellwether-{command}.1.gz" for command in commands} <= pages
    script = (root / "usr/share/bash-completion/completions/bellwether").read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
