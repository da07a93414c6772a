"""Starts a program in the sandbox that a systemd unit describes, where systemd itself does not run.

What the kernel does of it is done here by the same calls as systemd makes them, from the unit's own lines; which system
calls its filter means, systemd says. A line about the sandbox that this does not know is an error, not passed over.

usage: sandbox.py UNIT UID STATE_DIRECTORY WRITABLE [DROP_IN] -- PROGRAM [ARGUMENT…]
"""

import ctypes
import os
import subprocess
import sys

NEWNS, NEWIPC = 0x00020000, 0x08000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
ALLOW, EPERM, EAFNOSUPPORT, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050000 | 97, 0x00050000 | 38
EQ, MASKED_EQ, GT = 4, 7, 6
LAST_CAPABILITY = 40

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def check(done, what):
    if done != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def directives(*files):
    """What stands in [Service]: each with all its values, an empty one taking back those before it."""
    found, section = {}, None
    for file in files:
        for line in open(file, encoding="utf-8"):
            line = line.strip()
            if line.startswith("["):
                section = line
            elif line and not line.startswith("#") and section == "[Service]":
                name, _, value = line.partition("=")
                found[name] = found.get(name, []) + [value] if value else [""]
    return found


def mount(source, target, kind, flags, data=None):
    text = lambda it: it.encode() if it is not None else None
    check(libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)), f"mount {target}")


def mount_points():
    return [line.split()[4].encode().decode("unicode_escape") for line in open("/proc/self/mountinfo", encoding="utf-8")]


def below(path, folders):
    return any(path == it or path.startswith(it.rstrip("/") + "/") for it in folders)


def read_only(tree, but=()):
    for point in mount_points():
        if below(point, [tree]) and not below(point, but):
            try:
                mount(None, point, None, REMOUNT | BIND | RDONLY)
            except OSError as error:
                # A mount that another one hides cannot be named.
                if os.path.ismount(point):
                    raise error


def devices():
    os.makedirs("/run/landfall-dev", exist_ok=True)
    mount("tmpfs", "/run/landfall-dev", "tmpfs", NOSUID, "mode=755")
    for name in ["null", "zero", "full", "random", "urandom", "tty"]:
        open(f"/run/landfall-dev/{name}", "w").close()
        mount(f"/dev/{name}", f"/run/landfall-dev/{name}", None, BIND)
    for name, to in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]:
        os.symlink(to, f"/run/landfall-dev/{name}")
    mount("/run/landfall-dev", "/dev", None, BIND | REC)


def files(unit, writable):
    check(libc.unshare(NEWNS), "unshare")
    mount(None, "/", None, REC | PRIVATE)
    for path in writable:
        mount(path, path, None, BIND)
    kept = [*writable, "/proc", "/sys", "/dev"]
    if unit.pop("PrivateDevices") == ["yes"]:
        devices()
    if unit.pop("ProtectHome") == ["yes"]:
        for home in [it for it in ["/home", "/root", "/run/user"] if os.path.isdir(it)]:
            mount("tmpfs", home, "tmpfs", NOSUID | NODEV | NOEXEC, "mode=000")
    for entry in unit.pop("TemporaryFileSystem", [""])[-1].split():
        path, _, options = entry.partition(":")
        # One that lies above what has to be reached would hide it here; in the unit's own places none does.
        if any(below(it, [path]) for it in writable):
            raise SystemExit(f"{path} is above what is to be written: choose another place")
        assert options == "mode=1777,nosuid,nodev", options
        mount("tmpfs", path, "tmpfs", NOSUID | NODEV, "mode=1777")
        kept.append(path)
    if unit.pop("ProtectSystem") == ["strict"]:
        read_only("/", kept)
    if unit.pop("ProtectKernelTunables") == ["yes"]:
        read_only("/sys")
    if unit.pop("ProtectProc") == ["invisible"] and unit.pop("ProcSubset") == ["pid"]:
        mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC, "hidepid=invisible,subset=pid")
    # What the kernel itself keeps from a process without capabilities, which is tried too.
    for name in ["PrivateMounts", "ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelModules", "ProtectClock",
                 "ProtectHostname"]:
        assert unit.pop(name) == ["yes"], name


def rights(unit, uid):
    assert unit.pop("CapabilityBoundingSet") == [""] and unit.pop("AmbientCapabilities") == [""]
    for capability in range(LAST_CAPABILITY + 1):
        check(libc.prctl(24, capability, 0, 0, 0), "drop a capability")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    assert unit.pop("NoNewPrivileges") == ["yes"]
    check(libc.prctl(38, 1, 0, 0, 0), "no new privileges")


def members(name, sets):
    if not name.startswith("@"):
        return {name}
    return set().union(*(members(it, sets) for it in sets[name]))


def allowed(lines):
    told = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    sets, current = {}, None
    for line in told.splitlines():
        if line.startswith("@"):
            current = sets.setdefault(line.split()[0], [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            current.append(line.strip())
        elif line.startswith("#"):
            current = []
    calls = set()
    for line in lines:
        named = set().union(*(members(it, sets) for it in line.lstrip("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls | members("@default", sets)


def number(call):
    return seccomp.seccomp_syscall_resolve_name(call.encode())


def filtered(default, rules):
    """Loads one filter: for each rule the answer, the call, and what its arguments have to be."""
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
    for answer, call, arguments in rules:
        # One that this machine does not have needs no rule.
        if number(call) < 0:
            continue
        array = (Comparison * len(arguments))(*(Comparison(*it) for it in arguments))
        added = seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(answer), number(call), len(arguments), array)
        assert added == 0, (call, added)
    loaded = seccomp.seccomp_load(context)
    assert loaded == 0, loaded


def calls(unit):
    assert unit.pop("SystemCallErrorNumber") == ["EPERM"] and unit.pop("SystemCallArchitectures") == ["native"]
    wanted = allowed(unit.pop("SystemCallFilter"))
    rules = []
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    told = {families[it] for it in unit.pop("RestrictAddressFamilies")[-1].split()}
    rules += [(EAFNOSUPPORT, "socket", [(0, EQ, it, 0)]) for it in range(46) if it not in told]
    rules += [(EAFNOSUPPORT, "socket", [(0, GT, 45, 0)])]
    if unit.pop("RestrictNamespaces") == ["yes"]:
        for flag in [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]:
            rules += [(EPERM, call, [(0, MASKED_EQ, flag, flag)]) for call in ["clone", "unshare"]]
        rules += [(EPERM, "setns", []), (ENOSYS, "clone3", [])]
    if unit.pop("RestrictSUIDSGID") == ["yes"]:
        for bit in [0o4000, 0o2000]:
            places = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "creat": 1}
            rules += [(EPERM, call, [(at, MASKED_EQ, bit, bit)]) for call, at in places.items()]
    if unit.pop("MemoryDenyWriteExecute") == ["yes"]:
        rules += [(EPERM, "mmap", [(2, MASKED_EQ, 6, 6)]), (EPERM, "mprotect", [(2, MASKED_EQ, 4, 4)])]
        rules += [(EPERM, "pkey_mprotect", [(2, MASKED_EQ, 4, 4)]), (EPERM, "shmat", [(2, MASKED_EQ, 0o100000, 0o100000)])]
    if unit.pop("RestrictRealtime") == ["yes"]:
        rules += [(EPERM, "sched_setscheduler", [])]
    if unit.pop("LockPersonality") == ["yes"]:
        rules += [(EPERM, "personality", [(0, GT, 0, 0)])]
    # Each answer of a filter counts, the strictest of several.
    filtered(ALLOW, rules)
    filtered(EPERM, [(ALLOW, call, []) for call in sorted(wanted | {"seccomp", "prctl", "execve"})])


def main():
    at = sys.argv.index("--")
    unit_file, uid, state, writable, *drop_ins = sys.argv[1:at]
    unit = directives(unit_file, *drop_ins)
    assert unit.pop("StateDirectory") == ["landfall"] and unit.pop("StateDirectoryMode") == ["0700"]
    os.chmod(state, 0o700)
    # What is no sandbox, and what only systemd has.
    for name in ["ExecStart", "User", "Environment", "EnvironmentFile", "KillMode", "TimeoutStopSec", "Restart",
                 "RestartSec", "RestartPreventExitStatus", "LimitCORE", "LimitNOFILE", "KeyringMode", "RemoveIPC"]:
        unit.pop(name)
    files(unit, [state, writable])
    rights(unit, int(uid))
    calls(unit)
    assert not unit, f"this stand-in knows nothing of {sorted(unit)}"
    os.execv(sys.argv[at + 1], sys.argv[at + 1:])


main()
