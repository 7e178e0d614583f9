"""docs/settings.md, from the table of variables: `python -m killick.settings > docs/settings.md`."""

from __future__ import annotations

import sys

from killick.settings.variables import GROUPS, Variable

_HEAD = """# Settings

<!-- Made from killick/settings/variables.py: change that, then `python -m killick.settings > docs/settings.md`. -->

killick is set by its environment. Every variable `NAME` can be given as `NAME_FILE`, the path of a file that holds the
value (a Docker secret); the line's end after the value is taken off. Giving both is an error. So a name that ends in
`_FILE` is always a path, and no source is called `file`.

A variable that is empty counts as not set. All problems are told at once, each with its cure, and end the program with
status 2; a name that is nearly one of these is a problem too.

`<NAME>` stands for the source's name in capitals: `FILES_UPLOADS=/srv/uploads` makes the source `uploads`. Names are
letters, digits and `_`.

Passwords in a URL are percent-decoded (`p%40ss` is `p@ss`); those in a variable or file of their own are taken as they
are, so that is where a password with strange characters goes. Since `docker inspect` shows the environment, secrets
(marked 🔒) belong in files.

Sizes are written `512m` or `2g` (powers of 1024), durations `30m`, `36h`, `2d`, `1h30m`.
"""

_TAIL = """
## Schedules

| written | means |
|---|---|
| `every day at 03:00`, `every monday and thursday at 04:30`, `every weekday at 22:00`, `every month at 01:00` | those |
| `every 6 hours`, `every 15 minutes`, `every hour at :15` | what divides the day, or the hour |
| `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` (also without @) | the first minute of each (of a Sunday) |
| `0 3 * * mon-fri` | cron: minute, hour, day of month, month, day of week |
| `off` | never |

Times are those of the wall clock in `TZ`, and each local day has its run exactly once. When the clock skips an hour, a
run that was planned in it starts at the first moment after the gap, once. When the clock repeats an hour, a run planned
in it starts the first time only. A day that a zone leaves out altogether has no run. A run that was missed because
nothing was running is caught up at the start; when there is no backup at all, the first is taken at once.
"""


def markdown() -> str:
    parts = [_HEAD]
    for group, variables in GROUPS.items():
        parts.append(f"\n## {group}\n\n| variable | meaning | default |\n|---|---|---|\n")
        parts.extend(_row(variable) for variable in variables)
    return "".join([*parts, _TAIL])


def _row(variable: Variable) -> str:
    lock = " 🔒" if variable.secret else ""
    name = f"`{variable.name}`" if variable.file_form else f"`{variable.name}` (no file form)"
    meaning = variable.meaning + (f" (as in `{variable.example}`)" if variable.example else "")
    default = f"`{variable.default}`" if variable.default else ""
    return f"| {name}{lock} | {meaning.strip()} | {default} |\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
