"""Jenkins deploys to the new server: by hand, with the lines to paste."""

from __future__ import annotations

from deploy.move.step import Move
from killick.watch import Watch

CONFIRM = "jobs"


class Jobs:
    name = "jobs"

    def says(self, move: Move) -> str:
        jobs = move.spec.jobs
        parts = [("move", jobs.move), ("enable", jobs.freeze), ("run once", jobs.run)]
        told = [f"{what} {', '.join(names)}" for what, names in parts if names]
        return f"by hand: {'; '.join(told)}" if told else "no job is named"

    def probe(self, move: Move) -> bool:
        jobs = move.spec.jobs
        return not (jobs.freeze or jobs.move or jobs.run) or bool(move.journal.kept(self.name, "said"))

    def act(self, move: Move, watch: Watch) -> None:
        move.person.done_by_hand(_lines(move), CONFIRM)
        move.journal.keep(self.name, "said", True)

    def verify(self, move: Move) -> str:
        said = move.journal.kept(self.name, "said")
        return f"a person says: {self.says(move).removeprefix('by hand: ')}" if said else "there was nothing to do"

    def undo(self, move: Move) -> None:
        """It comes after the point of no return."""


def _lines(move: Move) -> list[str]:
    cli, jobs = 'java -jar jenkins-cli.jar -s "$JENKINS_URL"', move.spec.jobs
    lines = []
    if jobs.move:
        lines += [f"Let these run on the node of {move.new.host.name} (in the Jenkinsfile: agent {{ label '…' }}):"]
        lines += [f"  {job}" for job in jobs.move]
    if jobs.freeze:
        lines += ["Enable again:", *(f"  {cli} enable-job '{job}'" for job in jobs.freeze)]
    if jobs.run:
        lines += ["Run once, and see it end well:", *(f"  {cli} build '{job}' -s -v" for job in jobs.run)]
    return lines


STEP = Jobs()
