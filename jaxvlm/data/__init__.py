"""What comes in: videos, pictures, tables, and the rendered world."""
