"""A tiny random Qwen2.5-VL, saved and loaded as the published ones are.

The inputs are compared with those of transformers' own processor, the answers with a loop that
takes the likeliest token, one picture at a time, without padding and without a cache.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the extra 'captions' is not installed")

from transformers import (  # noqa: E402  (PyTorch may be absent)
    Qwen2_5_VLProcessor,
)

from jaxvlm import captioning  # noqa: E402
from jaxvlm.captioning import transformers_backend  # noqa: E402
from jaxvlm.captioning.request import Request  # noqa: E402
from jaxvlm.data import images  # noqa: E402
from jaxvlm.errors import InputError  # noqa: E402
from tests.captioning.tiny_qwen import TEMPLATE, write_qwen  # noqa: E402

PROMPT = "Which of these?\n- smoke plume\nATOMS:"
STEPS = 8
SIZES = ((56, 84), (112, 140), (60, 200), (90, 90))  # of frames: height, width


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads cost more than they give on so small a model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen")
    write_qwen(folder)
    return folder


@pytest.fixture(scope="module")
def request_(folder):
    return Request(str(folder), PROMPT, max_new_tokens=STEPS, max_pixels=28 * 28 * 12)


@pytest.fixture(scope="module")
def qwen(request_):
    return transformers_backend.load_qwen(request_)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in SIZES]


def test_the_prompt_has_the_models_form(qwen):
    assert qwen.text == (
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{PROMPT}<|im_end|>\n"
        f"<|im_start|>assistant\n"
    )


def test_inputs_are_those_of_the_models_own_processor(qwen, pictures):
    """Which cannot be made without torchvision; its method for pictures can be called."""
    theirs = Qwen2_5_VLProcessor.__new__(Qwen2_5_VLProcessor)
    theirs.tokenizer, theirs.image_processor = qwen.tokenizer, qwen.image_processor
    theirs.image_token, theirs.video_token = "<|image_pad|>", "<|video_pad|>"
    theirs.image_token_id, theirs.video_token_id = (
        qwen.tokenizer.convert_tokens_to_ids([theirs.image_token, theirs.video_token])
    )  # fmt: skip
    expected = theirs(
        images=pictures,
        text=[qwen.text] * len(pictures),
        padding=True,
        padding_side="left",
        return_tensors="pt",
        max_pixels=28 * 28 * 12,
        min_pixels=56 * 56,
    )
    inputs = transformers_backend.prepare(qwen, pictures)
    assert set(inputs) == set(expected) - {"mm_token_type_ids"}
    for name, value in inputs.items():
        assert torch.equal(value, expected[name]), name


def test_image_tokens_by_hand(qwen, pictures):
    """56x84 is 2x3 merged patches; 112x140 (4x5) is too large for 12 tokens: 3x3, 84x84 pixels.

    sqrt(112·140 / (12·28²)) = 1.291: floor(112/1.291/28) = 3, floor(140/1.291/28) = 3.
    60x200 rounds to 2x7 = 14: sqrt(60·200/9408) = 1.129, floor(1.897) = 1, floor(6.32) = 6.
    90x90 rounds to 3x3.
    """
    inputs = transformers_backend.prepare(qwen, pictures)
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 6], [1, 6, 6], [1, 2, 12], [1, 6, 6]]
    image_token = qwen.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert (inputs["input_ids"] == image_token).sum(1).tolist() == [6, 9, 6, 9]
    assert inputs["pixel_values"].shape == (24 + 36 + 24 + 36, 3 * 2 * 14 * 14)
    assert inputs["attention_mask"][:, -1].all() and not inputs["attention_mask"][0, 0]


def greedy(qwen, picture, steps):
    """The likeliest token, again and again, of the model as saved."""
    inputs = transformers_backend.prepare(qwen, [picture])
    start = inputs["input_ids"].shape[1]
    stops = [qwen.tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")]
    for _ in range(steps):
        qwen.model.model.rope_deltas = None
        with torch.no_grad():
            logits = qwen.model(**inputs, use_cache=False).logits[0, -1]
        token = int(logits.argmax())
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if token in stops:
            break
    return qwen.tokenizer.decode(inputs["input_ids"][0, start:], skip_special_tokens=True)


@pytest.fixture(scope="module")
def expected(qwen, pictures):
    return [greedy(qwen, picture, STEPS) for picture in pictures]


@pytest.fixture
def ends_late(monkeypatch):
    """The random model says no end of itself: its answers count as whole."""
    monkeypatch.setattr(transformers_backend, "_at_their_end", lambda a, b: [True] * len(a))


def test_a_batch_answers_what_a_greedy_loop_answers(qwen, pictures, expected, ends_late):
    assert len(set(expected)) > 1  # the picture matters
    assert transformers_backend.generate(qwen, pictures) == expected


def test_an_answer_without_an_end_is_asked_for_with_more_tokens(qwen, request_, pictures, tmp_path,
                                                                monkeypatch):  # fmt: skip
    """Of two frames one ends within four times the tokens, the other never."""
    asked = []

    def generate(qwen, pictures, *, more=1):
        asked.append((len(pictures), more))
        return ["ATOMS: none" if p.shape[0] == 56 and more >= 4 else None for p in pictures]

    assert transformers_backend.generate(qwen, pictures) == [None] * 4, "no end in these"
    monkeypatch.setattr(transformers_backend, "load_qwen", lambda request: qwen)
    monkeypatch.setattr(transformers_backend, "generate", generate)
    root = write_frames(tmp_path / "frames", pictures[:2])
    ask = transformers_backend.transformers_backend(request_)
    result = captioning.caption_frames(root, tmp_path / "c.json", ["x"], request=request_, ask=ask)
    assert asked == [(2, 1), (2, 4), (1, 16)] and result.frames == 1
    (failure,) = result.failures
    assert failure.endswith(f"1.png: cut at {16 * STEPS} tokens; raise --max_new_tokens")


def write_frames(root, pictures):
    (root / "v").mkdir(parents=True)
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(root / "v" / f"{k}.png")
    return root


def test_frames_to_a_caption_file(
    request_, qwen, pictures, expected, tmp_path, monkeypatch, ends_late
):
    decode = qwen.tokenizer.batch_decode
    monkeypatch.setattr(
        type(qwen.tokenizer),
        "batch_decode",
        lambda self, *a, **o: [f"ATOMS: {text}" for text in decode(*a, **o)],
    )
    monkeypatch.setattr(transformers_backend, "load_qwen", lambda request: qwen)
    root = write_frames(tmp_path / "frames", pictures)
    (root / "v" / "1b.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((1, 201, 3), np.uint8)).save(root / "v" / "9.png")
    results, contents = [], []
    for batch_size in (1, 4):
        out = tmp_path / f"{batch_size}.json"
        ask = transformers_backend.transformers_backend(request_, batch_size=batch_size)
        results.append(
            captioning.caption_frames(root, out, ["smoke plume"], request=request_, ask=ask)
        )
        contents.append(out.read_bytes())
    assert contents[0] == contents[1]
    entries = json.loads(contents[0])
    assert [entry["raw"] for entry in entries.values()] == [
        f"ATOMS: {text}".strip() for text in expected
    ]
    assert list(entries) == [f"{root.as_posix()}/v/{k}.png" for k in range(4)]
    for result in results:
        assert result.asked == 4
        assert len(result.failures) == 2
        assert any("1b.png: not a readable picture" in line for line in result.failures)
        assert any("9.png: 201 by 1 pixels are too narrow" in line for line in result.failures)


def test_no_memory_is_one_line(request_, qwen, pictures, tmp_path, monkeypatch):
    def generate(*arguments):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(transformers_backend, "load_qwen", lambda request: qwen)
    monkeypatch.setattr(transformers_backend, "generate", generate)
    ask = transformers_backend.transformers_backend(request_, batch_size=3)
    root = write_frames(tmp_path / "frames", pictures)
    with pytest.raises(InputError, match="3 frames do not fit .* of cpu; lower --batch_size"):
        list(ask(images.list_frames(root)))


def copied(folder, target, *, without=(), **changes):
    """The model's files but some, and some with other fields."""
    target.mkdir()
    for path in folder.iterdir():
        if path.name not in without:
            content = path.read_bytes()
            if path.name in changes:
                content = json.dumps(json.loads(content) | changes[path.name]).encode()
            (target / path.name).write_bytes(content)
    return target


@pytest.mark.parametrize(
    ("without", "changes", "cause"),
    [
        (("model.safetensors",), {}, "no file named model.safetensors"),
        (("preprocessor_config.json",), {}, "cannot be loaded"),
        (("vocab.json", "tokenizer.json"), {}, "cannot be loaded"),
        (("chat_template.jinja",), {}, "no chat template"),
        ((), {"config.json": {"model_type": "llava"}}, "is llava, not Qwen2.5-VL"),
    ],
)
def test_folders_that_cannot_be_used(folder, tmp_path, without, changes, cause):
    name = str(copied(folder, tmp_path / "model", without=without, **changes))
    if without == ("model.safetensors",):  # pickled weights are not looked at
        (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match=cause) as error:
        transformers_backend.load_qwen(Request(name, PROMPT))
    assert str(error.value).startswith(name) and "\n" not in str(error.value)


def test_cut_weights(folder, tmp_path):
    target = copied(folder, tmp_path / "model")
    weights = target / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded"):
        transformers_backend.load_qwen(Request(str(target), PROMPT))


def test_the_processors_template_comes_first(folder, tmp_path):
    """Published folders keep it in chat_template.json; the tokenizer's may be for text only."""
    target = copied(folder, tmp_path / "model", without=("chat_template.jinja",))
    (target / "chat_template.json").write_text(json.dumps({"chat_template": "X" + TEMPLATE}))
    settings = json.loads((target / "tokenizer_config.json").read_text())
    text_only = "{% for m in messages %}{{ m['role'] }}{% endfor %}"
    (target / "tokenizer_config.json").write_text(
        json.dumps(settings | {"chat_template": text_only})
    )
    qwen = transformers_backend.load_qwen(Request(str(target), PROMPT))
    assert qwen.text.startswith("X<|im_start|>user")
    (target / "chat_template.json").unlink()
    with pytest.raises(InputError, match="its chat template has no place for a picture"):
        transformers_backend.load_qwen(Request(str(target), PROMPT))


def test_a_run_with_nothing_to_ask_loads_no_model():
    ask = transformers_backend.transformers_backend(Request("./none", PROMPT))
    assert list(ask([])) == []
    with pytest.raises(InputError, match="./none: no such folder, not in the hub's cache"):
        list(ask([Path("a.png")]))


def test_code_of_a_repository_is_not_run(folder, tmp_path):
    """A config that maps its classes to a module of the folder: known classes are taken."""
    settings = {"auto_map": {"AutoModelForImageTextToText": "evil.Model", "AutoConfig": "evil.C"}}
    target = copied(folder, tmp_path / "model", **{"config.json": settings})
    (target / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    transformers_backend.load_qwen(Request(str(target), PROMPT))
    assert not (tmp_path / "ran").exists()


def test_a_frame_that_the_disk_does_not_give_fails_alone(request_, qwen, pictures, tmp_path,
                                                         monkeypatch):  # fmt: skip
    read = transformers_backend.read_frame

    def failing(path):
        if path.name == "1.png":
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(transformers_backend, "load_qwen", lambda request: qwen)
    monkeypatch.setattr(transformers_backend, "generate", lambda q, p, **_: ["ATOMS: x"] * len(p))
    monkeypatch.setattr(transformers_backend, "read_frame", failing)
    root = write_frames(tmp_path / "frames", pictures[:3])
    ask = transformers_backend.transformers_backend(request_)
    (answers,) = ask(images.list_frames(root))
    assert [answer.failure for answer in answers if answer.text is None] == [
        f"{root}/v/1.png: Input/output error; check the disk"
    ]
