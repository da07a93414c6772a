//! What a hook script finds in its environment (R33-R36). Nothing of the bot's own.

use std::path::Path;

use super::account::Account;
use super::intent::RunIntent;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables for one event's scripts, run as `account` from the revision unpacked in `archive`.
pub(super) fn variables(intent: &RunIntent, event: &str, account: &Account, archive: &Path) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = vec![
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", text(&account.home)),
        ("USER", account.name.clone()),
        ("LOGNAME", account.name.clone()),
        ("SHELL", text(&account.shell)),
        ("APPLICATION_NAME", intent.application.clone()),
        ("DEPLOYMENT_ID", intent.run.to_string()),
        ("DEPLOYMENT_GROUP_NAME", intent.deployment_group.clone()),
        ("DEPLOYMENT_GROUP_ID", intent.group.to_string()),
        ("LIFECYCLE_EVENT", event.to_owned()),
        // AWS's agent has no such variable: during ApplicationStop the documented path leads nowhere (R5).
        ("DEPLOYMENT_ARCHIVE", text(archive)),
    ];
    if let Some(commit) = &intent.commit {
        variables.push(("BUNDLE_COMMIT", commit.to_string()));
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
