//! Any header as the signature of any body: it counts exactly where a secret of ours made it, however the body is cut,
//! and for no other repository than those that the secret speaks for.

use std::sync::OnceLock;

use landfall::config::{Config, Environment};
use landfall::domain::RepositoryName;
use landfall::intake::{Claim, Keys};

use super::signed::{CONFIGURED, filled, place, signers};

/// Secrets that were read once, and whose files are there for as long as they are asked for.
fn keys() -> &'static Keys {
    static KEYS: OnceLock<(Keys, tempfile::TempDir)> = OnceLock::new();
    let made = KEYS.get_or_init(|| {
        let dir = place();
        let config = Config::parse(CONFIGURED, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
        (Keys::new(&config.github), dir)
    });
    &made.0
}

/// The header is what comes before the first line end, the body what comes after it.
pub(crate) fn look(bytes: &[u8]) {
    let end = bytes.iter().position(|it| *it == b'\n').unwrap_or(bytes.len());
    let body = bytes.get(end + 1..).unwrap_or_default();
    let header = filled(&String::from_utf8_lossy(&bytes[..end]), body);
    let signers = signers(&header, body);
    for piece in [body.len(), body.len() / 3] {
        let voice = Claim::parse(&header).and_then(|claim| {
            let mut hearing = keys().hear(claim);
            body.chunks(piece.max(1)).for_each(|it| hearing.update(it));
            hearing.judge()
        });
        assert_eq!(voice.is_some(), !signers.is_empty(), "`{header}` is the signature of {signers:?}");
        let Some(voice) = voice else { continue };
        let speaks_for = |name: &str| voice.speaks_for(&RepositoryName::parse(name).unwrap());
        assert!(speaks_for("ACME/shop"), "{signers:?}");
        assert_eq!(speaks_for("other/shop"), signers != ["bound"], "{signers:?}");
    }
}
