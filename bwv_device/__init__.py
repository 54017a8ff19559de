"""The device agent of a body-worn video camera."""

__version__ = "0.1.0"
