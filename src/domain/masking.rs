//! Takes secrets out of text that people will read.

/// The secrets to take out. Values shorter than six characters are left: masking them would eat ordinary words.
#[derive(Clone, Default)]
pub struct Mask(Vec<String>);

const SHORTEST: usize = 6;

impl Mask {
    /// A mask for these values, longest first so that none leaves a rest of another. Logs are read line by line, so that
    /// each line of a secret that has several, as a private key does, is one.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let parts = |secret: String| {
            let lines: Vec<String> = secret.lines().map(str::to_owned).collect();
            std::iter::once(secret).chain(lines)
        };
        let secrets = secrets.into_iter().flat_map(parts);
        let mut secrets: Vec<String> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
        secrets.sort_by(|one, other| (other.len(), one).cmp(&(one.len(), other)));
        secrets.dedup();
        Self(secrets)
    }

    /// The text without them.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} secrets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_reach_readers() {
        let mask = Mask::new(["hunter2!".into(), "hunter2!more".into(), "abc".into()]);
        assert_eq!(mask.apply("token hunter2!more, then hunter2! and abc"), "token [secret], then [secret] and abc");
        assert_eq!(format!("{mask:?}"), "Mask(2 secrets)");
        let key = Mask::new(["-----BEGIN KEY-----\nc2VjcmV0\n".into()]);
        assert_eq!(key.apply("[stdout]c2VjcmV0\n[stdout]-----BEGIN KEY-----"), "[stdout][secret]\n[stdout][secret]");
    }
}
