//! Whether this machine would carry deployments out, looked at without making or touching anything.

use std::io;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::account::Account;
use super::error::HostError;
use super::install;
use crate::domain::{Checkup, Failure, Finding, HostSpec};

/// Looks at what a target of this machine needs: its directory, the user of its hooks (R36, R37), access control lists.
/// The users that an AppSpec's `runas` names are known only when there is one.
pub fn checkup(spec: &HostSpec) -> Vec<Checkup> {
    let there = spec.root.ancestors().find(|it| it.is_dir()).unwrap_or(Path::new("/"));
    vec![root(spec, there), user(spec.user.as_deref(), &Account::own(), Account::can_change()), lists(there)]
}

fn root(spec: &HostSpec, there: &Path) -> Checkup {
    const ABOUT: &str = "engine's directory";
    let asked = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    match faccessat(AT_FDCWD, there, asked, AtFlags::AT_EACCESS) {
        Ok(()) if there == spec.root => Checkup::ok(ABOUT, format!("`{}` can be written to", there.display())),
        Ok(()) => Checkup::ok(ABOUT, format!("`{}` is made at the first deployment", spec.root.display())),
        Err(errno) => Checkup::failed(ABOUT, HostError::on("write to", there)(io::Error::from(errno)).failure()),
    }
}

/// Whoever may push runs code as the hooks' user: the bot's own is the worst to choose.
fn user(wanted: Option<&str>, own: &Account, can_change: bool) -> Checkup {
    const ABOUT: &str = "hooks' user";
    let Some(name) = wanted else {
        let text =
            format!("hooks without `runas` run as `{}`, as the bot does: whoever may push can do all it can", own.name);
        let help = if can_change {
            "add `user = \"NAME\"` under `[target.engine]`"
        } else {
            "run the bot as root, which can become other users, and add `user = \"NAME\"` under `[target.engine]`"
        };
        return Checkup::found(ABOUT, Finding::warning("host/shared-user", text).help(help));
    };
    let Some(account) = Account::named(name) else {
        let text = format!("hooks are to run as `{name}`, and there is no such user on this machine");
        let failure = Failure::setup("host/unknown-user", text);
        return Checkup::failed(
            ABOUT,
            failure.help(format!("create it (`useradd --system {name}`), or correct `user`")),
        );
    };
    if account.uid == own.uid {
        let text = format!("hooks run as `{name}`, as the bot does: whoever may push can do all it can");
        let finding = Finding::warning("host/shared-user", text);
        return Checkup::found(ABOUT, finding.help("give the hooks a user of their own"));
    }
    if !can_change {
        let text =
            format!("hooks are to run as `{name}`, and only root can become another user: this is `{}`", own.name);
        let help = "run the bot as root, or take `user` out and let hooks run as the bot does";
        return Checkup::failed(ABOUT, Failure::setup("host/not-root", text).help(help));
    }
    Checkup::ok(ABOUT, format!("hooks without `runas` run as `{name}`, not as the bot"))
}

fn lists(there: &Path) -> Checkup {
    const ABOUT: &str = "access lists";
    if install::keeps_access_lists(there) {
        return Checkup::ok(ABOUT, format!("the file system of `{}` keeps them", there.display()));
    }
    let text = format!("the file system of `{}` keeps no access control lists", there.display());
    let help = "leave `acls` out of AppSpecs, or install to a file system that keeps them";
    Checkup::found(ABOUT, Finding::warning("host/no-access-lists", text).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Standing;

    #[test]
    fn the_hooks_user_is_judged_by_who_the_bot_is() {
        let own = Account { name: "landfall".into(), uid: 4711, ..Account::own() };
        let told = |wanted, root| {
            let it = user(wanted, &own, root);
            (it.standing, it.code.unwrap_or_default())
        };
        assert_eq!(told(None, false), (Standing::Warning, "host/shared-user".into()), "R36");
        assert_eq!(told(Some("root"), false), (Standing::Failed, "host/not-root".into()), "R37");
        assert_eq!(told(Some("root"), true), (Standing::Ok, String::new()));
        assert_eq!(told(Some("no-such-user"), true), (Standing::Failed, "host/unknown-user".into()));
        let root = Account { name: "root".into(), uid: 0, ..own.clone() };
        assert_eq!(user(Some("root"), &root, true).standing, Standing::Warning);
        assert!(user(None, &own, false).help.unwrap().starts_with("run the bot as root"));
    }
}
