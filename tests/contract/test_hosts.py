"""One contract for every host: this machine, and another over a real sshd."""

import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.move import hosts
from deploy.move.hosts import Host, Local, Ssh
from killick.errors import CommandFailed, NotFound, SettingsError, Unreachable
from killick.process import run, write_to
from tests.lab.sshd import Sshd

WORDS = ("a b", "it's", 'say "x"', "$HOME", "a\nb", "", "*", "\\", "--", "ü", "`id`", "!x")


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture
def there(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssh]:
    monkeypatch.setenv("PATH", sshd.environment()["PATH"])
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    sshd.know("host")
    host = Ssh("there")
    yield host
    host.close()


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest) -> Host:
    found: Host = Local() if request.param == "local" else request.getfixturevalue("there")
    return found


def test_words_arrive_as_they_are(host: Host) -> None:
    told = host.run(["python3", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *WORDS])
    assert tuple(json.loads(told)) == WORDS
    assert host.shell('printf "%s|" "$@"', *WORDS) == "".join(f"{word}|" for word in WORDS)


def test_stdin_of_any_size_and_any_bytes(host: Host) -> None:
    data = os.urandom(20 << 20)
    assert host.run(["sha256sum"], stdin=data).split()[0] == hashlib.sha256(data).hexdigest()
    assert host.run(["cat"]) == ""


def test_what_failed_is_told_with_its_last_words(host: Host) -> None:
    with pytest.raises(CommandFailed) as error:
        host.shell("echo first >&2; echo last words >&2; exit 3")
    assert (error.value.status, "last words" in str(error.value)) == (3, True)
    with pytest.raises(CommandFailed) as error:
        host.run(["no-such-program"])
    assert error.value.status == 127


def test_what_runs_there_speaks_english(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are read; the host's own language is German."""
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    assert host.shell('echo "$LANG $LC_ALL $LANGUAGE."') == "de_DE.UTF-8 C.UTF-8 .\n"
    assert host.run(["df", "-Pk", "/"]).startswith("Filesystem")
    with pytest.raises(CommandFailed, match="No such file or directory"):
        host.run(["cat", "/nowhere"])


def test_a_script_stops_at_its_first_failure_and_at_an_unset_variable(host: Host) -> None:
    for script in ("false; echo on", 'echo "$nowhere"; echo on'):
        with pytest.raises(CommandFailed):
            host.shell(script)


def test_a_file_is_written_whole_and_keeps_owner_and_link(host: Host, tmp_path: Path) -> None:
    path, link = tmp_path / "it's a file", tmp_path / "link"
    with pytest.raises(NotFound):
        host.read(str(path))
    host.write(str(path), b"one")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o644)
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
    link.symlink_to(path)
    data = bytes(range(256)) * 5000
    host.write(str(link), data, 0o600)
    assert host.read(str(link)) == data == path.read_bytes()
    assert link.is_symlink()
    found = path.stat()
    assert found.st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        assert (found.st_uid, found.st_gid) == (1234, 5678)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["it's a file", "link"]


def test_a_folder_that_is_not_there_is_no_place_to_write(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        host.write(str(tmp_path / "nowhere" / "file"), b"one")


def test_what_takes_too_long_is_given_up(host: Host) -> None:
    with pytest.raises(TimeoutError, match="sleep"):
        host.run(["sleep", "60"], timeout=0.5)
    assert host.run(["echo", "on"]) == "on\n"


def test_a_pipe_from_host_to_host(host: Host, tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from" / "a b").write_bytes(os.urandom(3 << 20))
    send = host.command(["tar", "-C", str(tmp_path / "from"), "-cf", "-", "."])
    take = host.command(["tar", "-C", str(tmp_path / "to"), "-xf", "-"])
    with write_to(send, take):
        pass
    assert (tmp_path / "to" / "a b").read_bytes() == (tmp_path / "from" / "a b").read_bytes()


def test_a_secret_is_in_no_command_line(sshd: Sshd, host: Host, tmp_path: Path) -> None:
    """Neither here nor there: everything that ssh was given is on record, and /proc has what runs there."""
    host.write(str(tmp_path / "secret"), b"hunter2-over-the-wire", 0o600)
    mine = host.shell(
        "read -r secret; [ $secret = $(printf hunter2-%s over-the-wire) ]; cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
        stdin=b"hunter2-over-the-wire\n",
    )
    recorded = (sshd.folder / "argv").read_text() if (sshd.folder / "argv").exists() else ""
    assert "hunter2-over-the-wire" not in mine + recorded


def test_one_session_serves_all(sshd: Sshd, there: Ssh) -> None:
    before = _connections(sshd)
    for _ in range(5):
        there.run(["true"])
    assert _connections(sshd) == before + 1


def test_an_unknown_host_key_is_refused_with_the_cure(sshd: Sshd, there: Ssh) -> None:
    for key, cure in (("", "known_hosts"), ("stranger", "ssh-keygen -R")):
        sshd.know(key)
        with pytest.raises(Unreachable) as error:
            there.run(["true"])
        assert cure in error.value.hint
        assert sshd.known.read_text().count("\n") == (1 if key else 0)


def test_a_key_that_is_not_taken(sshd: Sshd, there: Ssh) -> None:
    kept = (sshd.folder / "authorized").read_bytes()
    (sshd.folder / "authorized").write_bytes(b"")
    try:
        with pytest.raises(Unreachable, match="Permission denied") as error:
            there.run(["true"])
        assert "authorized_keys" in error.value.hint
    finally:
        (sshd.folder / "authorized").write_bytes(kept)


def test_a_connection_that_is_cut_in_the_middle(sshd: Sshd, there: Ssh, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(Unreachable, match=r"there is not reached by ssh: Connection to .* closed by remote host"):
        _meanwhile(lambda: there.shell(': >"$1"; exec sleep 60', str(runs)), runs, lambda: sshd.signal(signal.SIGKILL))
    assert there.run(["echo", "again"]) == "again\n"


def test_what_arrived_in_part_takes_no_files_place(there: Ssh, tmp_path: Path) -> None:
    """The other end sees an end of file, and nothing else, when the connection is cut."""
    path = tmp_path / "file"
    path.write_bytes(b"prior")
    with pytest.raises(CommandFailed, match="only a part"):
        there.run(["sh", "-euc", hosts._WRITE, "killick", str(path), "644", "1000"], stdin=b"only this much")
    assert path.read_bytes() == b"prior"
    assert list(tmp_path.iterdir()) == [path]


def test_a_host_that_hangs_never_hangs_us(sshd: Sshd, there: Ssh) -> None:
    there.run(["true"])
    sshd.signal(signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            there.run(["true"], timeout=1)
    finally:
        sshd.signal(signal.SIGCONT)
    assert there.run(["echo", "again"]) == "again\n"


def test_a_host_that_falls_silent_is_given_up(sshd: Sshd, there: Ssh) -> None:
    """Without a time limit of ours: ssh itself ends it."""
    there.run(["true"])
    sshd.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="not responding"):
            there.run(["true"], timeout=60)
    finally:
        sshd.signal(signal.SIGCONT)


def test_a_command_never_begins_a_connection_of_its_own(sshd: Sshd, there: Ssh) -> None:
    """ssh's own way when the session is lost: what ran there already would run again."""
    before = _connections(sshd)
    command = there.command(["echo", "again"])
    assert there._session is not None
    there._session.stop()
    with pytest.raises(CommandFailed) as error:
        run(command)
    assert error.value.status == 255
    assert _connections(sshd) == before + 1


def test_a_connection_that_is_lost_while_it_is_opened(sshd: Sshd, there: Ssh) -> None:
    """What ssh says then is of level INFO."""
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.01):
            sshd.signal(signal.SIGKILL)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        with pytest.raises(Unreachable) as error:
            there.run(["sleep", "10"])
    finally:
        stop.set()
        thread.join()
    assert "it said nothing" not in str(error.value)


def test_a_pipe_out_of_a_host_that_is_cut_is_no_end_of_it(sshd: Sshd, there: Ssh, tmp_path: Path) -> None:
    runs = tmp_path / "runs"

    def pipe() -> None:
        send = there.command(["sh", "-c", ': >"$0"; for i in $(seq 300); do echo x; sleep 0.1; done', str(runs)])
        with (tmp_path / "got").open("wb") as file, write_to(send, stdout=file):
            pass

    with pytest.raises(CommandFailed):
        _meanwhile(pipe, runs, lambda: sshd.signal(signal.SIGKILL))


def test_a_port_where_nobody_listens(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", sshd.environment()["PATH"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            Ssh("127.0.0.1", "root", free.getsockname()[1]).run(["true"])


def test_nothing_of_a_session_is_left(there: Ssh) -> None:
    there.run(["true"])
    socket_ = Path(there._socket)
    assert socket_.parent.stat().st_mode & 0o777 == 0o700
    there.close()
    assert not socket_.parent.exists()
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert str(socket_) not in running


@pytest.mark.parametrize("url", [
    "ssh://", "http://old", "old.example", "ssh://me:secret@old", "ssh://old/path", "ssh://-oProxyCommand=x",
    "ssh://a b", "ssh://old:port", "ssh://old?x=1", "",
])  # fmt: skip
def test_what_is_no_host(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        hosts.connect(url)
    assert "secret" not in str(error.value)


def test_hosts_by_url() -> None:
    assert hosts.connect("local").name == "local"
    host = hosts.connect("ssh://deploy@old.example:2222")
    assert host is hosts.connect("ssh://deploy@old.example:2222")
    assert isinstance(host, Ssh)
    assert (host.name, shlex.join(host._to)) == ("old.example", "-l deploy -p 2222 -- old.example")


def _connections(sshd: Sshd) -> int:
    return sshd.log.read_text(errors="replace").count("Accepted publickey")


def _meanwhile(work: Callable[[], Any], runs: Path, then: Callable[[], None]) -> None:
    """`then` is done, in another thread, once `work` made the file `runs` on the other side."""
    stop = threading.Event()

    def wait() -> None:
        while not stop.wait(0.02):
            if runs.exists():
                then()
                return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
