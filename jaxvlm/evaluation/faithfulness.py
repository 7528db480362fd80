"""Does a model rest on what its explanation names? Atoms leave and enter, and it answers again.

A model m takes presences [T, C] to values [T, E], probabilities or logits, each row by itself. A
span is L frames of one event e; m of a span is the mean of m_e over its frames. An explanation is
a number per atom, r_k the k atoms with the largest ones. m(S) is m where the atoms outside S have
their absent value in every frame. The arrays are padded to few shapes: spans [S, L, C] with a mask
[S, L].

The model is a function, or a `jax.tree_util.Partial` of one and its arrays: of the latter,
models of one form are compiled once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError

Model = Callable[[jax.Array], jax.Array]

_AT_ONCE = 8  # spans


class Spans(NamedTuple):
    """Spans of events, padded. An atom's absent value is what it has where it is not seen."""

    presence: ArrayLike  # [S, L, C]
    mask: ArrayLike  # [S, L], 1 for a frame
    event: ArrayLike  # [S] int
    absent: ArrayLike  # [S, C]


class Curves(NamedTuple):
    """m while atoms leave, and while they enter, in the order of the explanation. [S, C + 1]."""

    deletion: jax.Array  # [:, k] = m(all ∖ r_k)
    insertion: jax.Array  # [:, k] = m(r_k)


class Faithfulness(NamedTuple):
    """Of every span, [S]. High comprehensiveness and insertion, low sufficiency, deletion and flip
    size speak for the explanation."""

    comprehensiveness: np.ndarray  # mean_k [m(all) − m(all ∖ r_k)]
    sufficiency: np.ndarray  # mean_k [m(all) − m(r_k)]
    deletion: np.ndarray  # area under m(all ∖ r_k) over k/C in [0, 1]
    insertion: np.ndarray  # area under m(r_k)
    flip_size: np.ndarray  # fewest first atoms whose removal brings m below the threshold; inf


def pad_spans(
    videos: Sequence[ArrayLike],
    places: Sequence[tuple[int, int, int, int]],
    absent: ArrayLike,
    *,
    multiple: int = 16,
) -> Spans:
    """Spans cut out of videos and padded to the longest, to a multiple of so many frames.

    Args:
      videos: p̄ [T_n, C] each.
      places: (video, event, first frame, one past the last) of each span.
      absent: [C], or [N, C] of each video.

    Raises InputError for no span, or one without frames.
    """
    if not places or any(stop <= start for *_, start, stop in places):
        raise InputError("pad_spans: no span, or one without frames; give detections")
    num_atoms = np.shape(videos[0])[1]
    absent = np.broadcast_to(np.asarray(absent, np.float32), (len(videos), num_atoms))
    longest = max(stop - start for *_, start, stop in places)
    longest = -(-longest // multiple) * multiple
    presence = np.zeros((len(places), longest, num_atoms), np.float32)
    mask = np.zeros((len(places), longest), np.float32)
    for n, (video, _, start, stop) in enumerate(places):
        presence[n, : stop - start] = np.asarray(videos[video])[start:stop]
        mask[n, : stop - start] = 1
    video, event = np.array(places)[:, :2].T
    return Spans(presence, mask, event.astype(np.int32), absent[video])


def leave_one_out_importance(model: Model, spans: Spans) -> jax.Array:
    """m(all) − m(all ∖ {c}) [S, C]: what each atom by itself holds up.

    Raises ValueError for shapes that do not fit.
    """
    _check(spans)
    return _leave_one_out(_partial(model), spans)


def gradient_times_input(model: Model, spans: Spans) -> jax.Array:
    """mean_t (p_tc − absent_c) ∂m_e(p_t)/∂p_tc [S, C]: gradient × input, the input counted from
    where the atom is absent.

    Raises ValueError for shapes that do not fit.

    Source: Shrikumar et al., Not Just a Black Box (2016).
    """
    _check(spans)
    return _gradient(_partial(model), spans)


def faithfulness_curves(model: Model, spans: Spans, importance: ArrayLike) -> Curves:
    """m(all ∖ r_k) and m(r_k) for k = 0 … C. Of equal numbers the first atom comes first.

    Args:
      importance: [S, C], the explanation of each span.

    Raises:
      ValueError: shapes that do not fit.
    """
    _check(spans, importance)
    return _curves(_partial(model), spans, jnp.asarray(importance))


def faithfulness(
    curves: Curves, *, ks: Sequence[int] = (1, 2, 3, 4, 5), threshold: float = 0.5
) -> Faithfulness:
    """The measures of every span; all sums exact, none needs the model again.

    Args:
      ks: numbers of atoms over which comprehensiveness and sufficiency are averaged; those above C
        count as C.
      threshold: of m, below which the event is no longer found: 0.5 for probabilities, 0 for
        logits.

    Raises:
      InputError: no k, or one below 1.

    Source: DeYoung et al., ERASER (ACL 2020), §4, for comprehensiveness and sufficiency (the means
    over k are their AOPC, without their k = 0, at which both are 0); Petsiuk et al., RISE
    (BMVC 2018), §3.3, for deletion and insertion.
    """
    if not len(ks) or min(ks) < 1:
        raise InputError(f"faithfulness: ks {list(ks)}; give numbers of atoms from 1")
    deletion, insertion = (np.asarray(curve, np.float64) for curve in curves)
    num_atoms = deletion.shape[1] - 1
    kept = np.minimum(ks, num_atoms)
    below = deletion < threshold
    first = np.where(below.any(axis=1), below.argmax(axis=1), np.inf)
    return Faithfulness(
        (deletion[:, :1] - deletion[:, kept]).mean(axis=1),
        (deletion[:, :1] - insertion[:, kept]).mean(axis=1),
        np.trapezoid(deletion, dx=1 / num_atoms, axis=1),
        np.trapezoid(insertion, dx=1 / num_atoms, axis=1),
        first,
    )


def probability_model(logits: Model) -> Partial:
    """σ of a model's logits."""
    return Partial(_sigmoid, _partial(logits))


def _sigmoid(logits: Model, presence: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(logits(presence))


def _partial(model: Model) -> Partial:
    return model if isinstance(model, Partial) else Partial(model)


def _check(spans: Spans, importance: ArrayLike | None = None) -> None:
    check_shapes(
        "faithfulness",
        presence=(spans.presence, "S L C"),
        mask=(spans.mask, "S L"),
        event=(spans.event, "S"),
        absent=(spans.absent, "S C"),
        importance=(importance, "S C"),
    )


def _mean(model: Partial, presence: jax.Array, span: Spans) -> jax.Array:
    """m of one span with other presences [L, C]."""
    values = jnp.take(model(presence), span.event, axis=1)
    return jnp.sum(jnp.where(span.mask > 0, values, 0.0)) / jnp.sum(span.mask)


def _map(function: Callable, *arguments) -> jax.Array:
    arrays = jax.device_put(arguments)
    return jax.lax.map(lambda one: function(*one), arrays, batch_size=_AT_ONCE)


@jax.jit
def _leave_one_out(model: Partial, spans: Spans) -> jax.Array:
    def of(span: Spans) -> jax.Array:
        num_atoms = span.presence.shape[1]

        def without(atom: jax.Array) -> jax.Array:
            gone = jnp.arange(num_atoms) == atom
            return _mean(model, jnp.where(gone, span.absent, span.presence), span)

        return _mean(model, span.presence, span) - jax.vmap(without)(jnp.arange(num_atoms))

    return _map(of, spans)


@jax.jit
def _gradient(model: Partial, spans: Spans) -> jax.Array:
    def of(span: Spans) -> jax.Array:
        slope = jax.grad(lambda presence: _mean(model, presence, span))(span.presence)
        # A padded frame has slope 0, as it is in no mean.
        return jnp.sum((span.presence - span.absent) * slope, axis=0)

    return _map(of, spans)


@jax.jit
def _curves(model: Partial, spans: Spans, importance: jax.Array) -> Curves:
    def of(span: Spans, importance: jax.Array) -> Curves:
        order = jnp.argsort(-importance, stable=True)
        rank = jnp.argsort(order)  # of each atom

        def at(k: jax.Array) -> Curves:
            first = rank < k
            left = jnp.where(first, span.absent, span.presence)
            entered = jnp.where(first, span.presence, span.absent)
            return Curves(_mean(model, left, span), _mean(model, entered, span))

        return jax.vmap(at)(jnp.arange(len(rank) + 1))

    return _map(of, spans, importance)
