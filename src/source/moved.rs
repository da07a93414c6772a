//! Where a server of git says that a repository is now. It is followed on that server alone, which is how renamed
//! repositories stay found: where else a redirect leads nobody has judged, and git would follow it anywhere.

use std::time::Duration;

use url::Url;

use crate::clients::guard::{Guarded, get};

/// What git asks for first.
const FIRST: &str = "/info/refs";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What a redirect leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// The repository, on the same server.
    Here(Url),
    /// Something on another server, as people may read it.
    Away(String),
}

/// Whether git complains of a redirect.
pub(super) fn is_redirect(complaint: &str) -> bool {
    ["301", "302", "303", "307", "308"].iter().any(|it| complaint.contains(&format!("returned error: {it}")))
}

/// Asks the server where it leads; inside, why that is not known.
pub(super) async fn ask(url: &Url) -> Result<Moved, String> {
    let mut asked = url.clone();
    asked.set_path(&format!("{}{FIRST}", url.path().trim_end_matches('/')));
    asked.set_query(Some("service=git-upload-pack"));
    let guarded = Guarded { url: asked, allow_private: true, follow: false, within: ANSWER_WITHIN, limit: 0 };
    let answered = get(&guarded).await.map_err(|error| error.to_string())?;
    let leads_to = answered.leads_to.ok_or_else(|| format!("a redirect, and then {}", answered.status))?;
    read(url, &leads_to).ok_or_else(|| "a redirect to what is no repository".to_owned())
}

/// What a server means with a redirect of git's first question; nothing where it is no repository.
fn read(from: &Url, leads_to: &str) -> Option<Moved> {
    let mut to = from.join(leads_to).ok()?;
    let path = to.path().strip_suffix(FIRST).map(str::to_owned);
    let is_upgrade = (from.scheme(), to.scheme()) == ("http", "https") && (from.port(), to.port()) == (None, None);
    if from.host() != to.host() || !(from.origin() == to.origin() || is_upgrade) {
        // None of them fails for what has a host, and what has none has no user either.
        let _ = (to.set_username(""), to.set_password(None));
        to.set_query(None);
        to.set_path(&path.unwrap_or_default());
        return Some(Moved::Away(to.to_string()));
    }
    to.set_path(&path?);
    to.set_query(None);
    let _ = (to.set_username(from.username()), to.set_password(from.password()));
    Some(Moved::Here(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_on_the_same_server_alone() {
        let led = |to: &str| read(&"https://ada:key@git.example.com/old.git".parse().unwrap(), to);
        let here = |url: &str| Some(Moved::Here(url.parse().unwrap()));
        let away = |url: &str| Some(Moved::Away(url.to_owned()));
        let asked = "/new.git/info/refs?service=git-upload-pack";
        assert_eq!(led(asked), here("https://ada:key@git.example.com/new.git"));
        assert_eq!(led(&format!("https://git.example.com{asked}")), here("https://ada:key@git.example.com/new.git"));
        assert_eq!(led(&format!("https://b:c@evil.example{asked}")), away("https://evil.example/new.git"));
        assert_eq!(led(&format!("//169.254.169.254{asked}")), away("https://169.254.169.254/new.git"));
        assert_eq!(led(&format!("https://git.example.com:8443{asked}")), away("https://git.example.com:8443/new.git"));
        assert_eq!(led(&format!("http://git.example.com{asked}")), away("http://git.example.com/new.git"));
        assert_eq!(led("file:///etc/passwd"), away("file:///"));
        assert_eq!(led("/login"), None);
        let plain = read(&"http://git.example.com/a".parse().unwrap(), "https://git.example.com/a/info/refs");
        assert_eq!(plain, here("https://git.example.com/a"));
    }
}
