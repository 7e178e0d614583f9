"""Starts a program that runs other people's code: without a network, without our files, without our rights.

A dump is code: what restores it runs it as the database's superuser, COPY … TO PROGRAM included. This file is run
as a script, by its path (`python -I -S confine.py POLICY PROGRAM…`), so it needs nothing but the standard library.
It takes these steps in itself and then becomes the program:
    another user             when POLICY names one; then no other group is kept
    death with its parent    PR_SET_PDEATHSIG, after the change of user, which would clear it
    an empty environment     but for what POLICY names
    no network               a seccomp filter: sockets of the Unix family only, and none of them may connect, unless
                             POLICY says so: then it reaches those whose files it may write to
    no files of ours         Landlock: reads and runs what `read` names, writes below `write`, sees no /proc
A step that POLICY asks for and that cannot be taken ends it with status 125: nothing is silently left out.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

REFUSED = 125  # the status of a launcher that could not do all that it was asked to

# linux/prctl.h
_PDEATHSIG, _GET_DUMPABLE, _SET_DUMPABLE, _SET_SECCOMP, _NO_NEW_PRIVS = 1, 3, 4, 22, 38
_FILTER = 2

# linux/landlock.h; the numbers of its system calls are the same everywhere
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_READ = (1 << 0) | (1 << 2) | (1 << 3)  # execute, read a file, list a folder
_ON_FILES = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14) | (1 << 15)
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract Unix sockets, signals


@dataclass(frozen=True)
class Machine:
    """Numbers of the system calls that are denied, as the kernel of one architecture counts them."""

    audit: int
    socket: int
    socketpair: int
    connect: int
    ptrace: int
    process_vm_readv: int
    process_vm_writev: int
    io_uring_setup: int = 425  # its operations pass by every filter
    pidfd_getfd: int = 438


_MACHINES = {
    "x86_64": Machine(0xC000003E, 41, 53, 42, 101, 310, 311),
    "aarch64": Machine(0xC00000B7, 198, 199, 203, 117, 270, 271),
}


@dataclass(frozen=True)
class Policy:
    """What is asked of the launcher. `parent` is the process it must not outlive; `env` the whole environment.

    `passed` names what the program gets of the launcher's own environment: a policy stands in argv, which is no place
    for a secret. `cpus` is how many processors it may use, 0 for all of ours. It can take more of them: this is no
    guard. `connect` lets its Unix sockets connect.
    """

    parent: int
    read: tuple[str, ...]
    write: tuple[str, ...]
    user: tuple[int, int] | None = None
    env: dict[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    cpus: int = 0
    network: bool = True
    connect: bool = False
    files: bool = True


@dataclass(frozen=True)
class Guards:
    """What this kernel offers: a seccomp filter, and Landlock's version (0: none)."""

    seccomp: bool
    landlock: int


def argv(policy: Policy, program: tuple[str, ...]) -> tuple[str, ...]:
    """The command line that runs `program` under `policy`."""
    return (sys.executable, "-I", "-S", __file__, json.dumps(asdict(policy)), *program)


def guards() -> Guards:
    """Asks the kernel, and changes nothing."""
    known = platform.machine() in _MACHINES
    libc = ctypes.CDLL(None, use_errno=True)
    # a filter that is not there: EFAULT where filters are known, EINVAL where they are not
    libc.prctl(_SET_SECCOMP, _FILTER, None, 0, 0)
    seccomp = known and ctypes.get_errno() == 14
    return Guards(seccomp, max(0, libc.syscall(_CREATE, None, 0, 1)))


@contextmanager
def hidden() -> Iterator[None]:
    """Meanwhile nobody without root's rights can read our memory or environment, though they run as the same user."""
    before = hide()
    try:
        yield
    finally:
        ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 1 if before == 1 else 0, 0, 0, 0)


def hide() -> int:
    """The same, until the process ends. Gives what it was before."""
    libc = ctypes.CDLL(None, use_errno=True)
    before: int = libc.prctl(_GET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    return before


def confine(policy: Policy) -> None:
    """Takes every step of `policy` in this process. Raises OSError for one that the kernel refuses."""
    if policy.user is not None:
        uid, gid = policy.user
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if policy.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-policy.cpus :])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold rows
    _prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != policy.parent:
        raise OSError(0, "its parent is gone")
    _prctl(_NO_NEW_PRIVS, 1)
    if policy.files:
        _landlock(policy.read, policy.write)
    if policy.network:
        _seccomp(_MACHINES[platform.machine()], connect=policy.connect)


def _prctl(option: int, value: int, more: object = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), more, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def _landlock(read: tuple[str, ...], write: tuple[str, ...]) -> None:
    version = _landlock_call(_CREATE, None, 0, 1)
    rights = _RIGHTS[min(version, max(_RIGHTS))]
    attributes = struct.pack("QQQ", rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _landlock_call(_CREATE, attributes, size, 0)
    for path in read:
        _allow(rules, path, _READ, rights)
    for path in write:
        _allow(rules, path, rights, rights)
    _landlock_call(_RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, wanted: int, rights: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # not every system has every place
    try:
        if not stat.S_ISDIR(os.fstat(at).st_mode):
            wanted &= _ON_FILES
        beneath = struct.pack("=Qi", wanted & rights, at)
        _landlock_call(_ADD_RULE, rules, 1, beneath, 0)
    finally:
        os.close(at)


def _landlock_call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result


def _seccomp(machine: Machine, *, connect: bool) -> None:
    program = _filter(machine, connect=connect)
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(fprog, len(fprog)))


def _filter(machine: Machine, *, connect: bool) -> bytes:
    """Classic BPF over struct seccomp_data: nr at 0, arch at 4, the first argument's low half at 16."""
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    allow, deny = 0x7FFF0000, 0x00050000 | 1  # EPERM
    never = [
        machine.ptrace, machine.process_vm_readv, machine.process_vm_writev, machine.io_uring_setup,
        machine.pidfd_getfd, *(() if connect else (machine.connect,)),
    ]  # fmt: skip
    by_family = [machine.socket, machine.socketpair]
    # (code, where to go if so, if not, operand); places are counted at the end
    lines: list[tuple[int, str, str, int]] = [(load, "", "", 4), (equal, "", "deny", machine.audit), (load, "", "", 0)]
    lines += [(at_least, "deny", "", 0x40000000)]  # x32's calls, under another number
    lines += [(equal, "deny", "", number) for number in never]
    lines += [(equal, "family", "", number) for number in by_family]
    lines += [(end, "", "", allow)]
    places = {"family": len(lines), "deny": len(lines) + 2, "allow": len(lines) + 3}
    lines += [(load, "", "", 16), (equal, "allow", "", 1), (end, "", "", deny), (end, "", "", allow)]  # 1: AF_UNIX
    jumps = [
        (places[yes] - i - 1 if yes else 0, places[no] - i - 1 if no else 0) for i, (_, yes, no, _) in enumerate(lines)
    ]
    return b"".join(struct.pack("HBBI", line[0], *jump, line[3]) for line, jump in zip(lines, jumps, strict=True))


def main(arguments: list[str]) -> None:
    given = json.loads(arguments[0])
    given["user"] = tuple(given["user"]) if given["user"] else None
    policy, program = Policy(**given), arguments[1:]
    passed = {name: os.environ[name] for name in policy.passed}
    try:
        confine(policy)
        os.execve(program[0], program, {**policy.env, **passed})  # noqa: S606  # no shell is the point
    except OSError as error:
        sys.stderr.write(f"cannot be confined as asked: {error.strerror or error}: {program[0]}\n")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main(sys.argv[1:])
