"""Answers that are cut, all thought, refused for an option, or no list."""

import json

import pytest

from jaxvlm import captioning
from jaxvlm.captioning import openai_backend
from jaxvlm.captioning.request import Request
from tests.captioning.server import Reply, completion, serve

ATOMS = ("smoke plume", "flying debris", "film crew")
REQUEST = Request("model-1", captioning.build_prompt(ATOMS), max_new_tokens=10)


def cut(content, **message):
    """An answer that ended for its length."""
    value = json.loads(completion(content, **message).body)
    value["choices"][0]["finish_reason"] = "length"
    return Reply(json.dumps(value).encode())


def captioned(reply, root, out, **options):
    """The captions, and what was asked of the server as (options, times)."""
    with serve(reply) as server:
        options = {"backoff": 0.001, "retries": 1, "concurrency": 1} | options
        ask = openai_backend.openai_backend(REQUEST, base_url=server.url, **options)
        result = captioning.caption_frames(root, out, ATOMS, request=REQUEST, ask=ask)
    bodies = [asked.body for asked in server.asked]
    for body in bodies:
        del body["messages"], body["model"]
    return result, bodies


def for_the_first(answer, good):
    """A reply function: ``answer(n)`` for the first picture, ``good`` for the others."""
    seen = []

    def reply(asked, n):
        seen.append(asked.picture)
        return answer(n) if asked.picture == seen[0] else good

    return reply


CUT = {
    "torn phrase": cut("ATOMS: smoke plume; flying debris; film cr"),
    "repeats": cut("ATOMS: " + "smoke plume; " * 40 + "smoke pl"),
    "thought": cut("<think>I must answer in the form ATOMS: smoke plume; film crew. But the smoke"),
    "reasoning field": cut(None, reasoning_content="The picture shows smoke plume"),
    "empty beside reasoning": cut("", reasoning="The picture"),
    "no content": completion(None, reasoning="The picture shows"),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_cut_answer_is_asked_for_with_more_tokens(make_frames, tmp_path, kind):
    def reply(asked, n):
        return completion("ATOMS: film crew") if asked.body["max_tokens"] >= 40 else CUT[kind]

    root, out = make_frames({"v": 2}), tmp_path / "c.json"
    result, asked = captioned(reply, root, out)
    # The second frame profits from what was found out with the first.
    assert [body["max_tokens"] for body in asked] == [10, 40, 40]
    assert result.failures == []
    assert {tuple(entry["atoms"]) for entry in json.loads(out.read_text()).values()} == {
        ("film crew",)
    }


@pytest.mark.parametrize("kind", CUT)
def test_what_stays_cut_is_reported_and_counts_for_nothing(make_frames, tmp_path, kind):
    reply = for_the_first(lambda n: CUT[kind], completion("ATOMS: none"))
    result, asked = captioned(reply, make_frames({"v": 2}), tmp_path / "c.json")
    (failure,) = result.failures
    assert "at 160 tokens; raise --max_new_tokens" in failure and "\n" not in failure
    assert ("content: null" in failure) == (kind == "no content")
    assert [body["max_tokens"] for body in asked] == [10, 40, 160, 10]
    assert result.frames == 1 and result.phrases_matched == 0


def test_a_server_that_wants_other_options(make_frames, tmp_path):
    """OpenAI's newer models."""

    def refusal(parameter, message):
        error = {"message": message, "param": parameter, "code": "unsupported_parameter"}
        return Reply(json.dumps({"error": error}).encode(), 400)

    def reply(asked, n):
        if "max_tokens" in asked.body:
            told = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return refusal("max_tokens", told)
        if "temperature" in asked.body:
            return refusal("temperature", "'temperature' does not support 0 with this model.")
        return completion("ATOMS: smoke plume")

    result, asked = captioned(reply, make_frames({"v": 3}), tmp_path / "c.json")
    assert result.failures == [] and result.phrases_matched == 3
    first, second, *others = asked
    assert first == {"max_tokens": 10, "temperature": 0}
    assert second == {"max_completion_tokens": 10, "temperature": 0}
    assert others == [{"max_completion_tokens": 10}] * 3
    result, asked = captioned(
        lambda asked, n: reply(asked, n), make_frames({"w": 9}), tmp_path / "d.json", concurrency=4
    )
    assert result.failures == []


def test_an_option_that_is_refused_for_good_ends_in_a_line(make_frames, tmp_path):
    bad = Reply(b'{"error": "temperature and max_completion_tokens are wrong"}', 400)
    good = completion("ATOMS: none")
    reply = for_the_first(lambda n: bad, good)
    result, asked = captioned(reply, make_frames({"v": 2}), tmp_path / "c.json")
    assert len(asked) == 3 and "status 400: temperature and" in result.failures[0]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("I'm unable to assist with that request.", "no list in the answer: I'm unable"),
        ("抱歉，我无法协助处理该请求。", "no list in the answer: 抱歉"),
        ("A road.\nNothing happens on it.", "no list in the answer: A road. Nothing"),
        ("<think>ATOMS: smoke plume", "a thought without an answer; raise --max_new_tokens"),
        ("<think>ATOMS: smoke plume</think>\n", "the answer is empty"),
    ],
)
def test_what_is_no_list_is_a_failure(make_frames, tmp_path, content, cause):
    given = iter([content, "ATOMS: film crew"])
    result, _ = captioned(
        lambda asked, n: completion(next(given)), make_frames({"v": 2}), tmp_path / "c.json"
    )
    (failure,) = result.failures
    assert cause in failure
    assert result.frames == 1 and result.phrases_matched == 1
