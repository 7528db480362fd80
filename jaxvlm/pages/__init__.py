"""Every page and every plot that a person looks at.

video_page: scored videos, their reasons and roles. evaluation_page: an OOD evaluation and a scored
folder, of the parts in picture_page. video_plots, picture_plots: the figures. style: what all
share.
"""
