"""Masks the rows of a dump before they reach a server: the files of its tables are rewritten in scratch.

So what is hidden never was in the target: not in its files, its WAL, its log.

rows        masks the rows of a dump: what a load calls
plan        which columns of which files, by which rules; every rule that cannot work
archived    which file holds the rows of which table
target      what the target's catalog tells of columns; checks: what can be told from that
values      what becomes of a field; copytext, documents, dates: how fields, arrays, JSON and dates are written
rewrite     the program that rewrites files; workers: several of them
"""
