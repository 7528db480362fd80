"""Steady against a slow form, picture by picture."""

import numpy as np

from jaxvlm.ood.streams import Texts, run, steady

GROUPS, SLOTS = 2, 2


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def neglabel(rows, positive, negative, scale):
    known, other = (np.exp(scale * rows @ bank.T) for bank in (positive, negative))
    groups = other.reshape(len(rows), GROUPS, -1).sum(axis=2)
    known = known.sum(axis=1, keepdims=True)
    return (known / (known + groups)).mean(axis=1)


def slow(texts, rows, size, config):
    """S of each batch after it has been stored, memory as lists of (entropy, row)."""
    positive, negative, scale = texts.positive, texts.negative, texts.scale
    labels, known = np.concatenate([positive, negative]), len(positive)
    memory, found = [[] for _ in labels], []
    for first in range(0, len(rows), size):
        batch = rows[first : first + size]
        base = neglabel(batch, positive, negative, scale)
        for row, s in zip(batch, base, strict=True):
            side = range(known) if s > 0.5 else range(known, len(labels))
            p = np.exp(scale * labels[list(side)] @ row)
            p /= p.sum()
            own, entropy = memory[side[int(p.argmax())]], -(p * np.log(p)).sum()
            if len(own) < SLOTS:
                own.append((entropy, row))
            elif entropy < max(e for e, _ in own):
                own[int(np.argmax([e for e, _ in own]))] = (entropy, row)
        stored = np.array([sum((r for _, r in own), np.zeros(rows.shape[1])) for own in memory])
        parts = [unit(w * labels + stored) for w in config.text_weights]
        adapted = [neglabel(batch, a[:known], a[known:], scale) for a in parts]
        found.append(
            (config.base_weight * base + np.mean(adapted, axis=0)) / (1 + config.base_weight)
        )
    return np.concatenate(found)


def test_steady_by_its_definition():
    rng = np.random.default_rng(0)
    texts = Texts(*(unit(rng.normal(size=(n, 6))) for n in (3, 8)), scale=4.0)
    rows = unit(rng.normal(size=(50, 6)))
    config = steady.Config(GROUPS, slots=SLOTS, base_weight=0.7)
    state, found = run(steady.step, config, texts, steady.start(config, texts), rows, batch_size=8)
    np.testing.assert_allclose(found, slow(texts, rows, 8, config), rtol=2e-5)
    assert int(np.asarray(state.used).max()) == SLOTS  # some label was full


def test_a_wrong_proxy_costs_at_most_half_of_the_scale():
    """A picture that the texts call ID keeps S ≥ s₀/2, whatever was stored."""
    texts = Texts(np.eye(4)[:1], np.eye(4)[1:3], scale=10.0)
    config = steady.Config(1)
    odd = unit(np.array([[0.3, 0.6, 0.0, 0.9]]))
    alike = unit(np.array([[0.6, 0.3, 0.0, 0.9]]))
    stored, _ = run(steady.step, config, texts, steady.start(config, texts), odd, batch_size=1)
    known, other = np.exp(10 * alike[0, 0]), np.exp(10 * alike[0, 1:3]).sum()
    _, found = run(steady.step, config, texts, stored, alike, batch_size=1)
    base = known / (known + other)
    assert base > 0.9 and base / 2 - 1e-6 <= found[0]
