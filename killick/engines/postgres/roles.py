"""What belongs to the cluster and not to the database: the roles that it names, and settings made by ALTER DATABASE.

Neither pg_dump nor pg_restore carries them. Roles go into globals.sql, which psql can run as often as one likes;
no password is in it. Settings go into Contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from killick.engines.postgres import names
from killick.engines.postgres.session import Session

FILE = "globals.sql"
_ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolinherit": "INHERIT",
    "rolcanlogin": "LOGIN",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
_LISTS = {  # settings whose value is a list of names: each is quoted by itself
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
}
_REFUSED = re.compile(r"the setting .* of the role .* could not be made: .*")
_NEVER_REPLAYED = "default_transaction_read_only"  # a courtesy of a moved database, and a copy is written into
# The bootstrap role is in no dependency: it is named by whatever it owns, so it always counts.
_NAMED = """
    WITH RECURSIVE named(oid) AS (
        SELECT refobjid FROM pg_catalog.pg_shdepend
        WHERE refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
            AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        UNION SELECT 10::oid
        UNION SELECT setrole FROM pg_catalog.pg_db_role_setting
            WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN named ON m.member = named.oid
    )
    SELECT r.oid::bigint FROM pg_catalog.pg_roles r JOIN named ON r.oid = named.oid
    WHERE r.rolname::text !~ '^pg_' ORDER BY r.rolname::text COLLATE "C" """


def named(session: Session) -> list[int]:
    """Oids of the roles that owners, grants, policies and settings name, and of those they are members of."""
    return [row[0] for row in session.rows(_NAMED)]


def role_names(session: Session, oids: Iterable[int]) -> tuple[str, ...]:
    return tuple(
        row[0]
        for row in session.rows(
            f"SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid IN ({_list(oids)})"
            ' ORDER BY rolname::text COLLATE "C"'
        )
    )


def existing(session: Session) -> set[str]:
    return {row[0] for row in session.rows("SELECT rolname::text FROM pg_catalog.pg_roles")}


def required(session: Session) -> dict[str, str]:
    """Roles without which even a restore without owners fails: policies and user mappings name them."""
    found = session.rows("""
        SELECT r.rolname::text, pg_catalog.string_agg(DISTINCT why, ', ' ORDER BY why) FROM (
            SELECT pg_catalog.unnest(polroles) AS role, 'policy' AS why FROM pg_catalog.pg_policy
            UNION SELECT umuser, 'user mapping' FROM pg_catalog.pg_user_mappings
        ) x JOIN pg_catalog.pg_roles r ON r.oid = x.role WHERE r.rolname::text !~ '^pg_' GROUP BY 1""")
    return dict(found)


def globals_sql(session: Session, oids: list[int]) -> str:
    """Each role is made when it is not there; an existing one is left as it is."""
    listed = _list(oids)
    flags = ", ".join(_ATTRIBUTES)
    text = ["-- The roles that this database names. No passwords: set them by hand."]
    settings = _role_settings(session, listed)
    for oid, name, limit, comment, *on in session.rows(
        f"SELECT oid::bigint, rolname::text, rolconnlimit, pg_catalog.shobj_description(oid, 'pg_authid'), {flags}"
        f' FROM pg_catalog.pg_roles WHERE oid IN ({listed}) ORDER BY rolname::text COLLATE "C"'
    ):
        attributes = [word if yes else f"NO{word}" for word, yes in zip(_ATTRIBUTES.values(), on, strict=True)]
        role = names.sql(name)
        made = [f"CREATE ROLE {role} WITH {' '.join(attributes)} CONNECTION LIMIT {limit};"]
        made += [_set_where_possible(role, setting) for setting in settings.get(oid, ())]
        if comment:
            made.append(f"COMMENT ON ROLE {role} IS {names.literal(comment)};")
        text.append(_unless(f"SELECT FROM pg_catalog.pg_roles WHERE rolname = {names.literal(name)}", made))
    inherit = ", m.inherit_option, m.set_option" if session.major >= 16 else ""
    for group, member, admin, *rest in session.rows(
        f"SELECT g.rolname::text, r.rolname::text, m.admin_option{inherit} FROM pg_catalog.pg_auth_members m"
        " JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles r ON r.oid = m.member"
        f" WHERE m.member IN ({listed}) AND (m.roleid IN ({listed}) OR g.rolname::text ~ '^pg_')"
        ' ORDER BY g.rolname::text COLLATE "C", r.rolname::text COLLATE "C"'
    ):
        options = [f"ADMIN {admin}"] + [f"{word} {on}" for word, on in zip(("INHERIT", "SET"), rest, strict=False)]
        with_ = f" WITH {', '.join(options).upper()}" if rest else (" WITH ADMIN OPTION" if admin else "")
        there = (
            "SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN"
            f" pg_catalog.pg_roles r ON r.oid = m.member WHERE g.rolname = {names.literal(group)}"
            f" AND r.rolname = {names.literal(member)}"
        )
        text.append(_unless(there, [f"GRANT {names.sql(group)} TO {names.sql(member)}{with_};"]))
    return "\n".join(text) + "\n"


def of_names(roles: Iterable[str]) -> str:
    """The same where no more is known of roles than their names: they may not log in."""
    text = ["-- The roles that this dump names, and nothing is told of."]
    for role in roles:
        there = f"SELECT FROM pg_catalog.pg_roles WHERE rolname = {names.literal(role)}"
        text.append(_unless(there, [f"CREATE ROLE {names.sql(role)} NOLOGIN;"]))
    return "\n".join(text) + "\n"


def settings(session: Session) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Of ALTER DATABASE, {"work_mem": "64MB"}; of ALTER ROLE … IN DATABASE, {"app search_path": "…"}; and notes."""
    of_all: dict[str, str] = {}
    of_roles: dict[str, str] = {}
    notes = []
    for role, setting in session.rows(
        "SELECT coalesce(r.rolname::text, ''), pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s"
        " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE s.setdatabase ="
        " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1, 2"
    ):
        name, _, value = setting.partition("=")
        if name == _NEVER_REPLAYED:
            notes.append(f"the database is set to {name} = {value}: a copy is not")
        elif role:
            of_roles[f"{names.key(role)} {name}"] = value
        else:
            of_all[name] = value
    return of_all, of_roles, notes


def replay(database: str, key: str, value: str) -> str:
    """The statement for one entry of `settings`, of either kind."""
    role, _, name = key.rpartition(" ")
    where = f"DATABASE {names.sql(database)}"
    if role:
        role = role[1:-1].replace('""', '"') if role.startswith('"') else role
        where = f"ROLE {names.sql(role)} IN {where}"
    return f"ALTER {where} SET {_assignment(f'{name}={value}')}"


def refused(notice: str) -> str | None:
    """The sentence about a role's setting that globals.sql could not make, where the server's `notice` is one."""
    found = _REFUSED.search(notice)
    return found and found[0]


def _set_where_possible(role: str, setting: str) -> str:
    """A locale that the server lacks, or a setting that is of another major, must not cost the role."""
    refusal = names.literal(f"the setting {setting.partition('=')[0]} of the role {role} could not be made: ")
    return (
        f"BEGIN ALTER ROLE {role} SET {_assignment(setting)};"
        " EXCEPTION WHEN invalid_parameter_value OR undefined_object THEN"
        f" RAISE WARNING USING MESSAGE = {refusal} || SQLERRM; END;"
    )


def _role_settings(session: Session, listed: str) -> Mapping[int, list[str]]:
    return dict(
        session.rows(
            "SELECT setrole::bigint, setconfig FROM pg_catalog.pg_db_role_setting"
            f" WHERE setdatabase = 0 AND setrole IN ({listed})"
        )
    )


def _assignment(setting: str) -> str:
    name, _, value = setting.partition("=")
    values = _names(value) if name.lower() in _LISTS else [value]
    return f"{names.sql(name)} TO {', '.join(map(names.literal, values)) or names.literal('')}"


def _names(value: str) -> list[str]:
    """The names of a list as the server stores it: "$user", public."""
    found, rest = [], value.strip()
    while rest:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and (rest[end] != '"' or rest[end : end + 2] == '""'):
                end += 2 if rest[end] == '"' else 1
            found.append(rest[1:end].replace('""', '"'))
            rest = rest[end + 1 :].lstrip()
        else:
            name, _, _ = rest.partition(",")
            found.append(name.strip())
            rest = rest[len(name) :]
        rest = rest.removeprefix(",").lstrip()
    return found


def _unless(query: str, statements: list[str]) -> str:
    body = f"BEGIN IF NOT EXISTS ({query}) THEN {' '.join(statements)} END IF; END"
    tag = "$killick$"
    while tag in body:
        tag = f"$k{tag[1:]}"
    return f"DO {tag} {body} {tag};"


def _list(oids: Iterable[int]) -> str:
    return ", ".join(map(str, oids)) or "0"
