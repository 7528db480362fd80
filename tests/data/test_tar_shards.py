"""Tars of pictures: read in place, by any thread; and tars that are cut off, odd or hostile."""

import hashlib
import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from jaxvlm.data import image_sets, images, tar_shards
from jaxvlm.errors import InputError
from tests.listing import visible


def png(seed, side=8):
    """A picture's bytes, and its pixels."""
    rgb = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "png")
    return buffer.getvalue(), rgb


def write_tar(path, members, **options):
    """members: (name, content) pairs; a TarInfo in place of the name is taken as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def shards(folder):
    """Two shards as WebDataset writes them, three samples each, with labels."""
    for shard in range(2):
        members = []
        for sample in range(3):
            key = f"{shard}{sample:03d}"
            members += [
                (f"{key}.cls", str(sample % 2).encode()),
                (f"{key}.png", png(key_seed(key))[0]),
            ]
        write_tar(folder / f"{shard:06d}.tar", members)
    return folder


def key_seed(key):
    return int(key) + 1


def names(image_set):
    return [path.relative_to(image_set.root).as_posix() for path in image_set.paths]


def test_a_folder_of_shards(tmp_path):
    found = image_sets.read_image_set(shards(tmp_path / "set"))
    assert (found.name, found.root) == ("set", tmp_path / "set")
    assert names(found) == [f"{s:06d}.tar/{s}{n:03d}.png" for s in range(2) for n in range(3)]
    assert found.labels == ("0", "1", "0") * 2
    for path in found.paths:
        np.testing.assert_array_equal(images.read_image(path), png(key_seed(path.stem))[1])
    alone = image_sets.read_image_set(tmp_path / "set" / "000001.tar")
    assert alone.name == "000001" and alone.paths == found.paths[3:]


def test_every_thread_reads_its_own(tmp_path):
    paths = image_sets.read_image_set(shards(tmp_path)).paths * 20
    with ThreadPoolExecutor(8) as pool:
        for path, code in zip(paths, pool.map(images.read_bytes, paths), strict=True):
            assert code == png(key_seed(path.stem))[0]


def test_labels_in_json_and_masks_beside_pictures(tmp_path):
    members = []
    for n, record in enumerate(({"label": 7}, {"caption": "x", "class_name": "dog"}, {"cls": 0})):
        members += [
            (f"a/{n}.json", json.dumps(record).encode()),
            (f"a/{n}.mask.png", png(0)[0]),
            (f"a/{n}.png", png(n)[0]),
        ]
    found = image_sets.read_image_set(write_tar(tmp_path / "s.tar", members))
    assert names(found) == ["s.tar/a/0.png", "s.tar/a/1.png", "s.tar/a/2.png"]
    assert found.labels == ("7", "dog", "0")


def test_a_tar_without_labels_and_what_is_no_picture(tmp_path):
    link, folder = tarfile.TarInfo("link.png"), tarfile.TarInfo("folder.png")
    link.type, link.linkname, folder.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.DIRTYPE
    members = [
        ("b/2.v1.JPG", png(2)[0]),
        (link, b""),
        (folder, b""),
        ("b/._2.png", b"of macOS"),
        ("readme.txt", b"hello"),
        ("b/1.png", b"an older one"),
        ("b/1.png", png(1)[0]),
    ]
    found = image_sets.read_image_set(write_tar(tmp_path / "s.tar", members))
    assert names(found) == ["s.tar/b/2.v1.JPG", "s.tar/b/1.png"] and found.labels is None
    np.testing.assert_array_equal(images.read_image(found.paths[1]), png(1)[1])
    with pytest.raises(InputError, match="s.tar has no member link.png; check"):
        images.read_bytes(tmp_path / "s.tar" / "link.png")


def test_names_that_lead_out_of_the_tar_lead_nowhere(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"not for the reader")
    members = [
        ("../secret.png", png(0)[0]),
        (f"{tmp_path}/secret.png", png(1)[0]),
        ("./a/../../x.png", png(2)[0]),
    ]
    shard = write_tar(tmp_path / "set" / "s.tar", members)
    found = image_sets.read_image_set(shard)
    inside = (tmp_path / "secret.png").relative_to("/").as_posix()
    assert names(found) == ["s.tar/secret.png", f"s.tar/{inside}", "s.tar/a/x.png"]
    for n, path in enumerate(found.paths):
        assert images.read_bytes(path) == png(n)[0]
    with pytest.raises(InputError, match="no member"):
        images.read_bytes(shard / ".." / "secret.png")
    assert visible(tmp_path / "set") == ["s.tar"]


@pytest.mark.parametrize("keep", ["half a member", "half a header", "no end"])
def test_a_cut_off_shard_keeps_its_whole_samples_and_is_reported(tmp_path, keep):
    shards(tmp_path)
    shard = tmp_path / "000001.tar"
    content = shard.read_bytes()
    index = tar_shards.read_index(shard)
    offset, size = index.members["1001.png"]
    following = offset + -(-size // 512) * 512  # the header of 1002.cls
    length = {"half a member": offset + 10, "half a header": following + 100, "no end": following}
    shard.write_bytes(content[: length[keep]])
    found = image_sets.read_image_set(tmp_path)
    assert names(found)[3:] == ["000001.tar/1000.png", "000001.tar"]
    assert found.labels[3:] == ("0", "")
    with pytest.raises(InputError, match="000001.tar: cut off or damaged after 2 members") as error:
        images.read_image(found.paths[-1])
    assert "\n" not in str(error.value) and str(error.value).endswith("; download it again")
    assert image_sets.content_hashes(found.paths[-2:]) == [
        hashlib.sha256(png(key_seed("1000"))[0]).hexdigest(),
        None,
    ]


def test_a_damaged_header_in_the_middle_is_no_silent_end(tmp_path):
    shards(tmp_path)
    shard = tmp_path / "000000.tar"
    content = bytearray(shard.read_bytes())
    at = content.index(b"0002.cls")
    content[at : at + 4] = b"xxxx"  # the checksum no longer holds
    shard.write_bytes(content)
    assert "damaged after 2 members" in tar_shards.read_index(shard).damage
    assert names(image_sets.read_image_set(tmp_path))[:2] == ["000000.tar/0000.png", "000000.tar"]


def test_files_that_are_no_tars(tmp_path):
    shards(tmp_path / "set")
    (tmp_path / "set" / "000002.tar").write_bytes(b"<html>404</html>")
    found = image_sets.read_image_set(tmp_path / "set")
    assert names(found)[-1] == "000002.tar" and found.labels[-1] == ""
    with pytest.raises(InputError, match="000002.tar: not an uncompressed tar"):
        images.read_bytes(found.paths[-1])
    with pytest.raises(InputError, match="000002.tar: not an uncompressed tar"):
        image_sets.read_image_set(tmp_path / "set" / "000002.tar")
    with tarfile.open(tmp_path / "z.tar", "w:gz") as archive:
        archive.add(tmp_path / "set" / "000000.tar", "1.png")
    with pytest.raises(InputError, match="unpack .tar.gz to .tar"):
        image_sets.read_image_set(tmp_path / "z.tar")
    with pytest.raises(InputError, match="a tar, not a picture"):
        images.read_image(tmp_path / "set" / "000000.tar")
    with pytest.raises(InputError, match="e.tar: no picture in it"):
        image_sets.read_image_set(write_tar(tmp_path / "e.tar", [("a.txt", b"")]))


def test_sets_that_cannot_be(tmp_path):
    members = [("0.cls", b"1"), ("0.png", png(0)[0]), ("1.png", png(1)[0])]
    with pytest.raises(InputError, match=r"s.tar/1.png: has no label \(.cls or .json\) and others"):
        image_sets.read_image_set(write_tar(tmp_path / "s.tar", members))
    with pytest.raises(InputError, match=r"t.tar/0.json: not valid JSON"):
        write_tar(tmp_path / "t.tar", [("0.json", b"{"), ("0.png", png(0)[0])])
        image_sets.read_image_set(tmp_path / "t.tar")
    (tmp_path / "loose.png").write_bytes(png(0)[0])
    with pytest.raises(InputError, match=r"holds pictures and tars \("):
        image_sets.read_image_set(tmp_path)


def test_a_shard_that_was_replaced_is_read_anew(tmp_path):
    shard = write_tar(tmp_path / "s.tar", [("0.png", png(0)[0])])
    assert images.read_bytes(shard / "0.png") == png(0)[0]
    write_tar(shard, [("first.png", png(5)[0]), ("0.png", png(1)[0])])
    assert images.read_bytes(shard / "0.png") == png(1)[0]


def test_duplicates_between_a_folder_and_a_tar(tmp_path):
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "mine.png").write_bytes(png(1)[0])
    write_tar(tmp_path / "ood" / "s.tar", [("0.png", png(0)[0]), ("copy.png", png(1)[0])])
    sets = [image_sets.read_image_set(tmp_path / name) for name in ("id", "ood")]
    (copy,) = image_sets.duplicates(sets)
    assert copy.ood_path == tmp_path / "ood" / "s.tar" / "copy.png"
    sample = image_sets.sample(sets[1], max_images=1)
    assert len(sample.paths) == 1 and sample.paths[0] in sets[1].paths


def test_long_names_and_both_formats(tmp_path):
    long = "/".join(["d" * 60] * 3) + "/" + "ü" * 60 + ".png"
    for name in ("USTAR", "GNU", "PAX"):
        chosen = long if name != "USTAR" else "d" * 90 + "/" + "u" * 60 + ".png"
        shard = write_tar(
            tmp_path / f"{name}.tar",
            [(chosen, png(0)[0])],
            format=getattr(tarfile, f"{name}_FORMAT"),
        )
        (path,) = image_sets.read_image_set(shard).paths
        assert images.read_bytes(path) == png(0)[0]
