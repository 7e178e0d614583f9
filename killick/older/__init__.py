"""Archives that shell scripts left over the years, opened like any other.

names      what their keys tell
layers     compression, taken off layer by layer; told by content, never by suffix
trees      what lies in a tar
said       words that a program left where a dump should be
opening    download, decode, open: the steps that a restore, a fetch and a verification share

What is a dump, and whether it is whole, the engines know (`adopt`, killick.engines).
"""

from killick.older.names import SOURCE, Older, moment, parse

__all__ = ["SOURCE", "Older", "moment", "parse"]
