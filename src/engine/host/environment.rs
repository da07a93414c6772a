//! What a hook script finds in its environment (R33-R36): what the engine was handed for it, and what each event adds.

use std::collections::BTreeMap;
use std::path::Path;

use super::account::Account;
use super::intent::RunIntent;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables for one event's scripts, run as `account` from the revision unpacked in `archive`. `handed` is what a
/// person's own environment gives them; a bot's runs have none of it.
pub(super) fn variables(
    intent: &RunIntent,
    event: &str,
    account: &Account,
    archive: &Path,
    handed: &[(String, String)],
) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = BTreeMap::from([("PATH", PATH.to_owned()), ("LANG", "C.UTF-8".to_owned())]);
    let who = [
        ("HOME", text(&account.home)),
        ("USER", account.name.clone()),
        ("LOGNAME", account.name.clone()),
        ("SHELL", text(&account.shell)),
    ];
    variables.extend(who.clone());
    variables.extend(handed.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if !account.is_own() {
        // Another user's home is not the caller's.
        variables.extend(who);
    }
    variables.extend([
        ("APPLICATION_NAME", intent.application.clone()),
        ("DEPLOYMENT_ID", intent.run.to_string()),
        ("DEPLOYMENT_GROUP_NAME", intent.deployment_group.clone()),
        ("DEPLOYMENT_GROUP_ID", intent.group.to_string()),
        ("LIFECYCLE_EVENT", event.to_owned()),
        // AWS's agent has no such variable: during ApplicationStop the documented path leads nowhere (R5).
        ("DEPLOYMENT_ARCHIVE", text(archive)),
    ]);
    // What is not known of this bundle must not come from elsewhere either.
    variables.retain(|name, _| !name.starts_with("BUNDLE_"));
    if let Some(commit) = &intent.commit {
        variables.insert("BUNDLE_COMMIT", commit.to_string());
    }
    if let Some(object) = &intent.object {
        variables.insert("BUNDLE_BUCKET", object.bucket.clone());
        variables.insert("BUNDLE_KEY", object.key.clone());
        // Only a bucket that keeps versions has one to tell (R34).
        variables.extend(object.version.clone().map(|version| ("BUNDLE_VERSION", version)));
        variables.extend(object.etag.clone().map(|etag| ("BUNDLE_ETAG", etag)));
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
