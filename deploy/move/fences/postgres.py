"""Postgres' fence: two lines before everything else in pg_hba.conf, and every session ended.

Facts: default_transaction_read_only is no fence (sessions that are open, BEGIN READ WRITE and COMMIT PREPARED write
through it). A line of pg_hba.conf with a mistake leaves the former rules in force: pg_hba_file_rules tells. pg_isready
still says that connections are accepted: only a login that is refused proves anything. A reload is done when
pg_conf_load_time of a new session is another. The socket in the server's own container stays open: we come in there.
A server that holds several sources has one fence: each of them puts it up again, and finds it standing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.move.handover import Handover
from deploy.move.site import Site
from deploy.move.sources import Held
from killick.engines.postgres.names import literal
from killick.errors import CommandFailed, KillickError, Refused

_ROUNDS = 4096  # of SCRAM, as Postgres does it
_NAMED = 3  # prepared transactions, in a message
_STILL = 77  # the word of _UP for sessions that do not end

_ASK = """
database=$1 role=$2
q() { psql -XAtqw -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$database" "$@"; }
over() { psql -XAtqw -h 127.0.0.1 "$@" -d "$database" -c 'SELECT 1' >/dev/null 2>&1; }
others="FROM pg_catalog.pg_stat_activity WHERE backend_type IN ('client backend', 'walsender')
  AND pid <> pg_catalog.pg_backend_pid() AND usename IS DISTINCT FROM '$role' AND datname IS NOT NULL"
prepared='SELECT to_json(ARRAY(SELECT gid FROM pg_prepared_xacts ORDER BY prepared))'
reload() {
  was=$(q -c 'SELECT pg_conf_load_time()')
  q -c 'SELECT pg_reload_conf()' >/dev/null
  n=0
  until [ "$(q -c 'SELECT pg_conf_load_time()')" != "$was" ]; do
    n=$((n + 1)); [ "$n" -lt 100 ] || { echo 'the server does not read its configuration again' >&2; exit 1; }
    sleep 0.1
  done
}
"""

_UP = """
q -f - >/dev/null
hba=$(q -c 'SHOW hba_file')
prior=$hba.$role
if [ ! -e "$prior" ]; then
  cp -p -- "$hba" "$prior.part"
  sync -- "$prior.part"
  mv -f -- "$prior.part" "$prior"
fi
cp -p -- "$prior" "$hba.new"
{
  printf 'host all "%s" all scram-sha-256\\nhost all all all reject\\n' "$role"
  cat -- "$prior"
} >"$hba.new"
sync -- "$hba.new"
mv -f -- "$hba.new" "$hba"
if [ "$(q -c 'SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL')" != 0 ]; then
  cp -p -- "$prior" "$hba.new"
  mv -f -- "$hba.new" "$hba"
  echo 'pg_hba.conf has a line that the server does not understand, by pg_hba_file_rules' >&2
  exit 1
fi
reload
n=0
until [ "$(q -c "SELECT count(pg_terminate_backend(pid)) $others")" = 0 ]; do
  n=$((n + 1)); [ "$n" -lt 100 ] || exit 77
  sleep 0.1
done
q -c "$prepared"
"""

_STANDS = """
hba=$(q -c 'SHOW hba_file')
[ -e "$hba.$role" ] || { echo 'no fence was put up'; exit 0; }
IFS= read -r PGPASSWORD; export PGPASSWORD
over -U "$role" || { echo 'the user of the move does not get in'; exit 0; }
unset PGPASSWORD
if over -U "${POSTGRES_USER:-postgres}"; then echo 'others get in'; exit 0; fi
[ "$(q -c "SELECT count(*) $others")" = 0 ] || { echo 'somebody is in'; exit 0; }
[ "$(q -c "$prepared")" = '[]' ] || { echo 'a prepared transaction is open'; exit 0; }
"""

_LIFT = """
hba=$(q -c 'SHOW hba_file')
rm -f -- "$hba.new" "$hba.$role.part"
if [ -e "$hba.$role" ]; then
  if ! cmp -s -- "$hba.$role" "$hba"; then
    cp -p -- "$hba.$role" "$hba.new"
    sync -- "$hba.new"
    mv -f -- "$hba.new" "$hba"
  fi
  reload
  rm -f -- "$hba.$role"
fi
q -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '$role'" >/dev/null
q -c "DROP ROLE IF EXISTS \\"$role\\"" >/dev/null
"""

_MAY = """
[ "$(q -c 'SHOW is_superuser')" = on ] || { echo "${POSTGRES_USER:-postgres} is no superuser"; exit 0; }
hba=$(q -c 'SHOW hba_file')
[ -w "$hba" ] && [ -w "$(dirname -- "$hba")" ] || { echo "$hba may not be written"; exit 0; }
if grep -qF " $(readlink -f -- "$hba") " /proc/self/mountinfo; then echo "$hba is mounted by itself"; exit 0; fi
echo "prepared $(q -c "$prepared")"
echo "subscriptions $(q -c 'SELECT count(*) FROM pg_subscription WHERE subenabled')"
echo "replica $(q -c 'SELECT pg_is_in_recovery()::int')"
echo "cron $(q -c "SELECT count(*) FROM pg_settings WHERE name = 'cron.database_name'")"
"""


@dataclass(frozen=True)
class Postgres:
    site: Site
    held: Held
    id: str

    @property
    def user(self) -> str:
        return f"move_{self.id.lower()}"

    def in_the_way(self) -> Iterator[str]:
        name, service = self.held.source, self.held.service
        for other, mount in self._socket():
            yield (
                f"{name}: {other} reaches the server by its socket too ({mount}), which no fence closes "
                f"(let {other} connect to {service} over the network)"
            )
        told = dict(line.partition(" ")[::2] for line in self._ask(_MAY).splitlines() if line)
        if "prepared" not in told:
            yield (
                f"{name}: no fence can be put up: {' '.join(filter(None, next(iter(told.items()), ())))} "
                f"(POSTGRES_USER of {service} has to be a superuser by its socket, and pg_hba.conf its own file)"
            )
            return
        if gids := json.loads(told["prepared"]):
            message, cure = self._prepared(gids)
            yield f"{message} ({cure})"
        if told["subscriptions"] != "0":
            yield f"{name}: a subscription writes into it (ALTER SUBSCRIPTION … DISABLE)"
        if told["replica"] != "0":
            yield f"{name}: it is a replica (move its primary)"
        if told["cron"] != "0":
            yield f"{name}: pg_cron writes from inside the server (set cron.launch_active_jobs = off for the move)"

    def up(self) -> None:
        verifier = _scram(Handover(self.site, self.id).password(self.held.service, make=True))
        try:
            gids = json.loads(self._ask(_UP, stdin=self._role(verifier).encode(), timeout=120))
        except CommandFailed as error:
            if error.status == _STILL:
                raise KillickError(
                    f"{self.held.source}: sessions on {self.site.host.name} do not end",
                    "see pg_stat_activity there, as POSTGRES_USER in the server's container",
                ) from None
            raise
        if gids:
            raise Refused(*self._prepared(gids))

    def lacks(self) -> str:
        password = Handover(self.site, self.id).password(self.held.service)
        return self._ask(_STANDS, stdin=f"{password}\n".encode()).strip()

    def quiet(self) -> str:
        return self._ask("q -c 'SELECT txid_snapshot_xmax(txid_current_snapshot())'").strip()

    def lift(self) -> None:
        self._ask(_LIFT, timeout=120)

    def _role(self, verifier: str) -> str:
        """It may read everything, and writes nothing by accident. The log sees a verifier, never the password."""
        role = f'"{self.user}"'
        return (
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal(self.user)}) THEN"
            f" CREATE ROLE {role}; END IF; END $$;"
            f"ALTER ROLE {role} LOGIN SUPERUSER PASSWORD {literal(verifier)};"
            f"ALTER ROLE {role} SET default_transaction_read_only = on;"
        )

    def _prepared(self, gids: Sequence[str]) -> tuple[str, str]:
        """What is wrong, and the cure."""
        named = ", ".join(map(literal, gids[:_NAMED])) + (f" and {len(gids) - _NAMED} more" if gids[_NAMED:] else "")
        return (
            f"{self.held.source}: prepared transactions are open, whose COMMIT PREPARED would write later: {named}",
            "end each, in its own database (pg_prepared_xacts): COMMIT PREPARED or ROLLBACK PREPARED, and its name",
        )

    def _socket(self) -> Iterator[tuple[str, str]]:
        """Other services that share a mount with the folder of the server's socket."""
        services = self.site.config()["services"]
        own = {
            volume.get("source")
            for volume in services.get(self.held.service, {}).get("volumes") or ()
            if volume.get("source") and "/run/postgresql/" in f"{volume.get('target')}/"
        }
        for name, service in services.items():
            for volume in service.get("volumes") or ():
                if name != self.held.service and volume.get("source") in own:
                    yield name, volume["source"]

    def _ask(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> str:
        return self.site.inside(
            self.held.service, _ASK + script, self.held.database, self.user, stdin=stdin, timeout=timeout
        )


def fence(site: Site, held: Held, id: str) -> Postgres:
    return Postgres(site, held, id)


def _scram(password: str) -> str:
    """What Postgres keeps of a password (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    coded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ROUNDS}:{coded[0]}${coded[1]}:{coded[2]}"
