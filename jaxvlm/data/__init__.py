"""Readers: videos, streams, pictures, picture sets, presets, tables, annotations."""
