//! The systemd unit's sandbox, of which systemd says what it means and the kernel keeps it: a push goes live in it, and a
//! hook reaches nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use landfall::clients::process;
use nix::unistd::geteuid;

use crate::shipped::Shipped;

const NOBODY: u32 = 65_534;
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/landfall.service");
const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/sandbox.py");

/// What a hook tries in vain, a line each. It tells which of them it could do.
const TRIES: &[&str] = &[
    "touch /etc/landfall-was-here",
    "touch /usr/bin/landfall-was-here",
    "touch /opt/landfall-was-here",
    "ls /root",
    "unshare --user true",
    "unshare --mount true",
    "chroot / true",
    "mount -t tmpfs none /mnt",
    "mknod \"$HERE/device\" c 1 3",
    "install -m 4755 /bin/true \"$HERE/setuid\"",
    "dmesg",
    "hostname landfall-was-here",
    "date --set 2000-01-01",
    "renice -n -5 $$",
    "cat /proc/1/environ",
    "cat /proc/sys/kernel/hostname",
    "python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)'",
    "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
    "python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)'",
];

/// The hook of the site: everything in vain, but for what has to go.
fn hook(site: &Path) -> String {
    let tries: String =
        TRIES.iter().map(|it| format!("if ({it}) >/dev/null 2>&1; then echo {}; fi\n", shell_word(it))).collect();
    format!(
        "#!/bin/sh\nHERE={0}\nexport HERE\n({tries}) > {0}/could\nid -u > {0}/as\ntouch /tmp/mine && touch {0}/wrote\n",
        site.display()
    )
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn a_push_goes_live_in_the_units_sandbox_and_its_hook_reaches_nothing_else() {
    let may_unshare = || process::blocking_program("unshare").args(["--mount", "true"]).status();
    if !geteuid().is_root() || !may_unshare().is_ok_and(|it| it.success()) {
        println!("skipped: only root, with the right to make namespaces, can build a sandbox");
        return;
    }
    let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    if hidden.iter().any(|it| Path::new(env!("CARGO_TARGET_TMPDIR")).starts_with(it)) {
        println!("skipped: the sandbox hides {hidden:?}, and this checkout lies there");
        return;
    }
    let mut bot = Shipped::new();
    bot.repo.write("check.sh", &hook(&bot.path("site")), 0o755);
    fs::set_permissions(bot.path(""), Permissions::from_mode(0o755)).unwrap();
    for name in ["state", "site"] {
        chown(bot.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut command = bot.command(Path::new("python3"));
    command.args([STAND_IN, UNIT, &NOBODY.to_string()]).args([bot.path("state"), bot.path("site")]);
    command.arg("--").arg(bot.path("landfall")).arg("serve");
    bot.serve_as(command);
    let sha = bot.push("one");
    bot.goes_live(&sha);

    let read = |name: &str| fs::read_to_string(bot.path("site").join(name)).unwrap();
    assert_eq!((read("index.html"), read("as").trim(), read("wrote").as_str()), ("one".into(), "65534", ""));
    assert_eq!(read("could"), "", "what the hook could do that the unit takes from it");
    assert!(!Path::new("/tmp/mine").exists(), "its /tmp is its own");
    assert_eq!(bot.ends(), Some(0), "{}", bot.log());
}

/// Without the sandbox the same hook, by the same user, reaches further: the test above can fail.
#[test]
fn without_the_sandbox_the_same_hook_reaches_further() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("hook.sh");
    // Never as root, who could do all of it.
    fs::write(&script, hook(dir.path()).replace("/tmp/mine", "$HERE/mine")).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let mut command = process::blocking_program("sh");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    assert!(command.arg(&script).status().unwrap().success());
    let could = fs::read_to_string(dir.path().join("could")).unwrap();
    assert!(could.contains("PROT_EXEC") && could.contains("AF_NETLINK"), "{could}");
}
