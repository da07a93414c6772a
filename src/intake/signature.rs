//! The secrets that webhooks are signed with, and the check of a signature. It never says which part was wrong.

use std::sync::{Arc, Mutex, PoisonError};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::{GitHub, SecretRef, Stamp};
use crate::domain::RepositoryName;

/// One secret, keyed once and again when its file changes.
struct Key {
    reference: SecretRef,
    /// The repositories it speaks for; nothing means all.
    scope: Option<GlobSet>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    stamp: Option<Stamp>,
    mac: Option<Hmac<Sha256>>,
}

/// Every secret that could have signed.
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

/// The SHA-256 that the header claims.
pub struct Claim([u8; 32]);

/// Signatures under way: one for each secret, fed with the body as it comes.
pub struct Hearing {
    claim: Claim,
    keys: Keys,
    macs: Vec<(usize, Hmac<Sha256>)>,
}

/// Proof that a secret of ours signed, and the word on which repositories it may speak for.
#[derive(Clone)]
pub struct Voice {
    keys: Keys,
    signed: Vec<usize>,
}

impl Keys {
    /// The secrets of the configuration. Each is read when it is first needed.
    pub fn new(github: &GitHub) -> Self {
        let global = github.webhook_secrets.iter().map(|it| Key::new(it.clone(), None));
        let bound = github
            .hooks
            .iter()
            .flat_map(|hook| hook.secrets.iter().map(|it| Key::new(it.clone(), Some(patterns(&hook.repositories)))));
        Self(global.chain(bound).collect())
    }

    /// Begins to check a body against a claim.
    pub fn hear(&self, claim: Claim) -> Hearing {
        let macs = self.0.iter().enumerate().filter_map(|(at, key)| Some((at, key.mac()?))).collect();
        Hearing { claim, keys: self.clone(), macs }
    }
}

/// A pattern that the configuration has refused matches nothing.
fn patterns(repositories: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in repositories {
        if let Ok(glob) = GlobBuilder::new(pattern).literal_separator(true).case_insensitive(true).build() {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

impl Key {
    fn new(reference: SecretRef, scope: Option<GlobSet>) -> Self {
        Self { reference, scope, current: Mutex::default() }
    }

    /// The secret as a key, read again if it may have changed. One that cannot be read any more stays as it was:
    /// whoever rotates secrets takes the old one out of the configuration, and a half-written file is no reason to
    /// turn pushes away.
    fn mac(&self) -> Option<Hmac<Sha256>> {
        let stamp = self.reference.stamp();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.mac.is_none() || (stamp.is_some() && stamp != current.stamp) {
            match self.reference.read() {
                Ok(secret) => current.mac = Hmac::new_from_slice(secret.expose().as_bytes()).ok(),
                Err(error) => tracing::error!(secret.place = %self.reference, "{error}; keeping what was read before"),
            }
            current.stamp = stamp;
        }
        current.mac.clone()
    }
}

impl Claim {
    /// Reads `sha256=` and 64 hex digits.
    pub fn parse(header: &str) -> Option<Self> {
        let mut claimed = [0; 32];
        hex::decode_to_slice(header.strip_prefix("sha256=")?, &mut claimed).ok()?;
        Some(Self(claimed))
    }
}

impl Hearing {
    /// Takes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, mac) in &mut self.macs {
            mac.update(bytes);
        }
    }

    /// The voice that spoke; nothing where none of ours did. Takes the same time whichever it was.
    pub fn judge(self) -> Option<Voice> {
        let Self { claim, keys, macs } = self;
        let signed: Vec<usize> =
            macs.into_iter().filter_map(|(at, mac)| mac.verify_slice(&claim.0).is_ok().then_some(at)).collect();
        (!signed.is_empty()).then_some(Voice { keys, signed })
    }
}

impl Voice {
    /// Whether it may speak for this repository.
    pub fn speaks_for(&self, repository: &RepositoryName) -> bool {
        self.signed.iter().any(|at| match &self.keys.0[*at].scope {
            None => true,
            Some(scope) => scope.is_match(repository.as_str()),
        })
    }
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Voice({} secrets)", self.signed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Hook;

    /// GitHub's published example.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn github(dir: &std::path::Path, global: &[&str], bound: &[(&str, &str)]) -> GitHub {
        let keep = |text: &str| {
            let path = dir.join(hex::encode(text));
            std::fs::write(&path, text).unwrap();
            SecretRef::File(path)
        };
        GitHub {
            webhook_secrets: global.iter().map(|it| keep(it)).collect(),
            hooks: bound
                .iter()
                .map(|(repository, it)| Hook { repositories: vec![(*repository).into()], secrets: vec![keep(it)] })
                .collect(),
            ..GitHub::at("")
        }
    }

    fn judge(keys: &Keys, header: &str, body: &[&str]) -> Option<Voice> {
        let mut hearing = keys.hear(Claim::parse(header)?);
        body.iter().for_each(|it| hearing.update(it.as_bytes()));
        hearing.judge()
    }

    #[test]
    fn githubs_published_example_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(&github(dir.path(), &["another", SECRET], &[]));
        assert!(judge(&keys, SIGNATURE, &["Hello, World!"]).is_some());
        assert!(judge(&keys, SIGNATURE, &["Hello", ", World!"]).is_some());
        assert!(judge(&keys, &SIGNATURE.to_uppercase().replace("SHA", "sha"), &["Hello, World!"]).is_some());
        assert!(judge(&keys, SIGNATURE, &["Hello, World"]).is_none());
        for wrong in ["", "sha256=", "sha1=757107ea", &SIGNATURE[..70], &format!("{SIGNATURE}00"), &SIGNATURE[7..]] {
            assert!(judge(&keys, wrong, &["Hello, World!"]).is_none(), "{wrong}");
        }
    }

    #[test]
    fn without_a_secret_nobody_speaks() {
        let dir = tempfile::tempdir().unwrap();
        assert!(judge(&Keys::new(&github(dir.path(), &[], &[])), SIGNATURE, &["Hello, World!"]).is_none());
    }

    #[test]
    fn a_bound_secret_speaks_for_its_repositories_only() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::new(&github(dir.path(), &["global"], &[("acme/*", SECRET)]));
        let voice = judge(&keys, SIGNATURE, &["Hello, World!"]).unwrap();
        assert!(voice.speaks_for(&RepositoryName::parse("Acme/shop").unwrap()));
        assert!(!voice.speaks_for(&RepositoryName::parse("other/shop").unwrap()));
    }

    #[test]
    fn a_rotated_secret_counts_at_once_and_a_lost_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let github = github(dir.path(), &["old"], &[]);
        let keys = Keys::new(&github);
        assert!(judge(&keys, SIGNATURE, &["Hello, World!"]).is_none());
        let SecretRef::File(path) = &github.webhook_secrets[0] else { unreachable!() };
        std::fs::write(dir.path().join("new"), SECRET).unwrap();
        std::fs::rename(dir.path().join("new"), path).unwrap();
        assert!(judge(&keys, SIGNATURE, &["Hello, World!"]).is_some());
        std::fs::remove_file(path).unwrap();
        assert!(judge(&keys, SIGNATURE, &["Hello, World!"]).is_some());
    }
}
