"""Texts looked for in a rendered folder: against a slow form, and what a user's folder brings."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

from jaxvlm import clip
from jaxvlm.arrays import unit
from jaxvlm.errors import InputError
from jaxvlm.ood.queries import NEAR, OFFSET, SHARE
from jaxvlm.pictures import queries, query_search
from jaxvlm.pictures.embedded import embedded_set
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.sets import read_set

ASKED = ["dog", "boat", "a bench in a forest", "violin"]
WORDS = ["tree", "road", "chair", "beach", "umbrella", "kite", "cloud", "Boat", "puppy", "car"]


@pytest.fixture(scope="module")
def pictures(benchmark):
    return read_set(str(benchmark / "id_rare"))


@pytest.fixture(scope="module")
def find(encoder, settings, pictures):
    def found(asked=ASKED, image_set=pictures, words=WORDS, **options):
        given = Words(None, words)
        return queries.match_folder(encoder, image_set, asked, given, settings(), **options)

    return found


@pytest.fixture(scope="module")
def found(find):
    return find()


@pytest.fixture(scope="module")
def rows(encoder, pictures):
    pixels = clip.preprocess(encoder.model, list(pictures.paths))
    return unit(np.asarray(clip.encode_images(encoder.model, pixels)))


def slow_scores(encoder, config, rows):
    """[N, Q] in float64; each query beside words in its own form."""
    scale, model = config.negalign.logit_scale, encoder.model
    scores = []
    for query in ASKED:
        whole = query == "a bench in a forest"
        text = clip.embed_prompts(model, [query], ["{}"] if whole else config.prompt_set.nouns)[0]
        words = clip.embed_prompts(model, WORDS, ["a {}"] if whole else config.prompt_set.nouns)
        similar = words @ text
        limit = max(NEAR, np.sort(similar)[-len(WORDS) // 2 - 1])
        kept = (similar <= limit) & np.array([word.lower() != query for word in WORDS])
        words, similar = words[kept].astype(np.float64), similar[kept].astype(np.float64)
        own = scale - logsumexp(scale * similar)
        z = scale * rows @ text - logsumexp(scale * rows @ words.T, axis=1)
        scores.append(expit(z + OFFSET - SHARE * own))
    return np.stack(scores, axis=1)


def test_scores_are_those_of_a_slow_form(found, encoder, settings, pictures, rows):
    slow = pd.DataFrame(slow_scores(encoder, settings(), rows), columns=ASKED)
    names = [path.relative_to(pictures.root).as_posix() for path in pictures.paths]
    slow.index = names
    for query, own in found.matches.groupby("query", sort=False):
        np.testing.assert_allclose(own["score"], slow.loc[own["path"], query], atol=2e-3)
        best = slow[query].sort_values(ascending=False, kind="stable")
        assert len(own) == max(queries.LEAST, (slow[query] >= 0.5).sum())
        np.testing.assert_allclose(own["score"], best[: len(own)], atol=2e-3)
        assert list(own["rank"]) == list(range(1, len(own) + 1))
        assert (own["matches"] == np.where(own["score"] >= 0.5, "yes", "no")).all()
    table = found.queries.set_index("query")
    assert list(table.index) == ASKED
    assert (table["matches"] == (slow >= 0.5).sum()).all()
    assert (table["anything_matches"] == np.where(table["matches"] > 0, "yes", "no")).all()
    assert table.loc["dog", "compared_as"].startswith("a photo of a dog; ")
    assert table.loc["a bench in a forest", "compared_as"] == "a bench in a forest"


def test_a_picture_is_told_with_what_else_it_resembles(found, encoder, settings, rows, pictures):
    words = clip.embed_prompts(encoder.model, WORDS, settings().prompt_set.nouns)
    for row in found.matches.to_dict("records"):
        q = ASKED.index(row["query"])
        order = np.argsort(-(words @ rows[row["picture"]]))
        kept = [WORDS[m] for m in order if not found.texts.left_out[q, m]]
        assert row["nearest_negatives"].split("; ") == kept[: query_search.ELSE]
    matched = found.matches[found.matches["matches"] == "yes"].groupby("picture")["query"].agg(set)
    for row in found.matches.to_dict("records"):
        others = matched.get(row["picture"], set()) - {row["query"]}
        assert set(filter(None, row["other_queries"].split("; "))) == others


def test_neither_the_order_nor_another_query_changes_a_score(find, found):
    def scores(run):
        return run.matches.set_index(["query", "path"])["score"]

    turned = find(ASKED[::-1])
    assert list(turned.queries["query"]) == ASKED[::-1]
    pd.testing.assert_series_equal(
        scores(turned).sort_index(), scores(found).sort_index(), rtol=1e-4, atol=1e-6
    )
    more = scores(find([*ASKED, "bicycle", "a cow"]))
    pd.testing.assert_series_equal(
        more[more.index.isin(scores(found).index)], scores(found), rtol=1e-4, atol=1e-6
    )


def test_blocks_and_the_bound_of_the_list_change_no_rank(find, found, monkeypatch):
    monkeypatch.setattr(query_search, "_BLOCK", 3)
    again = find()
    columns = ["query", "rank", "path", "nearest_negatives", "other_queries"]
    pd.testing.assert_frame_equal(again.matches[columns], found.matches[columns])
    monkeypatch.setattr(query_search, "LISTED", 4)
    few = find(threshold=0.001)
    assert set(few.matches.groupby("query").size()) == {4}
    first = found.matches[found.matches["rank"] <= 4]
    assert list(few.matches["path"]) == list(first["path"])
    assert (few.queries["matches"] >= found.queries["matches"]).all()


def test_the_thing_is_found_and_what_is_not_there_is_not(find, benchmark):
    """The rendered world has boats on water; nobody drew a violin, a word that it does not know."""
    run = find(["boat", "guitar"], words=None)
    first = run.matches[run.matches["rank"] == 1].set_index("query")["path"]
    assert first["boat"].startswith("boat/") and first["guitar"].startswith("guitar/")
    strict = find(["boat"], words=None, threshold=0.99999999)
    assert strict.queries["anything_matches"].tolist() == ["no"]
    assert strict.lines(1, "out")[0].startswith("boat: nothing matches; nearest is boat/")
    assert "0 of 1 match something" in strict.rule


def test_a_bad_picture_is_told_and_the_rest_is_done(find, found, pictures, tmp_path):
    for path in pictures.paths:
        shutil.copy(path, tmp_path / f"{path.parent.name}_{path.name}")
    (tmp_path / "a_text.jpg").write_text("no picture")
    run = find(image_set=read_set(str(tmp_path)))
    (line,) = run.failures
    assert "a_text.jpg: not a readable picture" in line and run.record["unreadable"] == [line]
    assert len(run.paths) == len(pictures.paths)
    np.testing.assert_allclose(
        run.queries["best_score"], found.queries["best_score"], rtol=1e-4, atol=1e-6
    )


def test_pictures_may_be_embeddings(find, found, rows):
    run = find(image_set=embedded_set(3 * rows, "rows"))
    columns = ["query", "rank", "picture", "matches"]
    pd.testing.assert_frame_equal(run.matches[columns], found.matches[columns])
    assert run.encoding is None and run.matches["path"].iloc[0].isdigit() and run.warnings == []
    apart = np.linalg.svd(found.texts.rows)[2][-1]  # at right angles to all words
    run = find(image_set=embedded_set(np.stack([apart] * 3), "other"))
    assert any("may be of two encoders" in line for line in run.warnings)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1, 1.5])
def test_a_threshold_that_no_score_has_is_refused(find, threshold):
    with pytest.raises(InputError, match="scores lie between 0 and 1"):
        find(threshold=threshold)


def test_tables_are_written(found, tmp_path):
    queries.write_matches(tmp_path, found)
    assert list(pd.read_csv(tmp_path / "queries.csv")["query"]) == ASKED
    matches = pd.read_csv(tmp_path / "matches.csv")
    assert "picture" not in matches and len(matches) == len(found.matches)
    assert repr(found) == "QueryMatches(4 queries, 20 pictures)"
    assert found.to_pandas() is found.matches
