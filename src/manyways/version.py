"""The version of Manyways."""

__version__ = "0.1.0"
