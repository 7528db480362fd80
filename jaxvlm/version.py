"""The version of the package, for records and pages."""

__version__ = "0.1.0"
