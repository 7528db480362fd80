"""One picture set's way: encoded, scored, compared, told in tables."""
