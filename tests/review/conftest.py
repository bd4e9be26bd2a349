"""A run with two cases that drifted for one cause and one that is new, its goldens, and a server on it."""

from __future__ import annotations

import dataclasses
import json
import threading
from http.client import HTTPConnection
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval.result.fields import InputImage
from xai_eval.review.allowed import Address
from xai_eval.review.desk import Desk
from xai_eval.review.server import open_server
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RunRecord

HOSTILE = '<script>document.title="hacked"</script><img src=x onerror=\'document.title="hacked"\'>"\'</script>'
SIDE = 32


def explained(name, row, **changed):
    image = InputImage(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
    hot = blob(row, 8, size=SIDE, width=10)
    return make_result(f"{name}.jpg", saliency=hot, fields={"image": image, **changed.pop("fields", {})}, **changed)


@pytest.fixture
def results():
    """The function that makes a result; test modules cannot import a conftest by name."""
    return explained


@dataclasses.dataclass(frozen=True)
class Place:
    """The folders of a run and of its goldens."""

    reports: object
    goldens: Goldens

    def save(self, *results):
        for result in results:
            result.save(self.reports / "results" / result.case.key)
        record = RunRecord(("cams",), ("file:nets.py:net",), ("photos",), len(results), finished=True)
        record.save(self.reports)

    @property
    def desk(self):
        return Desk(self.reports, self.goldens)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    made = Place(tmp_path / "reports", Goldens(tmp_path / "golden"))
    for name in ("a", "b"):
        made.goldens.store(explained(name, 8), "first golden")
    weights = {"weights": "c" * 64, "predicted": HOSTILE}
    made.save(*(explained(name, 24, **weights) for name in ("a", "b")), explained("new", 8))
    return made


@dataclasses.dataclass(frozen=True)
class Caller:
    """Sends requests to a server as any program can."""

    server: object
    told: list

    @property
    def base(self):
        return f"/{self.server.token}/"

    @property
    def host(self):
        return f"127.0.0.1:{self.server.address.port}"

    def elsewhere(self, sentence):
        """The caller of the server whose address a sentence at a terminal tells."""
        port, token = sentence.split("http://127.0.0.1:")[1].split("/")[:2]
        return Caller(SimpleNamespace(address=Address(int(port), token), token=token), [])

    def ask(self, method="GET", path=None, body=None, **headers):
        connection = HTTPConnection("127.0.0.1", self.server.address.port, timeout=600)
        connection.putrequest(method, self.base if path is None else path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": self.host, **headers}.items():
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    connection.putheader(name.replace("_", "-"), each)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer

    def document(self):
        """What the served page says that was seen."""
        page = self.ask()[1].decode()
        return json.loads(page.split('id="review-document">')[1].split("</script>")[0])

    def decision(self, kind="accept", names="a b new", **changed):
        chosen = [each for each in self.document()["cases"] if each["name"][13:-4] in names.split()]
        return {"kind": kind, "reason": "looked", "cases": {each["key"]: each["seen"] for each in chosen}, **changed}

    def send(self, decision, path=None, **headers):
        body = decision if isinstance(decision, bytes) else json.dumps(decision).encode()
        usual = {"Origin": f"http://{self.host}", "Content_Type": "application/json", "Content_Length": str(len(body))}
        where = self.base + "decide" if path is None else path
        status, content, _ = self.ask("POST", where, body, **{**usual, **headers})
        return status, json.loads(content)


@pytest.fixture
def serve(place):
    """A function that opens one more server on the run."""
    opened = []

    def one():
        told = []
        server = open_server(place.desk, told.append)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        opened.append((server, thread))
        return Caller(server, told)

    yield one
    for server, thread in opened:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def call(serve):
    return serve()
