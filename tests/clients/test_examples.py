"""The programs of examples/clients, made and run by the commands of their own documents."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from glob import glob
from pathlib import Path
from tempfile import mkdtemp

import grpc
import pytest
from bellwether.v1 import scoring_pb2 as api
from certificates import Authority, openssl
from fronts import Front, Gate, lose_the_answer, refuse, wait_for_another
from server import REPOSITORY, Server
from test_browser import Pages, told_by_browser
from test_keys import Key
from test_languages import NODE, generate, need

EXAMPLES = REPOSITORY / "examples" / "clients"
SHELL = re.compile(r"^```sh$(.+?)^```$", re.MULTILINE | re.DOTALL)
TENANT = "acme"
[SHOWN] = re.findall(r"^```text\n(.+?)^```$", (EXAMPLES / "README.md").read_text(encoding="utf-8"),
                     re.MULTILINE | re.DOTALL)
# What each program prints when `ann` asks her first question, and when the event is sent again.
SCORED = SHOWN.removesuffix("visit: APPLIED\ncomment: APPLIED\n")
SCORED_BEFORE = SCORED.replace("APPLIED", "DUPLICATE")
NO_TYPE = """\
: INVALID_ARGUMENT: events[0].type is required; say what was done, such as "purchase"
  events[0].type: is required; say what was done, such as "purchase"
"""
SECONDS = 300
JARS = ["geronimo-annotation-1.3-spec", "grpc-api", "grpc-context", "grpc-core", "grpc-netty",
        "grpc-protobuf", "grpc-protobuf-lite", "grpc-stub", "gson", "guava", "netty-buffer",
        "netty-codec", "netty-codec-http", "netty-codec-http2", "netty-common", "netty-handler",
        "netty-resolver", "netty-tcnative", "netty-transport", "perfmark-api",
        "proto-google-common-protos", "protobuf", "protobuf-util"]


class Example:
    """A program, made and run by the commands of its README."""

    def __init__(self, name, heading, models, hedges=False, **environment):
        self.name, self.heading, self.hedges = name, heading, hedges
        self.models = f"bellwether/v1/{models}"
        self.environment = environment
        readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
        *self.makes, self.runs = SHELL.findall(readme)

    def make(self, work):
        """Makes the client and the program, as at the root of the repository."""
        self.work = work
        work.mkdir(exist_ok=True)
        (work / "proto").symlink_to(REPOSITORY / "proto")
        (work / "node_modules").symlink_to(NODE)
        shutil.copytree(EXAMPLES, work / "examples" / "clients")
        (work / "client").mkdir()
        need(self.name)
        made = generate(work, self.heading, **self.environment)
        assert any(file.endswith(self.models) for file in made), "no client of the other service"
        self.prepare()
        for command in self.makes:
            done = self.shell(command)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def prepare(self):
        """What libraries ask for that come from Debian."""
        if self.name == "go":
            # They are found by their place: no module is fetched.
            (self.work / "go").mkdir()
            (self.work / "go" / "src").symlink_to(self.work / "client")
            self.environment["GOPATH"] = f"{self.work}/go:/usr/share/gocode"
        elif self.name == "java":
            # Netty looks for its TLS by another name.
            [library] = glob("/usr/lib/*/jni/libnetty-tcnative.so")
            shutil.copy(library, self.work / "client" / "libnetty_tcnative.so")

    def shell(self, command, *arguments, **environment):
        return subprocess.run(["sh", "-ec", command, "sh", *arguments], cwd=self.work,
                              capture_output=True, text=True, encoding="utf-8", timeout=SECONDS,
                              check=False, env=os.environ | self.environment | environment)

    def run(self, address, environment, *arguments):
        """Runs the program as documented, but with these arguments."""
        assert self.runs.endswith(" ann visit comment\n")
        command = self.runs.replace(" ann visit comment", ' "$@"')
        return self.shell(command, *arguments, **environment,
                          BELLWETHER_TARGET=address.replace("127.0.0.1", "localhost"))


PROGRAMS = [
    Example("python", "Python", "model_pb2_grpc.py",
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
    Example("go", "Go", "model_grpc.pb.go", GO111MODULE="off", GOFLAGS="", GRPC_GO_RETRY="on"),
    Example("java", "Java", "ModelServiceGrpc.java", hedges=True,
            CLASSPATH=":".join(f"/usr/share/java/{name}.jar" for name in JARS),
            JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -Djava.library.path=client"),
    Example("typescript", "TypeScript with ts-proto", "model.ts", hedges=True),
]


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda program: program.name)
def example(request, tmp_path_factory):
    request.param.make(tmp_path_factory.mktemp(request.param.name))
    return request.param


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.server()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "keys.toml"


@pytest.fixture(scope="module")
def trusted(authority):
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes())


def tls(certificate):
    """The settings of a server with this certificate."""
    return {"BELLWETHER_TLS_CERT": str(certificate.certificate),
            "BELLWETHER_TLS_KEY": str(certificate.key)}


@pytest.fixture
def server(tmp_path, keys, certificate, trusted, environment):
    """A server that speaks TLS and asks for keys."""
    settings = tls(certificate) | {"BELLWETHER_KEYS": str(keys)}
    with Server(tmp_path / "store", settings=settings, credentials=trusted) as running:
        yield running


@pytest.fixture(scope="module")
def environment(authority, keys):
    """What a program is told, beside the address."""
    secret = Key(keys, TENANT, "writer").made["secret"]
    return {"BELLWETHER_CA": str(authority.certificate), "BELLWETHER_TOKEN": secret,
            "BELLWETHER_TENANT": TENANT}


@pytest.fixture
def front(server, certificate):
    """A front of the server, with its certificate."""
    pair = [(certificate.key.read_bytes(), certificate.certificate.read_bytes())]
    with Front(grpc.ssl_server_credentials(pair), server.channel) as running:
        yield running


def test_an_example_scores_reads_and_sends(example, server, environment):
    types = ["visit", "comment", "", *["share"] * 200]
    done = example.run(server.address, environment, "ann", *types)
    assert done.returncode == 0, done.stderr
    assert done.stdout == SHOWN + NO_TYPE + "share: APPLIED\n" * 200


def test_an_example_says_what_is_wrong_with_a_key_and_an_event(example, server, environment):
    nobody = environment | {"BELLWETHER_TOKEN": "bellwether_nobody"}
    for told, profile, parts in [
            (nobody, "ann", ["UNAUTHENTICATED: ", "key"]),
            (environment, "", ["INVALID_ARGUMENT: ", "\n  event.profile_id: is required"])]:
        done = example.run(server.address, told, profile)
        assert done.returncode == 1 and done.stdout == ""
        assert all(part in done.stderr for part in parts), done.stderr


def test_an_example_waits_for_a_server_that_is_down(example, server, environment):
    with Gate(server.address, refusals=1) as gate:
        done = example.run(gate.address, environment, "ann", "visit")
    assert (done.returncode, done.stdout) == (0, SCORED + "visit: APPLIED\n"), done.stderr
    assert gate.refused == 1


def test_an_example_sends_again_what_it_may(example, front, environment):
    delay = 0.5
    front.faults["ScoreEvent"].extend([
        lose_the_answer, refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, delay)])
    front.faults["GetProfile"].append(
        wait_for_another if example.hedges else refuse(grpc.StatusCode.UNAVAILABLE))
    front.faults["ScoreEvents"].append(refuse(grpc.StatusCode.UNAVAILABLE))
    done = example.run(front.address, environment, "ann", "visit")
    # The first attempt has counted.
    assert (done.returncode, done.stdout) == (0, SCORED_BEFORE + "visit: APPLIED\n"), done.stderr
    _, exhausted, again = front.attempts["ScoreEvent"]
    assert again - exhausted >= delay
    # On a busy machine a third one is asked before the second has answered.
    assert len(front.attempts["GetProfile"]) in ((2, 3) if example.hedges else (2,))
    assert len(front.attempts["ScoreEvents"]) == 2


@pytest.mark.parametrize(("code", "retry_seconds"), [
    ("ABORTED", 1), ("RESOURCE_EXHAUSTED", None), ("RESOURCE_EXHAUSTED", 3_600)])
def test_an_example_does_not_send_again_what_it_may_not(example, front, environment, code,
                                                        retry_seconds):
    front.faults["ScoreEvent"].append(refuse(grpc.StatusCode[code], retry_seconds))
    done = example.run(front.address, environment, "ann")
    assert (done.returncode, done.stdout) == (1, "")
    told = f"  retry after {retry_seconds}000 ms\n" if retry_seconds else ""
    assert done.stderr.endswith(f"{code}: as the test wants it\n{told}")
    assert list(front.attempts) == ["ScoreEvent"] and len(front.attempts["ScoreEvent"]) == 1


def test_an_example_says_why_its_stream_has_ended(example, front, environment):
    front.faults["ScoreEvents"].append(refuse(grpc.StatusCode.ABORTED))
    done = example.run(front.address, environment, "ann", *["visit"] * 200)
    assert (done.returncode, done.stdout) == (1, SCORED)
    assert done.stderr.endswith("ABORTED: as the test wants it\n")


def test_an_example_makes_no_more_events_than_the_server_has_room_for(example, front, environment):
    front.pause = 1.1
    types = [str(number) * 50_000 for number in range(10, 30)]
    done = example.run(front.address, environment, "ann", *types)
    assert done.returncode == 0, done.stderr
    first, *_, last = [api.ScoreEventsRequest.FromString(request).events[0].time.ToDatetime()
                       for request in front.streamed]
    assert last - first >= timedelta(seconds=1)


# Fills in the form and sends it, and tells what the page shows when it can be sent again.
VISITOR = """
<script type="module">
  const { model, ...texts } = FILLED;
  const form = document.querySelector("form");
  for (const [name, text] of Object.entries(texts)) form.elements[name].value = text;
  if (model) {
    const chosen = new DataTransfer();
    chosen.items.add(new File([model], "model.toml"));
    form.elements.model.files = chosen.files;
  }
  const button = document.querySelector("button");
  new MutationObserver(() => {
    const body = document.querySelector("pre").textContent;
    if (!button.disabled) fetch("/told", { method: "POST", body });
  }).observe(button, { attributeFilter: ["disabled"] });
  form.requestSubmit();
</script>
"""


class Page(Example):
    """The page, with a server of pages that shows it."""

    def make(self, work):
        need("typescript")
        self.makes.append(self.runs)
        super().make(work)

    def show(self, pages, pin, **filled):
        """What the page shows in the end to who fills in its form."""
        site = self.work / "client" / "page"
        shown = (site / "index.html").read_text(encoding="utf-8")
        shown += VISITOR.replace("FILLED", json.dumps(filled))
        (site / "visited.html").write_text(shown, encoding="utf-8")
        return told_by_browser(pages, "visited.html", mkdtemp(dir=self.work),
                               f"--ignore-certificate-errors-spki-list={pin}")


def pin_of(certificate):
    """What a browser is told to trust a certificate by that no authority of its own has signed."""
    public = openssl("x509", "-in", certificate.certificate, "-noout", "-pubkey")
    der = base64.b64decode("".join(public.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_the_page_scores_reads_compares_and_sends_again(tmp_path, certificate, trusted):
    page = Page("browser", "TypeScript with protobuf-es", "model_pb.ts")
    page.make(tmp_path / "work")
    keys = tmp_path / "keys.toml"
    keys.write_text("[quotas.slow]\ncalls_per_second = 1\n", encoding="utf-8")
    secret = Key(keys, "*", "admin").made["secret"]
    model = (REPOSITORY / "models" / "forum.toml").read_text(encoding="utf-8")
    with Pages(tmp_path / "work" / "client" / "page") as pages:
        settings = tls(certificate) | {"BELLWETHER_KEYS": str(keys),
                                       "BELLWETHER_CORS_ORIGINS": pages.origin}
        with Server(tmp_path / "store", settings=settings, credentials=trusted) as server:
            def shown(to=server, **filled):
                filled = {"server": f"https://{to.address}", "token": secret} | filled
                return page.show(pages, pin_of(certificate), **filled)

            dearer = model.replace("{ engagement = 6 }", "{ engagement = 7 }")
            compared = shown(tenant="acme", model=dearer)
            assert compared.startswith(SCORED), compared
            assert "\n  engagement: 1 would rise, 0 would fall\n" in compared, compared
            # The second call waits until the quota has room for it.
            assert shown(tenant="slow") == SCORED
            # A browser itself connects once more.
            with Gate(server.address, refusals=3) as gate:
                assert shown(gate, tenant="late") == SCORED
                assert gate.refused == 3
            wrong = shown(token="bellwether_nobody")
            assert wrong.startswith("Unauthenticated: ") and "key" in wrong
            assert "\n  event.profile_id: is required" in shown(profile="")
