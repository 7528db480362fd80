"""An encoder: a CLIP, where it computes, and where what it gives is kept."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxvlm import parallel, settings
from jaxvlm.clip.batch_size import measured_batch_size
from jaxvlm.clip.model import ClipModel
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.progress import Progress, ignore, stage


@dataclasses.dataclass
class EncodingStatistics:
    """What streams did: pictures encoded or found in the store, seconds from the first to the last
    batch, and of these the seconds in which the devices waited for the next batch (not for a
    program that is compiled)."""

    encoded: int = 0
    from_store: int = 0
    seconds: float = 0.0
    device_idle_seconds: float = 0.0

    def since(self, earlier: "EncodingStatistics") -> "EncodingStatistics":
        """What was done after ``earlier``, a copy of these: an encoder serves many runs."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(earlier), strict=True)
        return EncodingStatistics(*(now - before for now, before in pairs))

    def record(self) -> dict[str, Any]:
        """For a run's JSON: the fields, pictures per second, fraction of the time waited."""
        busy = self.seconds > 0
        return dataclasses.asdict(self) | {
            "pictures_per_second": round(self.encoded / self.seconds, 3) if busy else None,
            "device_waiting_fraction": round(self.device_idle_seconds / self.seconds, 4)
            if busy
            else None,
        }

    def sentence(self) -> str:
        """The same for a person, in one line."""
        if not self.encoded:
            return f"{number_of(self.from_store, 'picture')} from the store: no forward pass"
        speed = f"{self.encoded / self.seconds:.1f} a second"
        text = f"{number_of(self.encoded, 'picture')} encoded, {speed}"
        waited = 100 * self.device_idle_seconds / self.seconds
        kept = f"; {self.from_store} from the store" if self.from_store else ""
        return f"{text}, the device waited {waited:.0f} % of the time{kept}"


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """Where and how pictures are encoded.

    model: as it was loaded, for texts; placed: the same with its parameters on every device of
    ``mesh`` (None: on the first device; OpenVINO's stay in each process). given_batch_size:
    pictures per device and step; 0: measured when the first picture is to be encoded, so that who
    encodes texts or single frames does not wait for it. store_dir: the folder of the embedding
    store; None: nothing is kept. cache_dir: of text embeddings and of the measured batch size;
    None: they are computed anew.
    statistics: of all that this encoder does. on_progress: is told of what it does beside pictures.
    """

    model: ClipModel
    placed: ClipModel
    mesh: Mesh | None
    given_batch_size: int
    store_dir: Path | None
    cache_dir: Path | None
    statistics: EncodingStatistics
    on_progress: Progress = ignore

    def __repr__(self) -> str:
        """One line."""
        kept = "" if self.store_dir is None else f", store {self.store_dir}"
        return f"Encoder({self.model!r}{kept})"

    @functools.cached_property
    def batch_size(self) -> int:
        """Pictures per device and step: the given number, or the measured one.

        Of several processes the first one's; where it is measured, all have to ask for it.
        """
        if self.given_batch_size:
            return self.given_batch_size
        with stage(self.on_progress, "measure the batch size"):
            return parallel.first(measured_batch_size(self.model, cache_dir=self.cache_dir))


def make_encoder(
    model: ClipModel,
    *,
    batch_size: int = 0,
    mesh: Mesh | None = None,
    store_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
) -> Encoder:
    """An Encoder of a model. batch_size 0: `measured_batch_size`, kept in ``cache_dir``.

    Raises InputError for a batch_size that is negative or beyond any device, and for several
    devices in a process whose model runs through OpenVINO.
    """
    settings.check_batch_size("batch_size", batch_size, least=0)
    return Encoder(
        model,
        _placed(model, mesh),
        mesh,
        batch_size,
        Path(store_dir) if store_dir else None,
        Path(cache_dir) if cache_dir else None,
        EncodingStatistics(),
        on_progress,
    )


def _placed(model: ClipModel, mesh: Mesh | None) -> ClipModel:
    if model.backend == "jax":
        return dataclasses.replace(model, params=parallel.replicate(model.computed, mesh))
    if mesh is not None and mesh.local_mesh.size > 1:
        raise InputError(
            f"backend {model.backend}: is for one CPU device, and this process has "
            f"{mesh.local_mesh.size}; take backend jax, or one device for each process"
        )
    parallel.require_same(model.computed, mesh)
    return model  # with what is compiled of it


def total_statistics(
    encoder: Encoder, *, since: EncodingStatistics | None = None
) -> EncodingStatistics:
    """Of all processes, which all have to call it: counts added, the longest times.

    since: a copy of the encoder's statistics from before what is to be told; None: all of it.
    """
    own = encoder.statistics.since(since or EncodingStatistics())
    every = parallel.gather(dataclasses.asdict(own))
    return EncodingStatistics(
        encoded=sum(one["encoded"] for one in every),
        from_store=sum(one["from_store"] for one in every),
        seconds=max(one["seconds"] for one in every),
        device_idle_seconds=max(one["device_idle_seconds"] for one in every),
    )


def encoding_record(encoder: Encoder, statistics: EncodingStatistics) -> dict[str, Any]:
    """For a run's JSON: how pictures were encoded, and what it took.

    ``batch_size`` is None where it was never measured, because nothing was encoded.
    """
    known = encoder.given_batch_size or statistics.encoded
    return {
        "dtype": encoder.model.architecture.dtype,
        "backend": encoder.model.backend,
        "batch_size": encoder.batch_size if known else None,
        "mesh": None if encoder.mesh is None else dict(encoder.mesh.shape),
        **statistics.record(),
    }
