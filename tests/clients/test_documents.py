"""The Python of README.md and docs/how-to.md, run as it stands there against a real server.

The blocks of a document are run one after the other, as one program. A block of `text` after one
of `python` is what it prints. `tests/command_line/documents.rs` runs the blocks of the shell.
"""

import contextlib
import io
import re

import pytest
from server import REPOSITORY, Server

BLOCK = re.compile(r"^```(\w+)$(.+?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:50051"


@pytest.mark.parametrize("document, model", [
    ("README.md", "models/forum.toml"),
    ("docs/how-to.md", "models/social.toml"),
])
def test_the_python_of_a_document_prints_what_it_shows(document, model, tmp_path):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    names, printed, ran, compared = {}, None, 0, 0
    with Server(tmp_path, REPOSITORY / model) as server:
        for language, content in BLOCK.findall(text):
            if language == "python":
                output = io.StringIO()
                with contextlib.redirect_stdout(output):
                    exec(content.replace(ADDRESS, server.address), names)
                printed, ran = output.getvalue(), ran + 1
            else:
                if language == "text" and printed is not None:
                    assert content.lstrip("\n") == printed
                    compared += 1
                printed = None
    assert ran > 0 and compared > 0
