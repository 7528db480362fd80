"""Atoms that an ontology lacks, from captions and labels.

A table, and YAML to paste.
"""

from absl import flags

from jaxvlm import outputs, resources, runs
from jaxvlm.command import cli
from jaxvlm.names import number_of

_CAPTIONS = flags.DEFINE_string("captions", None, "JSON of caption_frames.", required=True)
_LABELS_CSV = flags.DEFINE_string("labels_csv", None, "video_id and one 0/1 column per event.")
_MANIFEST_CSV = flags.DEFINE_string("manifest_csv", None, "Of run-pipeline, instead of labels.")
_ONTOLOGY = flags.DEFINE_string("ontology", None, "Events and atoms as they are.", required=True)
_OUT_DIR = flags.DEFINE_string(
    "out_dir", None, "Gets proposals.csv and proposals.yaml.", required=True
)
_CLIP = flags.DEFINE_string(
    "clip", str(resources.path("checkpoints/clip")), "CLIP folder or hub id."
)
_TAU = flags.DEFINE_float(
    "tau", 0.85, "Cosine from which two phrases mean the same.", lower_bound=0.0, upper_bound=1.0
)
_MIN_VIDEOS = flags.DEFINE_integer(
    "min_videos", 3, "Least videos that say a phrase.", lower_bound=1
)
_MIN_Z = flags.DEFINE_float(
    "min_z", 3.0, "Least distance from chance, in standard deviations.", lower_bound=0.0
)


def main() -> None:
    from jaxvlm import clip
    from jaxvlm.ontology import captions, ontology, proposals

    outputs.require_places(_OUT_DIR.value, *proposals.WRITTEN, "run.json")
    known = ontology.load_ontology(_ONTOLOGY.value)
    labels = proposals.read_video_labels(
        known.events, labels_csv=_LABELS_CSV.value, manifest_csv=_MANIFEST_CSV.value
    )
    model = clip.load(_CLIP.value)
    result = proposals.propose_atoms(
        captions.read_captions(_CAPTIONS.value),
        labels,
        known,
        proposals.unit_embeddings(model),
        tau=_TAU.value,
        min_videos=_MIN_VIDEOS.value,
        min_z=_MIN_Z.value,
    )
    proposals.write_proposals(_OUT_DIR.value, result.proposals)
    settings = {flag.name: flag.value for flag in (_TAU, _MIN_VIDEOS, _MIN_Z)}
    runs.write_record(_OUT_DIR.value, settings, made_with={"clip": clip.clip_record(model)})
    cli.show(
        f"{number_of(result.frames, 'caption')} of {number_of(result.videos, 'labelled video')}: "
        f"{number_of(result.unknown_phrases, 'phrase')} without an atom that answers, "
        f"{result.groups} when merged"
    )
    for p in result.proposals:
        said = f"{p.videos_with_event} of {number_of(p.videos, 'video')}"
        cli.show(f"{p.event}: {p.phrase} ({p.role}; {said}, AUROC {p.auroc:.2f}, z {p.z:.1f})")
    cli.show(f"{number_of(len(result.proposals), 'proposal')}: {_OUT_DIR.value}/proposals.csv")


if __name__ == "__main__":
    cli.run(main)
