"""The table of readers. To add one: a `Reader` in the module of its kind, with a good input."""

from tests.fuzz import media, models, tables, texts

READERS = {**texts.READERS, **tables.READERS, **models.READERS, **media.READERS}
READERS = {name.replace(" ", "_"): reader for name, reader in READERS.items()}
