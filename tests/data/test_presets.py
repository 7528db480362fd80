"""The usual sets: the published layout is accepted, anything else is named in one line."""

import re

import pytest

from jaxvlm.data import presets
from jaxvlm.errors import InputError


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def classes(count, pattern="class_{}"):
    return [f"{pattern.format(i)}/1.jpg" for i in range(count)]


def below(folder, found):
    return [path.relative_to(folder).as_posix() for path in found.paths]


@pytest.mark.parametrize("prefix", ["val/", ""])
def test_imagenet(tmp_path, prefix):
    put(
        tmp_path, *(prefix + name for name in classes(1000, "n{:08d}")), prefix + "n00000007/2.JPEG"
    )
    found = presets.read_preset("imagenet1k", tmp_path)
    assert found.name == "imagenet1k" and len(found.paths) == 1001
    assert found.labels.count("n00000007") == 2 and len(set(found.labels)) == 1000


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["train/n01440764/1.JPEG"], "train is no class folder of this set"),
        (["val/ILSVRC2012_val_00000001.JPEG"], "val/: pictures such as ILSVRC2012_val_00000001"),
        (["val/n01440764/1.JPEG", "val/tench/1.JPEG"], "val/: tench is no class folder"),
        (["val/n01440764/1.JPEG"], "val/: 1 class folders instead of 1000"),
    ],
)
def test_what_is_no_imagenet(tmp_path, names, cause):
    put(tmp_path, *names)
    expected = re.escape("; imagenet1k is expected as val/<wnid>/*.JPEG, 1,000 folders such as n0")
    with pytest.raises(InputError, match=f"{tmp_path}: {cause}.*{expected}") as error:
        presets.read_preset("imagenet1k", tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "archive"), [("inaturalist", "iNaturalist"), ("sun", "SUN"), ("places", "Places")]
)
def test_the_subsets_of_mos(tmp_path, name, archive):
    put(tmp_path / archive, "images/2.jpg", "images/10.jpg", "class_list.txt")
    for root in (tmp_path, tmp_path / archive):
        found = presets.read_preset(name, root)
        assert below(tmp_path / archive / "images", found) == ["2.jpg", "10.jpg"]
        assert found.labels is None and found.name == name
    with pytest.raises(InputError, match=f"no folder images/; {name} is expected as images/"):
        presets.read_preset(name, tmp_path / archive / "images")


def test_a_flat_set_in_class_folders_is_refused(tmp_path):
    put(tmp_path, "images/forest/1.jpg")
    with pytest.raises(InputError, match="images/: no pictures in this folder; sun is expected"):
        presets.read_preset("sun", tmp_path)


def test_textures(tmp_path):
    put(tmp_path / "dtd", *(f"images/{name}" for name in classes(47)), "labels/train1.txt")
    for root in (tmp_path, tmp_path / "dtd"):
        found = presets.read_preset("textures", root)
        assert len(found.paths) == len(set(found.labels)) == 47
    put(tmp_path / "dtd", "images/stripy/1.jpg")
    with pytest.raises(InputError, match="images/: 48 class folders instead of 47; textures is"):
        presets.read_preset("textures", tmp_path / "dtd")


@pytest.mark.parametrize("prefix", ["NINCO_OOD_classes/", "NINCO/NINCO_OOD_classes/", "ninco/", ""])
def test_ninco(tmp_path, prefix):
    put(tmp_path, *(prefix + name for name in classes(64)))
    assert len(set(presets.read_preset("ninco", tmp_path).labels)) == 64


def test_ninco_is_not_its_unit_tests(tmp_path):
    put(tmp_path, "NINCO_OOD_unit_tests/noise/1.png", "NINCO_popular_datasets_subsamples/a/1.jpg")
    with pytest.raises(InputError, match="2 class folders instead of 64; ninco is expected"):
        presets.read_preset("ninco", tmp_path)


def test_openimage_o_whole_or_by_a_list(tmp_path):
    put(tmp_path, "openimage_o/images/b.jpg", "openimage_o/images/a.jpg")
    whole = presets.read_preset("openimage-o", tmp_path)
    assert below(tmp_path, whole) == ["openimage_o/images/a.jpg", "openimage_o/images/b.jpg"]
    listed = tmp_path / "lists" / "test_openimage_o.txt"
    put(tmp_path, "lists/test_openimage_o.txt")
    listed.write_text("openimage_o/images/b.jpg -1\n")
    part = presets.read_preset("openimage-o", tmp_path, list_file=listed)
    assert below(tmp_path, part) == ["openimage_o/images/b.jpg"]
    assert (part.name, part.labels) == ("openimage-o", ("-1",))


WATERBIRDS = """img_id,img_filename,y,split,place,place_filename
1,001.Albatross/a.jpg,1,0,1,/o/ocean/1.jpg
2,001.Albatross/b.jpg,1,2,0,/b/bamboo_forest/2.jpg
3,010.Blackbird/c.jpg,0,2,1,/o/ocean/3.jpg
4,010.Blackbird/d.jpg,0,1,0,/o/ocean/4.jpg
"""


@pytest.mark.parametrize("folder", ["", "waterbird_complete95_forest2water2"])
def test_waterbirds_gives_its_test_split(tmp_path, folder):
    root = put(tmp_path / folder, "001.Albatross/b.jpg", "010.Blackbird/c.jpg")
    (root / "metadata.csv").write_text(WATERBIRDS)
    found = presets.read_preset("waterbirds", tmp_path)
    assert below(root, found) == ["001.Albatross/b.jpg", "010.Blackbird/c.jpg"]
    assert found.labels == ("waterbird", "landbird")


def test_bad_waterbirds(tmp_path):
    with pytest.raises(InputError, match=r"no metadata.csv; waterbirds is expected as metadata"):
        presets.read_preset("waterbirds", tmp_path)
    table = tmp_path / "metadata.csv"
    table.write_text(WATERBIRDS)
    with pytest.raises(InputError, match="none of its 2 test pictures is here; waterbirds is"):
        presets.read_preset("waterbirds", tmp_path)
    table.write_text(WATERBIRDS.replace(",1,2,0,", ",1,test,0,"))
    with pytest.raises(InputError, match="metadata.csv: y other than 0, 1 or split other than"):
        presets.read_preset("waterbirds", tmp_path)
    table.write_text(WATERBIRDS.replace(",place,", ",where,"))
    with pytest.raises(InputError, match="metadata.csv: no column place; waterbirds is expected"):
        presets.read_preset("waterbirds", tmp_path)


def test_placesbg(tmp_path):
    put(tmp_path, "placesbg/land/1.jpg", "placesbg/water/2.jpg")
    for root in (tmp_path, tmp_path / "placesbg"):
        assert presets.read_preset("placesbg", root).labels == ("land", "water")
    put(tmp_path, "placesbg/indoor/1.jpg")
    with pytest.raises(InputError, match="placesbg/: indoor is no class folder of this set"):
        presets.read_preset("placesbg", tmp_path)


def test_unknown_names_and_folders(tmp_path):
    with pytest.raises(InputError, match="imagenet: unknown image set; use one of imagenet1k, "):
        presets.read_preset("imagenet", tmp_path)
    with pytest.raises(InputError, match="gone: no such folder; sun is expected as images/"):
        presets.read_preset("sun", tmp_path / "gone")
    for name in presets.PRESETS:
        with pytest.raises(InputError) as error:
            presets.read_preset(name, tmp_path)
        assert "\n" not in str(error.value) and str(error.value).startswith(str(tmp_path))


@pytest.mark.parametrize("prefix", ["ssb_hard/", ""])
def test_ssb_hard(tmp_path, prefix):
    put(tmp_path, *(f"{prefix}{wnid}/{wnid}_1.JPEG" for wnid in ("n00470682", "n13771404")))
    found = presets.read_preset("ssb-hard", tmp_path)
    assert found.labels == ("n00470682", "n13771404") and found.name == "ssb-hard"
    put(tmp_path, f"{prefix}dogs/1.JPEG")
    with pytest.raises(InputError, match="dogs is no class folder of this set; ssb-hard is expect"):
        presets.read_preset("ssb-hard", tmp_path)


@pytest.mark.parametrize("prefix", ["imagenetv2-matched-frequency-format-val/", "imagenet_v2/", ""])
def test_imagenet_v2(tmp_path, prefix):
    put(tmp_path, *(prefix + name for name in classes(1000, "{}")))
    found = presets.read_preset("imagenet-v2", tmp_path)
    assert found.labels == tuple(map(str, range(1000)))  # folder 10 behind 9, not behind 1


def test_imagenet_r(tmp_path):
    put(tmp_path / "imagenet-r", *classes(200, "n{:08d}"), "README.txt")
    assert len(presets.read_preset("imagenet-r", tmp_path).paths) == 200
    put(tmp_path / "imagenet-r", "n00000999/1.jpg")
    with pytest.raises(InputError, match="201 class folders instead of 200; imagenet-r is exp"):
        presets.read_preset("imagenet-r", tmp_path)


def test_imagenet_c_has_its_classes_below_corruption_and_severity(tmp_path):
    names = [
        f"{c}/{s}/n0000000{k}/{k}.JPEG" for c in ("fog", "snow") for s in (1, 2) for k in (7, 8)
    ]
    put(tmp_path / "imagenet_c", *names, "other/1/n00000007/1.JPEG", "list.txt")
    for root in (tmp_path, tmp_path / "imagenet_c"):
        found = presets.read_preset("imagenet-c", root)
        assert below(tmp_path / "imagenet_c", found) == names
        assert found.labels == ("n00000007", "n00000008") * 4 and found.name == "imagenet-c"
    put(tmp_path / "imagenet_c", "fog/n00000007.JPEG")
    with pytest.raises(InputError, match="fog"):
        presets.read_preset("imagenet-c", tmp_path)


def test_imagenet_es_leaves_its_references_out(tmp_path):
    shots = [
        "auto_exposure/l1/param_1/n00000007/a.JPEG",
        "param_control/l5/param_27/n00000008/a.JPEG",
    ]
    put(tmp_path / "es-test", *shots, "sampled_tin_no_resize2/n00000007/a.JPEG")
    found = presets.read_preset("imagenet-es", tmp_path)
    assert below(tmp_path / "es-test", found) == shots
    assert found.labels == ("n00000007", "n00000008")


@pytest.mark.parametrize(
    ("name", "path", "cause"),
    [
        ("imagenet-c", "n00000007/1.JPEG", "none of the folders that the set has"),
        ("imagenet-c", "fog/1/dog/1.JPEG", "fog/1/dog/1.JPEG lies in no class folder"),
        ("imagenet-es", "es-test/l1/n00000007/1.JPEG", "none of the folders that the set has"),
    ],
)
def test_a_deep_set_of_another_layout_is_refused(tmp_path, name, path, cause):
    put(tmp_path, path)
    with pytest.raises(InputError, match=f"{cause}.*; {name} is expected as") as error:
        presets.read_preset(name, tmp_path)
    assert "\n" not in str(error.value)
