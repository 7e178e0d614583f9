"""Nobody deploys while data travels: Jenkins' jobs are disabled by hand, and `killick deploy` refuses on old."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.frozen import mark
from deploy.move.step import Move
from killick.errors import CommandFailed, KillickError, NotFound, Refused
from killick.watch import Watch

CONFIRM = "frozen"
# By a link: it is there whole or not at all, and never takes another's place.
_MARK = """
cd; umask 077; mkdir -p -- "$(dirname -- "$1")"
trap 'rm -f -- "$1.$2"' EXIT
printf '%s\\n' "$2" >"$1.$2"
ln -- "$1.$2" "$1"
"""


class Freeze:
    name = "freeze"

    def says(self, move: Move) -> str:
        jobs = move.spec.jobs.freeze
        return f"`killick deploy` refuses on {move.old.host.name}" + (
            f"; by hand: disable {', '.join(jobs)}" if jobs else ""
        )

    def probe(self, move: Move) -> bool:
        not_anothers(move)
        return _held(move) == move.id and (not move.spec.jobs.freeze or bool(move.journal.kept(self.name, "jobs")))

    def act(self, move: Move, watch: Watch) -> None:
        if not _held(move):
            try:
                move.old.host.shell(_MARK, mark(move.old.server.project), move.id)
            except CommandFailed as error:
                raise KillickError(
                    f"{move.old.host.name} cannot be marked as frozen: {error.stderr}", "may this user write its home?"
                ) from None
        if move.spec.jobs.freeze and not move.journal.kept(self.name, "jobs"):
            move.person.done_by_hand(_disable(move), CONFIRM)
            move.journal.keep(self.name, "jobs", [*move.spec.jobs.freeze])

    def verify(self, move: Move) -> str:
        if _held(move) != move.id:
            raise KillickError(f"{move.old.host.name} is not marked as frozen", "killick move resume")
        jobs = move.spec.jobs.freeze
        return f"`killick deploy` refuses on {move.old.host.name}" + (
            f"; {', '.join(jobs)} disabled, a person says" if jobs else ""
        )

    def undo(self, move: Move) -> None:
        if _held(move) == move.id:
            move.old.host.shell('cd; rm -f -- "$1"', mark(move.old.server.project))
        if move.journal.kept(self.name, "jobs"):
            jobs = ", ".join(move.spec.jobs.freeze)
            move.person.tell([f"Enable again in Jenkins, by hand: {jobs}"])
            move.journal.note(self.name, f"to be enabled again by hand: {jobs}")


def in_the_way(move: Move) -> Iterator[str]:
    try:
        not_anothers(move)
    except Refused as error:
        yield str(error)


def not_anothers(move: Move) -> None:
    """Raises Refused while another move holds the project on old."""
    if (held := _held(move)) not in ("", move.id):
        raise Refused(
            f"the move {held} holds {move.old.server.project} on {move.old.host.name}",
            f"end that one first; if it is no more: rm ~/{mark(move.old.server.project)} there",
        )


def _held(move: Move) -> str:
    """The id of the move that holds the project, "" where none does."""
    try:
        return move.old.host.read(f"{move.old.home}/{mark(move.old.server.project)}").decode().partition("\n")[0]
    except NotFound:
        return ""


def _disable(move: Move) -> list[str]:
    return [
        "Disable these jobs in Jenkins, and wait until none of them runs or is queued. With its command line:",
        *(f"  java -jar jenkins-cli.jar -s \"$JENKINS_URL\" disable-job '{job}'" for job in move.spec.jobs.freeze),
    ]


STEP = Freeze()
