"""open_clip's CLIP for PyTorch, of PyTorch's own parts, and folders in its layout.

The names of the parameters are those of open_clip's files; nothing here knows Flax's.
"""

import json

import safetensors.torch
import torch
from torch import nn

from tests.clip.hub_layouts import END, SIDE, VOCABULARY

WIDTH, TEXT_WIDTH, DIMENSION = 24, 16, 20
MODEL = {
    "embed_dim": DIMENSION,
    "vision_cfg": {"image_size": SIDE, "layers": 2, "width": WIDTH, "head_width": 8,
                   "patch_size": 4, "mlp_ratio": 4.3637},
    "text_cfg": {"context_length": 11, "vocab_size": VOCABULARY, "width": TEXT_WIDTH, "heads": 2,
                 "layers": 3},
}  # fmt: skip
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    def __init__(self, width, heads, ratio, activation):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, int(width * ratio)))
        self.mlp.add_module("gelu", activation())
        self.mlp.add_module("c_proj", nn.Linear(int(width * ratio), width))

    def forward(self, x, mask=None):
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, *arguments, layers):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(*arguments) for _ in range(layers))

    def forward(self, x, mask=None):
        for block in self.resblocks:
            x = block(x, mask)
        return x


class Visual(nn.Module):
    def __init__(self, cfg, activation):
        super().__init__()
        width, side = cfg["width"], cfg["patch_size"]
        self.conv1 = nn.Conv2d(3, width, side, side, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(
            torch.empty(1 + (cfg["image_size"] // side) ** 2, width)
        )
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        heads = width // cfg["head_width"]
        self.transformer = Transformer(
            width, heads, cfg["mlp_ratio"], activation, layers=cfg["layers"]
        )
        self.proj = nn.Parameter(torch.empty(width, DIMENSION))

    def forward(self, pixels):
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(patches), 1, -1)
        x = torch.cat([token, patches], 1) + self.positional_embedding
        return self.ln_post(self.transformer(self.ln_pre(x))[:, 0]) @ self.proj


class OpenClip(nn.Module):
    """Weights large enough for details to show."""

    def __init__(self, model=MODEL, seed=0):
        super().__init__()
        text, activation = model["text_cfg"], QuickGELU if model.get("quick_gelu") else nn.GELU
        width = text["width"]
        self.visual = Visual(model["vision_cfg"], activation)
        self.token_embedding = nn.Embedding(text["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.empty(text["context_length"], width))
        self.transformer = Transformer(width, text["heads"], 4, activation, layers=text["layers"])
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, DIMENSION))
        self.logit_scale = nn.Parameter(torch.empty(()))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(0.35 * noise + (1.0 if ".ln_" in f".{name}" else 0.0))
            self.logit_scale.fill_(4.2)
        self.eval()

    def encode_text(self, ids):
        length = ids.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1)
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(x)), ids.argmax(-1)] @ self.text_projection


def features(model, pixels, ids):
    with torch.no_grad():
        images = model.visual(torch.as_tensor(pixels))
        return images.numpy(), model.encode_text(torch.as_tensor(ids)).numpy()


def config(**changes):
    """open_clip_config.json; ``changes`` of model_cfg."""
    return {"model_cfg": MODEL | changes, "preprocess_cfg": PREPROCESS}


def write_config(folder, value):
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(value))


def write(folder, model, value=None, file="open_clip_model.safetensors", custom_text=False):
    """custom_text: named as CustomTextCLIP names them."""
    write_config(folder, value or config())
    state = {
        f"text.{name}"
        if custom_text and not name.startswith(("visual.", "logit_scale"))
        else name: t
        for name, t in model.state_dict().items()
    }
    if file.endswith(".bin"):
        torch.save(state, folder / file)
    else:
        safetensors.torch.save_file(state, folder / file)


def write_tokenizer(folder):
    """Letters alone and at the end of a word, and the two ends at the top: ids up to END."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    ids = {word: i for i, word in enumerate(words)}
    ids |= {"<|startoftext|>": END - 1, "<|endoftext|>": END}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return ids
