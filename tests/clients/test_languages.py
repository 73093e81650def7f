"""Clients in other languages: made by the commands of docs/clients.md, compiled, and run.

Each sends an event to a real server, reads the profile and decodes an error. C# alone does not:
its libraries and the plugin for its stubs are on NuGet, and Debian, PyPI and npm do not have
them. So the messages in C# are made and parsed. Go, Java and TypeScript with ts-proto do so in
test_examples.py.
"""

import os
import re
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

import pytest
from server import REPOSITORY, Server

CALLERS = REPOSITORY / "tests" / "clients" / "languages"
NODE = REPOSITORY / ".venv" / "node" / "node_modules"
SECTIONS = re.findall(r"^## (.+?)$(.+?)(?=^## |\Z)",
                      (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8"),
                      re.MULTILINE | re.DOTALL)
COMMANDS = {heading: found[1] for heading, section in SECTIONS
            if (found := re.search(r"^```sh$(.+?)^```$", section, re.MULTILINE | re.DOTALL))}
TOOLS = [line.split() for line in (CALLERS / "tools.txt").read_text(encoding="utf-8").splitlines()
         if not line.startswith("#")]
# The files of the public API, and what is made of each.
FILES = sorted(file.stem for file in (REPOSITORY / "proto/public/bellwether/v1").glob("*.proto"))
# What each caller prints: the event's signals and new stage, the profile, the code and the field.
STORY = """\
scored asked,looks_for_a_tool contributor
read 1 contributor
refused 3 profile_id
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def work(tmp_path):
    """A directory that has what the commands expect in the repository, and an empty `client/`."""
    (tmp_path / "proto").symlink_to(REPOSITORY / "proto")
    (tmp_path / "node_modules").symlink_to(NODE)
    (tmp_path / "client").mkdir()
    return tmp_path


def need(language):
    """Fails with what to install where a tool of the language is missing."""
    missing = [f"{tool} of Debian's package {package}" for of, tool, package in TOOLS
               if of == language and not (glob(tool) if tool.startswith("/") else shutil.which(tool))]
    assert not missing, f"missing: {', '.join(missing)}"


def run(work, *command, **environment):
    """Runs a command to its end, and returns what it prints."""
    done = subprocess.run([*map(str, command)], cwd=work, env=os.environ | environment,
                          capture_output=True, text=True, encoding="utf-8", timeout=300,
                          check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


def generate(work, language, **environment):
    """Makes the client by the command that is documented, and returns the files."""
    run(work, "sh", "-ec", COMMANDS[language], **environment)
    return {str(path.relative_to(work / "client")) for path in (work / "client").rglob("*.*")
            if path.is_file()}


def test_every_documented_language_is_tried():
    # Calls without a client are tried in test_connect.py.
    others = {"Without a generated client"}
    assert sorted(set(COMMANDS) - others) == [
        "C#", "Go", "Java", "Python", "Ruby", "TypeScript with protobuf-es",
        "TypeScript with ts-proto"]


def test_c_sharp_as_far_as_it_can_be_parsed(work):
    need("c#")
    assert generate(work, "C#") == {f"Bellwether/V1/{name.title()}.cs" for name in FILES}
    run(work, "mcs", "--parse", *(work / "client").rglob("*.cs"))


def test_typescript_with_protobuf_es(work, server):
    need("typescript")
    assert NODE.is_dir(), "missing: the packages of npm, which `make test-clients` installs"
    made = generate(work, "TypeScript with protobuf-es")
    assert {f"bellwether/v1/{name}_pb.ts" for name in FILES} <= made
    for file in ("package.json", "tsconfig.json", "protobuf_es.ts"):
        shutil.copy(CALLERS / file, work)
    run(work, "node_modules/.bin/tsc")
    assert run(work, "node", "built/protobuf_es.js", server.address) == STORY


def test_python(work):
    """Its calls are what the other tests here make."""
    made = generate(work, "Python", PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    modules = [f"{name}_{kind}" for name in FILES for kind in ("pb2", "pb2_grpc")]
    assert made == {f"bellwether/v1/{module}.py" for module in modules}
    run(work, sys.executable, "-c",
        f"from bellwether.v1 import {', '.join(modules)}", PYTHONPATH="client")


def test_ruby(work, server):
    need("ruby")
    made = generate(work, "Ruby")
    services = [f"{name}_services" for name in FILES]
    assert made == {f"bellwether/v1/{name}_pb.rb" for name in FILES + services}
    for name in services:
        run(work, "ruby", "-I", "client", "-e", f"require 'bellwether/v1/{name}_pb'")
    assert run(work, "ruby", "-I", "client", CALLERS / "first.rb", server.address) == STORY
