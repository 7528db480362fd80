"""A rendered world of surveillance-like scenes whose whole truth is known.

vocabulary: the names and the written roles; ink, shapes, forms: drawing tools; objects, movers,
people, things, stages, wrecks: what is drawn; backgrounds, outdoors, interiors: where; scene: one
frame; storyboard: what happens in a video; videos, pictures: files with their truth; language:
captions.
"""
