"""What messages show of a source: never a user, a password, a token or a key."""

import pytest

from jaxvlm.data import sources, streams
from jaxvlm.errors import InputError

CLOSED = "127.0.0.1:9"  # nothing listens there

# The source, and what of it may be shown.
FORMS = [
    (f"rtsp://admin:hunter2@{CLOSED}/ch1", f"rtsp://{CLOSED}/…"),
    (f"rtsp://hunter2@{CLOSED}/ch1", f"rtsp://{CLOSED}/…"),
    (f"rtsp://admin:hun@ter2@{CLOSED}/ch1", f"rtsp://{CLOSED}/…"),
    (f"rtsp://admin:hun:ter2@{CLOSED}/ch1", f"rtsp://{CLOSED}/…"),
    (f"rtsp://ad@min:hunter2@{CLOSED}", f"rtsp://{CLOSED}"),
    (f"rtsp://admin:hun/ter2@{CLOSED}/ch1", "rtsp://…"),
    (f"rtsp://admin:hun/t@er2@{CLOSED}/ch1", "rtsp://…"),
    (f"rtsp://admin:hun?ter2@{CLOSED}/ch1", "rtsp://…"),
    (f"rtsp://admin:hun#ter2@{CLOSED}/ch1", "rtsp://…"),
    (f"rtsp://admin:h@un/ter2@{CLOSED}/ch1", "rtsp://…"),
    (f"rtsp://admin:hun%40ter2@{CLOSED}/ch1", f"rtsp://{CLOSED}/…"),
    (f"rtsp://admin%3Ahunter2%40{CLOSED}/ch1", "rtsp://…"),
    ("rtsp://admin:hunter2@[::1]:554/ch1", "rtsp://[::1]:554/…"),
    (f"RTSPS://admin:hunter2@{CLOSED}/", f"rtsps://{CLOSED}"),
    (f"http://{CLOSED}/video?user=admin&pwd=hunter2", f"http://{CLOSED}/…"),
    (f"http://{CLOSED}?token=hunter2", f"http://{CLOSED}/…"),
    (f"http://{CLOSED}/video#token=hunter2", f"http://{CLOSED}/…"),
    (f"http://{CLOSED}/video?token=x@hunter2", "http://…"),
    (f"http://{CLOSED}/video;jsessionid=hunter2", f"http://{CLOSED}/…"),
    (f"https://admin:hunter2@{CLOSED}/a.m3u8?sig=hunter2#hunter2", f"https://{CLOSED}/…"),
    (f"rtmp://{CLOSED}/app/hunter2", f"rtmp://{CLOSED}/…"),
    (f"rtmp://{CLOSED}/app playpath=x token=hunter2", f"rtmp://{CLOSED}/…"),
    (f"rtmps://{CLOSED} token=hunter2", "rtmps://…"),
    (f"srt://{CLOSED}?passphrase=hunter2&streamid=#!::u=hunter2", f"srt://{CLOSED}/…"),
    (f"udp://@{CLOSED}?localaddr=hunter2", f"udp://{CLOSED}/…"),
    (f"tcp://hunter2@{CLOSED}", f"tcp://{CLOSED}"),
    (f"tls://{CLOSED}?key=hunter2", f"tls://{CLOSED}/…"),
    ("http://admin:hunter2@ho st/x", "http://…"),
    ("http://admin:hunter2", "http://…"),
    ("http://admin:hunter2\\@host/x", "http://host/…"),
    ("rtsp:/admin:hunter2@camera/ch1", "rtsp:…"),
    ("rtsp:admin:hunter2@camera/ch1", "…"),
    ("admin:hunter2@camera/ch1", "…"),
    ("camera/video?token=hunter2", "…"),
    ("file://admin:hunter2@localhost/missing.mp4", "file://localhost/…"),
    ("unknown+scheme://admin:hunter2@camera/ch1", "unknown+scheme://camera/…"),
]  # fmt: skip


@pytest.mark.parametrize("source, shown", FORMS)
def test_a_secret_is_never_shown(source, shown):
    assert sources.shown_source(source) == shown
    assert not [part for part in ("hun", "ter2", "er2", "admin") if part in shown]


@pytest.mark.parametrize("source", [s for s, _ in FORMS if CLOSED in s and not s[:3] == "udp"])
def test_no_message_tells_a_secret(source, capfd):
    said = []
    with pytest.raises(InputError) as error:
        next(streams.source_frames(source, reconnect=1, say=said.append))
    text = " ".join([str(error.value), *said, *capfd.readouterr()])
    assert str(error.value).startswith(f"{sources.shown_source(source)}: ")
    assert not [part for part in ("hunter2", "hun", "ter2", "admin", "er2@") if part in text], text
    assert "\n" not in str(error.value) and error.value.__cause__ is None


@pytest.mark.parametrize("source", ["rtsp:/admin:hunter2@h/1", "admin:hunter2@h/1", "h?a=hunter2"])
def test_what_is_no_source_tells_none_either(source):
    with pytest.raises(InputError, match="no such file") as error:
        streams.is_live(source)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "source, cause",
    [
        ("http://admin:hunter2@[::1/x", "names no host"),
        ("http://", "names no host"),
        ("http://admin:hunter2@/x", "names no host"),
        (f"http://admin:hunter2@{CLOSED}99999/x", "names no host|cannot be reached"),
        ("lavfi://hunter2", "not a protocol that is opened; take one of http, https, rtsp"),
        ("concat://admin:hunter2@h/x", "not a protocol that is opened"),
    ],
)
def test_what_is_no_address_is_one_line(source, cause):
    with pytest.raises(InputError, match=cause) as error:
        next(streams.source_frames(source))
    assert "hunter2@" not in str(error.value) and "\n" not in str(error.value)


def test_files_and_cameras_are_shown_as_they_are(tmp_path):
    video = tmp_path / "a:b@c?d=e.mp4"
    video.write_bytes(b"")
    for source in (str(video), "0", "/dev/video0", "missing.mp4"):
        assert sources.shown_source(source) == source
    assert sources.shown_source("admin/secret@10.0.0.1/ch") == "…@10.0.0.1/ch"  # no scheme
    assert sources.file_of(f"file://{video}") == video
    assert sources.file_of("0") is None and sources.file_of("/dev/video0") is None


@pytest.mark.parametrize(
    "url, reason",
    [
        ("https://cam.example/b.ts", None),
        ("https://CAM.example.:8443/b.ts", None),
        ("https://cdn.example/b.ts", None),
        ("https://sub.cam.example/b.ts", "host sub.cam.example"),
        ("https://127.0.0.1/b.ts", "host 127.0.0.1"),
        ("https://cam.example@evil.example/b.ts", "host evil.example"),
        ("https://evil.example#@cam.example/b.ts", "host evil.example"),
        ("http://cam.example/b.ts", "not encrypted"),
        ("file:///etc/passwd", "only http and https"),
        ("concat:https://cam.example/b.ts", "only http and https"),
        ("/etc/passwd", "only http and https"),
        ("crypto+https://cam.example/b.ts", "encrypted"),
        ("https://cam.example\\@evil.example/b.ts", None),  # requests asks cam.example, too
        ("https://evil.example\\@cam.example/b.ts", "host evil.example"),
        ("https://[", "host …"),
    ],
)
def test_where_a_source_may_lead(url, reason):
    named = sources.site("https://cam.example/a.m3u8", ["CDN.example"])
    found = sources.refusal(url, named)
    assert found is None if reason is None else reason in found
