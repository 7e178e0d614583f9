"""killick: backups of a compose project, and the evidence that they can be restored."""

__version__ = "0.1.0"
"""Of the package: looking it up among what is installed takes longer than most of our child processes live."""
