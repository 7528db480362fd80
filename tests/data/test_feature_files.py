"""Features of videos as others save them: files, crops, one file of many, published lists."""

import numpy as np
import pytest
import safetensors.numpy
import torch

from jaxvlm.data.feature_files import is_kept, list_features, listed, read_rows
from jaxvlm.errors import InputError
from tests.video.runs import unit

RNG = np.random.default_rng(0)


def rows_of(path, **options):
    (video,) = list_features(path).values()
    return read_rows(video, **options)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt", ".parquet"])
def test_a_file_per_video_in_any_format(tmp_path, suffix):
    rows = (9 * RNG.normal(size=(7, 4))).astype(np.float16)
    path = tmp_path / "Abuse" / f"Abuse028_x264{suffix}"
    path.parent.mkdir()
    match suffix:
        case ".npy":
            np.save(path, rows)
        case ".npz":
            np.savez(path, features=rows, fps=30)
        case ".safetensors":
            safetensors.numpy.save_file({"image_features": rows}, path)
        case ".pt":
            torch.save(torch.from_numpy(rows), path)
        case ".parquet":
            pa = pytest.importorskip("pyarrow")
            from pyarrow import parquet

            parquet.write_table(pa.table({"features": list(rows.astype(np.float32))}), path)
    (tmp_path / ".hidden.npy").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no features")
    assert list(list_features(tmp_path)) == ["Abuse/Abuse028_x264"]
    found = rows_of(tmp_path, dimension=4)
    np.testing.assert_allclose(found.rows, unit(rows), atol=1e-6)
    assert found.rows.dtype == np.float32 and found.crops == 1
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    np.testing.assert_allclose(found.norms, [lengths.min(), lengths.max()], rtol=1e-6)


def test_ten_crops_are_one_video_by_their_mean_or_one_of_them(tmp_path):
    crops = RNG.normal(size=(10, 5, 4)) * RNG.uniform(1, 9, (10, 1, 1))
    for k, crop in enumerate(crops):
        np.save(tmp_path / f"a__{k}.npy", crop)
    (video,) = list_features(tmp_path).values()
    assert video.name == "a" and [part.crop for part in video.parts] == list(range(10))
    mean = unit(unit(crops).mean(axis=0))  # each counts the same, whatever its length
    np.testing.assert_allclose(read_rows(video).rows, mean, atol=1e-6)
    assert read_rows(video).crops == 10
    np.testing.assert_allclose(read_rows(video, crop=3).rows, unit(crops[3]), atol=1e-6)
    with pytest.raises(InputError, match="no crop 11 of it here, but 0, 1, 2"):
        read_rows(video, crop=11)
    np.save(tmp_path / "a__4.npy", crops[4, :3])
    with pytest.raises(InputError, match="crops of 3 to 5 rows"):
        read_rows(video)


@pytest.mark.parametrize("axis", [0, 1])
def test_crops_in_one_array_where_the_axis_is_certain(tmp_path, axis):
    crops = RNG.normal(size=(10, 7, 4))
    np.save(tmp_path / "a.npy", np.moveaxis(crops, 0, axis))
    mean = unit(unit(crops).mean(axis=0))
    np.testing.assert_allclose(rows_of(tmp_path).rows, mean, atol=1e-6)
    np.testing.assert_allclose(rows_of(tmp_path, crop=9).rows, unit(crops[9]), atol=1e-6)
    with pytest.raises(InputError, match="no crop 10, for it has 10"):
        rows_of(tmp_path, crop=10)


@pytest.mark.parametrize("shape", [(10, 5, 4), (7, 3, 4), (10, 10, 4), (4,), (2, 2, 2, 4)])
def test_another_shape_is_refused_by_it(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(InputError, match=r"a\.npy: shape \[.*\]; features are \[T, D\]"):
        rows_of(tmp_path)


def test_rows_that_cannot_be_features(tmp_path):
    path = tmp_path / "a.npy"
    rows = np.ones((3, 4), np.float32)
    for value, message in ((np.nan, "row 1 is NaN"), (0.0, "row 1 is zeros")):
        np.save(path, np.where(np.arange(3)[:, None] == 1, value, rows))
        with pytest.raises(InputError, match=message):
            rows_of(tmp_path)
    np.save(path, rows.astype(np.int32))
    with pytest.raises(InputError, match="int32; embeddings are floating-point"):
        rows_of(tmp_path)
    np.save(path, rows[:0])
    with pytest.raises(InputError, match="no row in it"):
        rows_of(tmp_path)
    np.save(path, rows)
    with pytest.raises(InputError, match="rows of 4 numbers; the texts have 512"):
        rows_of(tmp_path, dimension=512)
    np.savez(tmp_path / "b.npz", first=rows, second=rows)
    with pytest.raises(InputError, match="which array are the features"):
        read_rows(list_features(tmp_path)["b"])


def test_one_file_of_many_videos(tmp_path):
    path = tmp_path / "videos.safetensors"
    arrays = {f"v{k}.features": RNG.normal(size=(k, 4)) for k in (10, 9)}
    safetensors.numpy.save_file(arrays | {"v9.frame_labels": np.zeros(9, np.uint8)}, path)
    found = list_features(path)
    assert list(found) == ["v9", "v10"]
    np.testing.assert_allclose(read_rows(found["v9"]).rows, unit(arrays["v9.features"]), atol=1e-6)
    safetensors.numpy.save_file({"../v.features": arrays["v9.features"]}, path)
    with pytest.raises(InputError, match="cannot be a file's"):
        list_features(path)
    np.save(tmp_path / "alone.npy", arrays["v9.features"])
    assert list(list_features(tmp_path / "alone.npy")) == ["alone"]


def test_two_files_of_one_video_and_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no features in it"):
        list_features(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        list_features(tmp_path / "none")
    np.save(tmp_path / "a.npy", np.ones((1, 4)))
    np.savez(tmp_path / "a.npz", np.ones((1, 4)))
    with pytest.raises(InputError, match="which is a"):
        list_features(tmp_path)


def test_a_published_list_names_videos_by_their_files(tmp_path):
    for name in ("Abuse/Abuse001_x264__0", "Abuse/Abuse001_x264__1", "Normal/Normal_Videos_003"):
        path = tmp_path / "in" / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.ones((2, 4)))
    np.save(tmp_path / "in" / "Arson009_x264.npy", np.ones((2, 4)))
    table = tmp_path / "list.csv"
    table.write_text(
        "path,label\n/home/x/Abuse/Abuse001_x264__0.npy,Abuse\n"
        "/home/x/Abuse/Abuse001_x264__1.npy,Abuse\n/home/x/Normal_Videos_003_x264.npy,Normal\n"
        "/home/x/Robbery048_x264__0.npy,Robbery\n"
    )
    videos = list_features(tmp_path / "in")
    assert not is_kept(videos)
    found = listed(videos, table)
    assert found.events == {"Abuse/Abuse001_x264": ("Abuse",), "Normal/Normal_Videos_003": ()}
    assert list(found.videos) == list(found.events)
    assert [note.partition(": ")[2] for note in found.notes] == [
        "not found here: Robbery048",
        "not in it, so left out: Arson009_x264",
    ]
    table.write_text("path,label\n/home/x/Robbery048_x264__0.npy,Robbery\n")
    with pytest.raises(InputError, match="none of its 1 videos is here"):
        listed(videos, table)
    (tmp_path / "in" / "other").mkdir()
    np.save(tmp_path / "in" / "other" / "Abuse001_x264.npy", np.ones((2, 4)))
    table.write_text("path,label\nAbuse001_x264__0.npy,Abuse\n")
    with pytest.raises(InputError, match="Abuse001 may be Abuse/Abuse001_x264 or other"):
        listed(list_features(tmp_path / "in"), table)
