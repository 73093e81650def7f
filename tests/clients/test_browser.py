"""Calls from Node, and from a page in a real browser whose origin is not the server's."""

import json
import queue
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from server import Server
from test_languages import CALLERS, generate, need, run, work  # noqa: F401 (a fixture)

LIBRARIES = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"]
SECONDS = 120
STORY = ("scored asked,looks_for_a_tool contributor; read 1 contributor; refused 3 profile_id; "
         "compared 1")


def compile_client(work, *sources, project):  # noqa: F811
    generate(work, "TypeScript with protobuf-es")
    for file in ("package.json", project, *sources):
        shutil.copy(CALLERS / file, work)
    run(work, "node_modules/.bin/tsc", "-p", project)


def test_node_calls_by_every_protocol_and_version_of_http(work, tmp_path_factory):  # noqa: F811
    need("typescript")
    compile_client(work, "story.ts", "connect_node.ts", project="tsconfig.json")
    with Server(tmp_path_factory.mktemp("server") / "store") as server:
        printed = run(work, "node", "built/connect_node.js", server.address)
    told = dict(line.split(": ", 1) for line in printed.splitlines())
    assert set(told) == {"connect-1.1-json", "connect-1.1-binary", "connect-2-json",
                         "connect-2-binary", "grpc-web-1.1", "grpc-web-2", "grpc-2"}
    for name, story in told.items():
        assert story == f"{STORY}; streamed 3", name


class Pages(ThreadingHTTPServer):
    """A server of pages: whatever stands in a directory, and what the page has to tell."""

    def __init__(self, directory):
        self.told = queue.Queue()
        pages = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(directory))

            def translate_path(self, path):
                # TypeScript leaves out what its modules end with.
                found = super().translate_path(path)
                is_module = urlsplit(path).path.startswith("/built/") and not found.endswith(".js")
                return f"{found}.js" if is_module else found

            def do_POST(self):
                length = int(self.headers["content-length"])
                pages.told.put(self.rfile.read(length).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *failure):
        self.shutdown()
        super().__exit__(*failure)


def page(work):  # noqa: F811
    """A page that loads the caller, and tells it where its libraries are."""
    imports = {}
    for library in LIBRARIES:
        exports = json.loads((work / "node_modules" / library / "package.json").read_text())["exports"]
        for name, found in exports.items():
            file = found["import"]
            file = file if isinstance(file, str) else file["default"]
            imports[library + name[1:]] = f"/node_modules/{library}/{file[2:]}"
    script = json.dumps({"imports": imports})
    return (f'<!doctype html><script type="importmap">{script}</script>'
            '<script type="module" src="/built/page.js"></script>')


def told_by_browser(pages, path, profile, *flags):
    """Opens a page, and returns what it tells."""
    browser = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", f"--user-data-dir={profile}", *flags, f"{pages.origin}/{path}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return pages.told.get(timeout=SECONDS)
    finally:
        browser.kill()
        browser.wait()


def told_by_transport(pages, server, profile):
    """What the page tells of each transport."""
    told = told_by_browser(pages, f"page.html?server=http://{server.address}", profile)
    return dict(line.split(": ", 1) for line in told.splitlines())


@pytest.fixture
def site(work):  # noqa: F811
    need("typescript")
    need("browser")
    compile_client(work, "story.ts", "page.ts", project="tsconfig.page.json")
    (work / "page.html").write_text(page(work), encoding="utf-8")
    return work


def test_a_page_of_a_listed_origin_calls_and_one_of_another_does_not(site, tmp_path_factory):
    directory = tmp_path_factory.mktemp("browser")
    with Pages(site) as listed, Pages(site) as other:
        settings = {"BELLWETHER_CORS_ORIGINS": listed.origin, "BELLWETHER_CONNECT_GET": "true"}
        with Server(directory / "store", settings=settings) as server:
            told = told_by_transport(listed, server, directory / "profile")
            assert told == {name: STORY for name in
                            ("connect-json", "connect-binary", "connect-get", "grpc-web")}
            told = told_by_transport(other, server, directory / "other_profile")
            assert set(told.values()) == {"Failed to fetch"}
