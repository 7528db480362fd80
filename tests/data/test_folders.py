"""Folders as pictures and features are looked for in them, with links."""

import os

import numpy as np
import pytest
from PIL import Image

from jaxvlm.data import feature_files, image_sets
from jaxvlm.data.folders import files_below
from jaxvlm.errors import InputError


@pytest.fixture
def linked(tmp_path):
    """in/cat, in/dog -> elsewhere/dog, whose sub-folder leads back; hidden files and folders."""
    for place in ("in/cat/sub", "in/.hidden", "elsewhere/dog"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "in" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (tmp_path / "elsewhere" / "dog" / "back").symlink_to(tmp_path / "in")
    return tmp_path


def put(tmp_path, write):
    for place in ("in/cat/sub/b", "in/cat/.c", "in/.hidden/d", "elsewhere/dog/a"):
        write(tmp_path / place)


def test_every_file_is_found_once(linked):
    put(linked, lambda path: path.write_text(""))
    found = [path.relative_to(linked / "in").as_posix() for path in files_below(linked / "in")]
    assert found == ["cat/sub/b", "dog/a"]
    (linked / "in" / "gone").symlink_to(linked / "nowhere")
    assert linked / "in" / "gone" in list(files_below(linked / "in"))


def test_class_folders_that_are_links_have_their_pictures(linked):
    put(linked, lambda path: Image.new("RGB", (4, 4)).save(path.with_name(f"{path.name}.png")))
    (linked / "elsewhere" / "dog" / "back").unlink()  # else its pictures are dogs, too
    found = image_sets.read_image_set(linked / "in")
    assert list(found.labels) == ["cat", "dog"]


def test_features_in_linked_folders_are_found(linked):
    put(linked, lambda path: np.save(path, np.eye(3, dtype=np.float32)))
    (linked / "elsewhere" / "dog" / "a.npy").rename(linked / "elsewhere" / "dog" / "e.npy")
    assert list(feature_files.list_features(linked / "in")) == ["cat/sub/b", "dog/e"]


def test_a_folder_that_cannot_be_listed(linked, monkeypatch):
    put(linked, lambda path: path.write_text(""))
    listing = os.scandir

    def scandir(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="cat: cannot be listed"):
        list(files_below(linked / "in"))
    told = []
    assert [path.name for path in files_below(linked / "in", told.append)] == ["a"]
    assert len(told) == 1
