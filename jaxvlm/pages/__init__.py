"""Every page and every plot that a person looks at.

video_page: scored videos, one page or an index; video_card: one of them; video_parts: its lanes,
groups and strip; video_pictures: its thumbnails; role_sections: the roles.
evaluation_page: an OOD evaluation; folder_page: a scored folder; picture_page, galleries: what both
are made of. video_plots, picture_plots: the figures. style: what all share.
"""
