"""Every page and every plot that a person looks at.

video_page: scored videos, their reasons and roles; video_parts: its lanes and groups.
evaluation_page: an OOD evaluation; folder_page: a scored folder; picture_page, galleries: what both
are made of. video_plots, picture_plots: the figures. style: what all share.
"""
