"""The files of the two prototypes, read and written."""
