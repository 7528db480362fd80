"""HTTP sources against a server on this machine. ``localhost`` and ``127.0.0.1`` are two hosts."""

import base64
import functools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np
import pytest

from jaxvlm.data import connections, streams, videos
from jaxvlm.errors import InputError
from tests.data import encoded


class Server(ThreadingHTTPServer):
    """Answers from ``pages``: bytes, or a function of the request; ``asked`` has every request."""

    daemon_threads = True

    def __init__(self):
        self.pages, self.asked, self.stop = {}, [], threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path, host="localhost"):
        return f"http://{host}:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        host = self.headers["Host"].partition(":")[0]
        self.server.asked.append((host, self.path))
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.answer(404, b"")
        elif callable(page):
            page(self)
        else:
            start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            part = {"Content-Range": f"bytes {start}-{len(page) - 1}/{len(page)}"} if start else {}
            self.answer(206 if start else 200, page[start:], {"Accept-Ranges": "bytes"} | part)

    def answer(self, status, body, headers=None):
        try:
            self.send_response(status)
            for key, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has what it needs


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """25 frames at 10 per second: as mp4, its index at the end, and as transport streams."""
    folder = tmp_path_factory.mktemp("served")
    return {
        "/a.mp4": encoded.write(folder / "a.mp4"),
        "/a.ts": encoded.write(folder / "a.ts"),
        "/b.ts": encoded.write(
            folder / "b.ts", picture=lambda i: encoded.grey(25), times=range(2700, 5200, 100)
        ),
    }


@pytest.fixture
def pages(server, files):
    server.pages |= {path: file.read_bytes() for path, file in files.items()}
    return server.pages


def redirect(to, status=302):
    return lambda request: request.answer(status, b"", {"Location": to})


def playlist(*segments):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3"]
    for segment in segments:
        lines += ["#EXTINF:2.5,", segment]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def shown(source, **options):
    return [encoded.number(f.image) for f in streams.source_frames(source, fps=10, **options)]


@pytest.mark.parametrize("path", ["/a.mp4", "/a.ts"])
def test_a_file_by_http_is_the_file(server, pages, files, path):
    found = list(streams.source_frames(server.url(path), fps=10))
    expected = list(videos.frames(files[path], fps=10))
    assert len(found) == 25
    assert [f.time_seconds for f in found] == [f.time_seconds for f in expected]
    np.testing.assert_array_equal([f.image for f in found], [f.image for f in expected])


def test_redirects_stay_with_the_host(server, pages):
    pages["/same"] = redirect("/then?x=1")
    pages["/then"] = redirect(server.url("/a.ts"), 307)
    assert shown(server.url("/same")) == list(range(25))
    pages["/loop"] = redirect("/loop")
    with pytest.raises(InputError, match="more than 5 redirects"):
        shown(server.url("/loop"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(server, pages, status):
    pages["/away"] = redirect(server.url("/a.ts", "127.0.0.1"), status)
    with pytest.raises(InputError, match=r"it leads to the host 127\.0\.0\.1; allow it with"):
        shown(server.url("/away?token=secret"))
    assert {host for host, _ in server.asked} == {"localhost"}
    pages["/away2"] = redirect("file:///etc/passwd", status)
    with pytest.raises(InputError, match="only http and https"):
        shown(server.url("/away2"))


def test_a_host_may_be_allowed(server, pages):
    pages["/away"] = redirect(server.url("/a.ts", "127.0.0.1"))
    assert shown(server.url("/away"), allowed_hosts=["127.0.0.1"]) == list(range(25))


def test_a_playlist_of_the_same_host(server, pages):
    pages["/live/a.m3u8"] = playlist("../a.ts", server.url("/b.ts"))
    assert shown(server.url("/live/a.m3u8")) == [*range(25), *[25] * 25]
    pages["/master.m3u8"] = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive/a.m3u8\n"
    assert len(shown(server.url("/master.m3u8"))) == 50


HOSTILE = {
    "segment": lambda other, secret: playlist("a.ts", other),
    "first segment": lambda other, secret: playlist(other),
    "file": lambda other, secret: playlist("a.ts", f"file://{secret}"),
    "path": lambda other, secret: playlist(str(secret)),
    "concat": lambda other, secret: playlist(f"concat:{other}|{secret}"),
    "crypto": lambda other, secret: playlist(f"crypto+{other}"),
    "variant": lambda other, secret: b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n" + other.encode(),
    "key": lambda other, secret: playlist("a.ts").replace(
        b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="' + other.encode() + b'"\n#EXTINF', 1
    ),
    "map": lambda other, secret: playlist("a.ts").replace(
        b"#EXTINF", b'#EXT-X-MAP:URI="' + other.encode() + b'"\n#EXTINF', 1
    ),
    "redirected": lambda other, secret: playlist("hop.ts"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_playlist_reaches_no_other_host_and_no_file(server, pages, files, kind):
    other = server.url("/b.ts", "127.0.0.1")
    pages["/x.m3u8"] = HOSTILE[kind](other, files["/b.ts"])
    pages["/hop.ts"] = redirect(other)
    frames = []
    with pytest.raises(InputError) as error:
        for frame in streams.source_frames(server.url("/x.m3u8"), fps=10):
            frames.append(encoded.number(frame.image))
    assert {host for host, _ in server.asked} == {"localhost"}
    assert set(frames) <= set(range(25))  # nothing of b.ts
    assert str(error.value).startswith(server.url("/…"))


def test_an_unguarded_reader_does_reach_it(server, pages):
    """What the guard is for."""
    pages["/x.m3u8"] = playlist(server.url("/b.ts", "127.0.0.1"))
    with av.open(server.url("/x.m3u8")) as container:
        next(container.decode(video=0))
    assert ("127.0.0.1", "/b.ts") in server.asked


def test_user_and_password_are_sent_to_the_host_alone(server, pages, files):
    def guarded(request):
        given = request.headers.get("Authorization")
        seen.append((request.headers["Host"].partition(":")[0], given))
        if given is None:
            request.answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        else:
            request.answer(200, files["/a.ts"].read_bytes())

    seen = []
    pages["/a.ts"] = guarded
    url = server.url("/a.ts").replace("//", "//ad%40min:pa%2Fss@")
    assert shown(url) == list(range(25))
    assert seen[-1][1] == "Basic " + base64.b64encode(b"ad@min:pa/ss").decode()
    seen.clear()
    pages["/away"] = redirect(server.url("/a.ts", "127.0.0.1"))
    with pytest.raises(InputError, match="the server answers 401"):
        shown(url.replace("/a.ts", "/away"), allowed_hosts=["127.0.0.1"])
    assert seen and set(seen) == {("127.0.0.1", None)}


def test_digest_authentication(server, pages, files):
    def guarded(request):
        given = request.headers.get("Authorization", "")
        if 'username="admin"' in given and given.startswith("Digest") and "secret" not in given:
            request.answer(200, files["/a.ts"].read_bytes())
        else:
            request.answer(401, b"", {"WWW-Authenticate": 'Digest realm="x", nonce="y"'})

    pages["/a.ts"] = guarded
    assert shown(server.url("/a.ts").replace("//", "//admin:secret@")) == list(range(25))


@pytest.mark.parametrize(
    "path, cause",
    [
        ("/nothing", "the server answers 404"),
        ("/text", "cannot be opened"),
        ("/ffconcat", "cannot be opened"),
    ],
)
def test_what_is_no_stream_is_one_line(server, pages, path, cause):
    pages["/text"] = b"<html>hello</html>" * 100
    pages["/ffconcat"] = f"ffconcat version 1.0\nfile {server.url('/a.ts')}\n".encode()
    with pytest.raises(InputError, match=cause) as error:
        shown(server.url(path))
    assert "\n" not in str(error.value) and str(error.value).startswith(server.url("/…"))


def test_a_cameras_jpegs(server, pages):
    """Motion JPEG as cameras send it: parts of one endless answer, without times."""

    def camera(request):
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for i in range(6):
            code = cv2.imencode(".jpg", encoded.grey(i))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(code)}\r\n\r\n"
            request.wfile.write(head.encode() + code + b"\r\n")
            request.server.stop.wait(0.05)
        request.close_connection = True

    pages["/mjpg"] = camera
    numbers = []
    with pytest.raises(InputError, match="no more frames; check the source, or allow --reconnect"):
        for _, image in connections.pictures(server.url("/mjpg")):
            numbers.append(encoded.number(image))
    assert numbers == list(range(6))


def test_a_server_that_stops_sending_is_lost(server, pages, files, monkeypatch):
    monkeypatch.setattr(connections, "_TIMEOUT", 1.0)
    data = files["/a.ts"].read_bytes()

    def stalls(request):
        request.send_response(200)
        request.send_header("Content-Length", str(10 * len(data)))
        request.end_headers()
        request.wfile.write(data)
        request.server.stop.wait(20)

    pages["/stalls"] = stalls
    found = []
    with pytest.raises(InputError, match="no answer for 1 s"):
        for frame in streams.source_frames(server.url("/stalls"), fps=10):
            found.append(encoded.number(frame.image))
    assert found[:20] == list(range(20))


def test_a_connection_that_breaks_is_made_again(server, pages, files):
    data = files["/a.ts"].read_bytes()

    def breaks(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        request.close_connection = True  # no last chunk

    pages["/live"] = breaks
    said, pauses = [], []
    frames = streams.source_frames(
        server.url("/live?key=secret"), fps=1, reconnect=1, pause=pauses.append, say=said.append
    )
    found = []
    with pytest.raises(InputError, match="enough seen"):
        for frame in frames:
            found.append(frame.index)
            if len(found) > 8:
                raise InputError("enough seen")
    assert pauses and all("secret" not in line for line in said)
    assert found == sorted(set(found)) and len(found) > 3
