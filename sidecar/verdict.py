"""What a person has to know of one source: is the newest data that is proven restorable young enough? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from killick.state import SourceState, State
from sidecar.health import allowed, judge, span

GOOD, IDLE, LOOK, BAD = range(4)
"""From well to worst: IDLE is known from the store only, LOOK can wait for a day, BAD cannot."""

_AHEAD = 300.0  # seconds that another clock may be ahead of ours before we say so


@dataclass(frozen=True)
class Verdict:
    """`word` fits a badge and says the same without colour; `why` is a sentence, `cure` what to do, or ""."""

    rank: int
    word: str
    why: str
    cure: str = ""

    @property
    def well(self) -> bool:
        return self.rank < LOOK


def verdict(state: State, source: SourceState, now: float) -> Verdict:
    """The worst of what is to be said; `now` in seconds since 1970."""
    return max(_said(state, source, now), key=lambda said: said.rank)


def _said(state: State, s: SourceState, now: float) -> list[Verdict]:
    v = s.verification
    proven = v.verified_snapshot
    oldest = max(state.max_age, allowed(s.interval))  # data cannot be proven before it is backed up
    if s.last_success is None:
        why = s.error.get("message") or "nothing of it is in the store"
        return [Verdict(BAD if s.set else IDLE, "no backup yet", why, s.error.get("hint") or "killick backup")]
    if proven is None:
        found = [Verdict(LOOK if s.set else IDLE, "never verified", "no backup of it was ever proven restorable",
                         v.hint or "killick verify")]  # fmt: skip
    elif s.set and state.max_age and now - proven > oldest:
        found = [Verdict(BAD, "proof too old", f"what is proven restorable is {span(now - proven)} old, and should not "
                         f"be older than {span(oldest)}", v.hint or "killick verify")]  # fmt: skip
    else:
        found = [Verdict(GOOD if s.set else IDLE, "restorable", f"the data of {ago(proven, now)} is proven restorable")]
    if s.error:
        told = s.error.get("message") or s.error["kind"]
        found.append(Verdict(LOOK, "last attempt failed", told, s.error.get("hint") or "docker compose logs sidecar"))
    if v.result == "unverifiable":
        found.append(Verdict(LOOK, "could not verify", v.error or "the newest verification could not try", v.hint))
    if not all(judgement.fresh for judgement in judge(State(state.project, state.time, (s,)), now)):
        why = f"the newest backup is {span(now - s.last_success)} old, and should not be older than "
        late = Verdict(BAD, "backup is late", why + span(allowed(s.interval)), "killick doctor")
        found.insert(0, late if not s.error else Verdict(BAD, late.word, found[1].why, found[1].cure))
    if v.result == "failed":
        why = v.error or f"the newest verification failed after level {v.level}"
        found.insert(0, Verdict(BAD, "verification failed", why, v.hint or "killick show"))
    return found


def ago(moment: float | None, now: float) -> str:
    """7 h ago, never; a moment that another clock put into the future is told as such."""
    if moment is None:
        return "never"
    if moment - now > _AHEAD:
        return f"{span(moment - now)} ahead of this clock"
    return f"{span(now - moment)} ago"
