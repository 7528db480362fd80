"""One video's way: frames, presence, segments, events; the run folder, the role model, live."""
