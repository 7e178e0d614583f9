"""killick: backups of a compose project, and the evidence that they can be restored."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("killick")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"
