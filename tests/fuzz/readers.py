"""The table of readers. To add one: a `Reader` in the module of its kind, with a good input."""

from tests.fuzz import embeddings, encoders, media, models, said, tables, texts

_KINDS = (embeddings, texts, said, tables, encoders, models, media)
READERS = {name: reader for kind in _KINDS for name, reader in kind.READERS.items()}
READERS = {name.replace(" ", "_"): reader for name, reader in READERS.items()}
