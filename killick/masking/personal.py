"""Columns that look personal by their names. Pure: no value is looked at."""

from __future__ import annotations

import re

from killick.contents import Contents
from killick.engines.postgres import names
from killick.errors import Refused
from killick.masking import Mask
from killick.masking.tables import ancestors, columns, resolve

_ANYWHERE = re.compile(
    r"mail|mobile|phone|token|secret|passw(or)?d|passphrase|passport|credential|api_?key|private_?key|birth|address"
    r"|street|postcode|postal|post_?code|zip_?code|surname|nickname|maiden"
    r"|(first|last|full|given|family|middle|user)_?name|social_?security|national_?id|tax_?id|licen[cs]e_?(no|number|plate)"
    r"|credit_?card|card_?(no|number|holder)|account_?(no|number)|bank_?account|latitude|longitude"
)
_AS_A_WORD = re.compile(
    r"(?<![a-z])(fax|tel|cell|dob|ssn|bsn|nin|pin|otp|cvv|cvc|iban|bic|card|zip|born|gender|sex|ip|pwd|salt)(?![a-z])"
)


def unmasked(contents: Contents, mask: Mask | None) -> list[str]:
    """The columns that look personal and that no rule speaks of, `keep` included; as they are written in MASK.

    Better one too many (tokens_used, email_sent_at) than one too few: `keep` allows it. A partition's column is told
    as that of the table it is a partition of. Raises what `resolve` raises.
    """
    spoken = {(rule.table, rule.column) for rule in resolve(mask, contents).rules} if mask else set()
    found: dict[str, None] = {}
    for key, table in contents.tables.items():
        for column in map(names.key, filter(looks_personal, table.columns)):
            if not any((of, column) in spoken for of in (key, *ancestors(contents, key))):
                found[f"{_top(contents, key, column)}.{column}"] = None
    return list(found)


def require(contents: Contents, mask: Mask | None) -> None:
    """Raises Refused when a column looks personal and no rule speaks of it, naming all of them."""
    found = unmasked(contents, mask)
    if found:
        listed = "\n".join(f"    {column}: null" for column in found)
        look = "1 column looks" if len(found) == 1 else f"{len(found)} columns look"
        raise Refused(
            f"{look} personal, and no rule of MASK speaks of it:\n{listed}",
            "add these lines to MASK, each with the kind that fits, or keep where everybody may see it",
        )


def looks_personal(column: str) -> bool:
    """`column` in any of the usual ways to join words: emailAddress, e_mail, PHONE2."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]+", "_", column).lower()
    return bool(_ANYWHERE.search(words) or _AS_A_WORD.search(words))


def _top(contents: Contents, key: str, column: str) -> str:
    """The table furthest up that has the column."""
    above = [a for a in ancestors(contents, key) if column in map(names.key, columns(contents, a))]
    return above[-1] if above else key
