"""Downloads from a local server that stalls, drops, truncates, redirects and sends wrong bytes."""
from __future__ import annotations

import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from layerwise.errors import InputError, LayerwiseError
from layerwise.fetch import fetch

CONTENT = bytes(range(256)) * 2000
SHA1 = hashlib.sha1(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Paths name the fault; `log` records (path, Range header)."""

    log: list = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        self.log.append((self.path, asked))
        fault = self.path.strip("/")
        if fault == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if fault == "missing":
            self.send_error(404)
            return
        if fault == "busy":
            self.send_error(503)
            return
        begin = int(asked[6:-1]) if asked and fault != "norange" else 0
        if begin >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[begin:] if fault != "wrong" else b"x" * len(CONTENT)
        self.send_response(206 if asked and fault != "norange" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        first_time = [entry[0] for entry in self.log].count(self.path) == 1
        if fault in ("drop", "norange") and first_time:
            body = body[:len(body) // 3]
        elif fault == "truncate":
            body = body[:1000]
        elif fault == "stall":
            self.wfile.write(body[:5000])
            self.wfile.flush()
            time.sleep(1.0)
            return
        self.wfile.write(body)


@pytest.fixture
def server():
    Server.log = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def get(target, *mirrors):
    fetch(target, SHA1, mirrors, timeout=0.3, progress=False)


@pytest.mark.parametrize("fault", ["good", "moved", "drop", "norange"])
def test_the_file_arrives(server, tmp_path, fault):
    get(tmp_path / "data" / "file", f"{server}/{fault}")
    assert (tmp_path / "data" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["file"]


def test_a_dropped_transfer_goes_on_where_it_broke_off(server, tmp_path):
    get(tmp_path / "file", f"{server}/drop")
    assert Server.log == [("/drop", None), ("/drop", f"bytes={len(CONTENT) // 3}-")]


def test_a_later_call_resumes(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:77])
    get(tmp_path / "file", f"{server}/good")
    assert Server.log == [("/good", "bytes=77-")]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_complete_part_needs_no_transfer(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    get(tmp_path / "file", f"{server}/good")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("part, asked", [
    (b"x" * 77, "bytes=77-"), (b"x" * len(CONTENT), f"bytes={len(CONTENT)}-")],
    ids=["begun", "long enough"])
def test_a_part_of_another_file_is_not_the_mirrors_fault(server, tmp_path, part, asked):
    (tmp_path / "file.part").write_bytes(part)
    get(tmp_path / "file", f"{server}/good")
    assert Server.log == [("/good", asked), ("/good", None)]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("part, times", [(b"", 1), (b"x" * 77, 2)], ids=["whole", "resumed"])
def test_a_wrong_file_is_asked_for_again_only_where_it_was_resumed(server, tmp_path, part, times):
    (tmp_path / "file.part").write_bytes(part)
    with pytest.raises(LayerwiseError, match="/wrong: sent a file with SHA-1"):
        get(tmp_path / "file", f"{server}/wrong")
    assert len(Server.log) == times


def test_the_next_mirror_takes_over(server, tmp_path):
    get(tmp_path / "file", f"{server}/missing", f"{server}/wrong", f"{server}/good")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("fault, reason", [
    ("missing", "HTTP 404"), ("busy", "HTTP 503"), ("wrong", "sent a file with SHA-1"),
    ("truncate", "broke off after 3000 of"), ("stall", "timed out")])
def test_failure_says_why_and_leaves_no_finished_file(server, tmp_path, fault, reason):
    with pytest.raises(LayerwiseError, match=reason) as caught:
        get(tmp_path / "file", f"{server}/{fault}")
    assert "--mirror URL, or put the file at" in str(caught.value)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").exists() == (fault in ("truncate", "stall"))


def test_an_unreachable_server_is_said(tmp_path):
    with pytest.raises(LayerwiseError, match="could not be fetched .*refused"):
        get(tmp_path / "file", "http://127.0.0.1:9/file")


def connecting(monkeypatch, *failures):
    """Let connections fail in these ways before they succeed; gives the list of attempts."""
    connect, attempts = socket.create_connection, []

    def fail_first(*arguments, **options):
        attempts.append(arguments)
        if len(attempts) <= len(failures):
            raise failures[len(attempts) - 1]
        return connect(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", fail_first)
    return attempts


@pytest.mark.parametrize("failure", [
    socket.timeout("timed out"), TimeoutError(110, "Connection timed out"),
    ConnectionResetError(104, "Connection reset by peer"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")],
    ids=repr)
def test_what_may_pass_is_tried_again(server, tmp_path, monkeypatch, failure):
    attempts = connecting(monkeypatch, failure, failure)
    get(tmp_path / "file", f"{server}/good")
    assert len(attempts) == 3
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("failure", [
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    OSError(113, "No route to host")], ids=repr)
def test_what_stays_is_not_tried_again(server, tmp_path, monkeypatch, failure):
    attempts = connecting(monkeypatch, failure)
    with pytest.raises(LayerwiseError, match=failure.strerror):
        get(tmp_path / "file", f"{server}/good")
    assert len(attempts) == 1


def test_a_handshake_without_answer_is_tried_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(LayerwiseError, match="timed out"):
            get(tmp_path / "file", f"https://127.0.0.1:{silent.getsockname()[1]}/file")
        silent.setblocking(False)
        for _ in range(3):
            silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_another_file_of_that_name_is_kept(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists and its SHA-1 is not"):
        get(tmp_path / "file", "http://127.0.0.1:9/file")
    assert (tmp_path / "file").read_bytes() == b"mine"
