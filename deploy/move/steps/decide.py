"""A person decides, before anything that serves is touched: shown what will change and for how long."""

from __future__ import annotations

from deploy.move import plan
from deploy.move.step import Move
from deploy.move.steps import ORDER, step
from killick.watch import Watch


class Decide:
    name = "decide"

    def says(self, move: Move) -> str:
        return f"a person types {move.spec.site}: until here nothing that serves was touched"

    def probe(self, move: Move) -> bool:
        """A word that was given is nowhere but in the journal."""
        return bool(move.journal.kept(self.name, "agreed"))

    def act(self, move: Move, watch: Watch) -> None:
        prediction = plan.predicted(move.spec)
        move.person.tell(_changes(move))
        about = f" for about {prediction.downtime:.0f} s" if prediction else ", nobody measured for how long"
        move.person.types(f"{move.spec.site} moves now, writes are refused{about}. To agree,", move.spec.site)
        move.journal.keep(self.name, "agreed", True)

    def verify(self, move: Move) -> str:
        return f"{move.spec.site} was typed"

    def undo(self, move: Move) -> None:
        """Nothing of it is anywhere."""


def _changes(move: Move) -> list[str]:
    spec = move.spec
    rows = [
        ("server", spec.old.host, spec.new.host),
        ("address", spec.old.address, spec.new.address),
        ("project", f"{spec.old.project} in {spec.old.directory}", f"{spec.new.project} in {spec.new.directory}"),
        *([("proxy", f"{spec.proxy.backend}/{spec.proxy.old}", spec.proxy.new)] if spec.proxy else []),
        ("names", ", ".join(spec.names), f"by {spec.dns.provider}"),
    ]
    after = ORDER[ORDER.index("decide") + 1 :]
    lines = [f"  - {what}: {old}\n  + {what}: {new}" for what, old, new in rows]
    return ["What changes:", *lines, "What follows:", *(f"  {name}: {step(name).says(move)}" for name in after)]


STEP = Decide()
