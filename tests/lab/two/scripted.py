"""A move as a plain script, independent of the product: it proves the lab, and that the ledger can fail."""

from tests.lab.two import ADDRESS, Lab, _wait

_MAP = "/etc/haproxy/read_only.map"


def move(lab: Lab, *, careful: bool) -> None:
    """Dump, restore, switch. Without `careful` writes go on meanwhile: no read-only, no fence."""
    if careful:
        refuse(lab, on=True)
        lab.compose("old", "stop app")
        fence(lab)
    lab.compose("new", "up --detach --wait db")
    dumped = lab.compose("old", "exec -T db pg_dump -U shop --no-owner")
    lab.compose("new", "exec -T db psql -U shop -Xqv ON_ERROR_STOP=1 --single-transaction", stdin=dumped)
    lab.compose("new", "up --detach --wait app")
    switch(lab)
    if careful:
        refuse(lab, on=False)
    lab.compose("old", "stop app")


def refuse(lab: Lab, *, on: bool) -> None:
    said = lab.haproxy(f"set map {_MAP} shop {int(on)}")
    assert said == "", said
    lines = "default 0; 1 1;" if on else "default 0;"
    lab.on("old", _put("read_only.conf"), stdin=f"map $write $refused {{ {lines} }}\n")
    for machine in ("edge", "old"):
        _wait(lambda m=machine: (lab.status(m, method="POST", path="/nothing") == 503) == on, "refusal", lambda: "")  # type: ignore[misc]


def fence(lab: Lab) -> None:
    lab.compose(
        "old",
        'exec -T db sh -ec \'f=$PGDATA/pg_hba.conf; { echo "host all all all reject"; cat $f; } >$f.new; '
        "chown --reference=$f $f.new; mv $f.new $f'",
    )
    lab.sql("old", "SELECT pg_reload_conf()")
    others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    lab.sql("old", f"SELECT pg_terminate_backend(pid) {others}")
    _wait(lambda: lab.sql("old", f"SELECT count(*) {others}") == "0", "nobody is at the database", lambda: "")


def switch(lab: Lab) -> None:
    """The new server first: the other way round there is none for a moment."""
    said = lab.haproxy("set server shop/new state ready; set server shop/old state maint")
    assert said == "", said
    lab.on("old", _put("upstream.conf"), stdin=f"server {ADDRESS['new']}:80;\n")
    for machine in ("edge", "old"):
        _wait(lambda m=machine: lab.ask(m) == (200, "new"), "the switch", lambda: "")  # type: ignore[misc]


def canaries(lab: Lab, server: str) -> list[str]:
    return lab.sql(server, "SELECT id FROM canary").split()


def _put(name: str) -> str:
    path = f"/etc/nginx/killick/{name}"
    return f"cat >{path}.new && mv {path}.new {path} && nginx -t -q && nginx -s reload"
