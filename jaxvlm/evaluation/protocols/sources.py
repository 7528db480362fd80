"""Which published protocols there are, and which files they read."""

import os
from typing import NamedTuple

PROTOCOLS = ("ucf_crime", "xd_violence", "lists")


class Sources(NamedTuple):
    """The files that an evaluation reads; None is not given."""

    annotations: str | os.PathLike | None
    class_annotations: str | os.PathLike | None = None  # XD-Violence: intervals with classes
    frame_counts: str | os.PathLike | None = None
    videos: str | os.PathLike | None = None
    video_list: str | os.PathLike | None = None
    scores_dir: str | os.PathLike | None = None
    scores_npy: str | os.PathLike | None = None
    roles: str | os.PathLike | None = None  # the role model that scored
    embeddings: str | os.PathLike | None = None  # of what was scored, for --postprocess
    caption_embeddings: str | os.PathLike | None = None


# What each of these is, for whoever gives them.
READ = {
    "scores_dir": "Folder of scores: VIDEO/events.csv of score-video, VIDEO.csv or VIDEO.npy.",
    "scores_npy": "lists: one array of scores in the order of the list.",
    "annotations": "Annotation file; lists: an .npy array, or a folder of VIDEO.npy.",
    "class_annotations": "xd_violence: annotations_multiclasses.txt, for the figures per class.",
    "frame_counts": "CSV video,frames.",
    "videos": "Folder of the videos: to count their frames, and for the pixel change beside mine.",
    "roles": "Role model that scored, if run.json of the scores does not tell of it.",
    "embeddings": "Folder of VIDEO.npy, a row for each score; default: what score-video kept.",
    "caption_embeddings": "The same of the captions, for --postprocess=lavad.",
    "video_list": "lists: a path per line, or CSV path,label, in the order of the array.",
}
