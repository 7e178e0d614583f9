"""MongoDB's fence: the roles of every user are taken away and kept beside, sessions are killed; writes are blocked too
where the server knows how (replica sets from 6.0).

Facts: taking roles away acts at once on whoever is logged in. Logging in goes on being possible, so the proof is a
write that is refused. A transaction that is open could still be committed: killAllSessions ends it. fsyncLock can hang
new connections, and is not used. Without authentication nobody can be kept out.

What the users had lies in the database `killick`, which no backup holds, until the fence is lifted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.move.handover import Handover
from deploy.move.site import Site
from deploy.move.sources import Held
from killick.errors import CommandFailed

# The words on the command line hold no secret: passwords come by stdin, and from the container's own environment.
_ASK = """
IFS= read -r MOVE_PASSWORD || :
export MOVE_PASSWORD MOVE_USER="$1" MOVE_PORT="$2"
exec mongosh --quiet --norc --nodb --eval "$3"
"""

_BEGIN = """
const { MOVE_USER: user, MOVE_PASSWORD: password, MOVE_PORT: port } = process.env;
const file = process.env.MONGO_INITDB_ROOT_PASSWORD_FILE;
const root = {
  user: process.env.MONGO_INITDB_ROOT_USERNAME || '',
  pwd: process.env.MONGO_INITDB_ROOT_PASSWORD || (file ? require('fs').readFileSync(file, 'utf8').trim() : ''),
};
const reach = () => connect(`mongodb://127.0.0.1:${port}/admin?directConnection=true`);
const enter = (who) => { const a = reach(); a.auth(who); return a; };
const move = { user, pwd: password };
const tries = (what) => { try { const told = what(); return told; } catch (e) { return null; } }; // awaited by its name
const may = (who) => tries(() => enter(who));
const others = (a) => a.runCommand({ usersInfo: { forAllDBs: true } }).users
  .filter((each) => !(each.user === user && each.db === 'admin'));
const blocks = (a) => Boolean(a.hello().setName) && parseInt(a.version()) >= 6;
const kept = (a) => a.getSiblingDB('killick').getCollection('fence');
const say = (what) => print(JSON.stringify(what));
"""

_UP = """
let a = may(move);
if (!a) {
  const first = enter(root);
  if (first.getUser(user)) first.updateUser(user, { pwd: password, roles: ['root'] });
  else first.createUser({ user, pwd: password, roles: ['root'] });
  a = enter(move);
}
for (const each of others(a)) {
  if (!each.roles.length) continue;
  kept(a).updateOne({ _id: `${each.db}.${each.user}` },
    { $setOnInsert: { user: each.user, db: each.db, roles: each.roles } }, { upsert: true });
  a.getSiblingDB(each.db).updateUser(each.user, { roles: [] });
}
tries(() => a.adminCommand({ killAllSessions: [] })); // it may end our own too
a = enter(move);
if (blocks(a)) a.adminCommand({ setUserWriteBlockMode: 1, global: true });
say({});
"""

_STANDS = """
let lacks = '';
const a = may(move);
if (!a) {
  lacks = 'the user of the move does not get in';
} else if (others(a).some((each) => each.roles.length)) {
  lacks = 'others have roles';
} else {
  const b = may(root);
  const trial = () => b.getSiblingDB('killick').runCommand({ insert: 'trial', documents: [{}] });
  if (b && tries(trial)?.ok) lacks = 'others may write';
}
say({ lacks });
"""

_QUIET = """
const told = enter(move).serverStatus();
const { inserted, updated, deleted } = told.metrics.document;
say({ quiet: [told.pid, inserted, updated, deleted].map(String).join(' ') });
"""

_LIFT = """
const a = may(move);
if (a) {
  if (blocks(a)) a.adminCommand({ setUserWriteBlockMode: 1, global: false });
  for (const each of kept(a).find().toArray()) {
    a.getSiblingDB(each.db).updateUser(each.user, { roles: each.roles });
    kept(a).deleteOne({ _id: each._id });
  }
  kept(a).drop();
  const own = a.getSiblingDB('killick');
  if (!own.getCollectionNames().length) own.dropDatabase();
  a.dropUser(user);
}
say({});
"""

_MAY = """
let said = '';
if (tries(() => reach().runCommand({ usersInfo: { forAllDBs: true } }))?.ok) {
  said = 'it lets everybody in without a password';
} else {
  const a = may(root);
  if (!a) said = 'MONGO_INITDB_ROOT_USERNAME and its password do not get in';
  else if (!a.hello().isWritablePrimary) said = 'it is not the primary';
}
say({ said });
"""


@dataclass(frozen=True)
class MongoDB:
    site: Site
    held: Held
    id: str

    @property
    def user(self) -> str:
        return f"move_{self.id.lower()}"

    def in_the_way(self) -> Iterator[str]:
        try:
            said = self._ask(_MAY)["said"]
        except CommandFailed as error:
            said = f"mongosh in {self.held.service} ended with {error.status}: {error.stderr}"
        if said:
            yield (
                f"{self.held.source}: no fence can be put up: {said} (start {self.held.service} with authentication, "
                "with mongosh in its image and MONGO_INITDB_ROOT_USERNAME and _PASSWORD in its environment)"
            )

    def up(self) -> None:
        self._ask(_UP, make=True)

    def lacks(self) -> str:
        return str(self._ask(_STANDS)["lacks"])

    def quiet(self) -> str:
        return str(self._ask(_QUIET)["quiet"])

    def lift(self) -> None:
        self._ask(_LIFT)

    def _ask(self, script: str, *, make: bool = False) -> dict[str, Any]:
        password = Handover(self.site, self.id).password(self.held.service, make=make)
        port = str(urlsplit(self.held.url).port or 27017)
        told = self.site.inside(
            self.held.service, _ASK, self.user, port, _BEGIN + script, stdin=f"{password}\n".encode(), timeout=120
        )
        found: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
        return found


def fence(site: Site, held: Held, id: str) -> MongoDB:
    return MongoDB(site, held, id)
