//! Signatures as they should be, by another implementation of HMAC than the one that is looked at.

use aws_lc_rs::hmac;

/// The secrets of the configuration; the last speaks for `acme/*` alone.
pub(crate) const SECRETS: [&str; 3] = ["old", "new", "bound"];

/// Their part of a configuration. Each lies in a file of its name.
pub(crate) const CONFIGURED: &str = "
data_dir = \"data\"
[ledger]
reserve = \"0\"
[github]
webhook_secrets = [{ file = \"old\" }, { file = \"new\" }]
[[github.hooks]]
repositories = [\"acme/*\"]
secrets = [{ file = \"bound\" }]
";

/// The digits that this secret makes of this body.
fn digits(secret: &str, body: &[u8]) -> String {
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body))
}

/// A header in which `{new}` stands for the digits that `new` makes of the body, and `{NEW}` for the same in capitals:
/// nobody comes upon these by chance.
pub(crate) fn filled(header: &str, body: &[u8]) -> String {
    SECRETS.iter().fold(header.to_owned(), |header, secret| {
        let (name, digits) = (format!("{{{secret}}}"), digits(secret, body));
        header.replace(&name, &digits).replace(&name.to_uppercase(), &digits.to_uppercase())
    })
}

/// Whose signature of the body a header is.
pub(crate) fn signers(header: &str, body: &[u8]) -> Vec<&'static str> {
    let Some(claimed) = header.strip_prefix("sha256=") else { return vec![] };
    SECRETS.into_iter().filter(|secret| claimed.eq_ignore_ascii_case(&digits(secret, body))).collect()
}

/// A directory with the secrets in it, in memory where that is possible.
pub(crate) fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for secret in SECRETS {
        std::fs::write(dir.path().join(secret), secret).unwrap();
    }
    dir
}
