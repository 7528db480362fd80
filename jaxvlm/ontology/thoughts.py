"""A model's answer without the thought before it. Pure text, in time that grows with its length."""

import re

# How models begin and end a thought in their text: DeepSeek, Qwen, GLM, Hunyuan (<think>), Mistral
# ([THINK]), Seed (<seed:think>), Kimi (◁think▷), Cohere, Granite, and gpt-oss, whose "final"
# channel follows the others. Of the last one also what is left where a server drops the markers.
_NAME = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis)"
_BEGIN = re.compile(
    rf"<{_NAME}>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|begin_of_thought\|>"
    r"|<\|channel\|>\s{0,9}(?:analysis|commentary)|<\|channel>|Here(?:'s| is) my thought process:"
    r"|\A\s{0,9}analysis(?=[A-Z])",
    re.IGNORECASE,
)
_END = re.compile(
    rf"</{_NAME}>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|end_of_thought\|>"
    r"|<\|channel\|>\s{0,9}final(?:\s{0,9}<\|constrain\|>\s{0,9}\w{1,20})?|<channel\|>"
    r"|Here(?:'s| is) my response:|\bassistantfinal",
    re.IGNORECASE,
)
# What encloses the answer itself, and special tokens that a server left in.
_ANSWER = re.compile(r"<(answer|response)>", re.IGNORECASE)
_ANSWER_END = re.compile(r"</(answer|response)>", re.IGNORECASE)
_TOKEN = re.compile(r"<\|/?[\w ]{1,40}\|>")


def without_thought(text: str) -> str | None:
    """What follows the last thought in an answer; None where a thought has no end.

    A thought's beginning may be missing: chat templates write it into the prompt. ``<answer>``
    and special tokens around the answer are taken off.
    """
    ends = [found.end() for found in _END.finditer(text)]
    end = ends[-1] if ends else 0
    if _BEGIN.search(text, end):
        return None
    text = text[end:]
    inside = [found.end() for found in _ANSWER.finditer(text)]
    text = _ANSWER_END.split(text[inside[-1] :] if inside else text)[0]
    return _TOKEN.sub("\n", text)
