//! Whether what the configuration names is there: its secrets, one by one, and where people reach the dashboard.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::as_meant::Config;
use super::secret::SecretRef;
use crate::domain::{Checkup, Finding, size};

impl Config {
    /// Looks at every secret, and at `public_url`. No secret is told, only where it lies.
    pub fn checkup(&self) -> Vec<Checkup> {
        let webhooks = self.github.webhook_secrets.iter();
        let webhooks =
            webhooks.chain(self.github.hooks.iter().flat_map(|it| &it.secrets)).map(|it| ("webhook secret", it));
        let token = self.github.token.iter().map(|it| ("GitHub token", it));
        let keys = self.github.apps.iter().map(|it| ("GitHub App's key", &it.private_key));
        let events = self.sns.api_destination_secret.iter().map(|it| ("EventBridge secret", it));
        let login = self.login.iter().map(|it| ("client secret", &it.client_secret));
        let chats = self.chat.iter().flat_map(|it| it.kind.secrets());
        let secrets = webhooks
            .chain(token)
            .chain(keys)
            .chain(events)
            .chain(login)
            .chain(chats)
            .map(|(about, secret)| secret_of(about, secret));
        secrets.chain([self.address()]).collect()
    }

    fn address(&self) -> Checkup {
        const ABOUT: &str = "public_url";
        match &self.public_url {
            Some(url) => Checkup::ok(ABOUT, format!("links lead to {url}")),
            None => {
                let text = "it is not set: commit statuses link nowhere";
                let help = "write `public_url = \"https://…\"`, the address that people reach the dashboard at";
                Checkup::found(ABOUT, Finding::warning("config/no-public-url", text).help(help))
            }
        }
    }
}

fn secret_of(about: &str, secret: &SecretRef) -> Checkup {
    let length = match secret.read() {
        Ok(it) => it.expose().len() as u64,
        Err(error) => return Checkup::failed(about, error.failure()),
    };
    if let SecretRef::File(path) = secret {
        let mode = fs::metadata(path).map_or(0, |it| it.permissions().mode() & 0o777);
        if mode & 0o007 != 0 {
            let text = format!("every user of this machine can read {secret} (mode {mode:04o})");
            let finding = Finding::warning("config/secret-open", text);
            return Checkup::found(about, finding.help(format!("run `chmod 600 {}`", path.display())));
        }
    }
    Checkup::ok(about, format!("{secret} holds {}", size(length)))
}
