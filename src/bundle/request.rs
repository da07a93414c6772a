//! What a bundle is asked to be, and what came out. It decides nothing.

use sha2::{Digest, Sha256};

use crate::appspec::ServerSpec;
use crate::domain::{ArchiveFacts, BundleFormat, BundleRules, CommitSha, Finding, Repository, RepositoryName};

/// The version of the bytes that this room makes. It goes up with every change that makes other bytes of the same
/// commit and rules, so that no object is taken for one that it is not.
pub const BUNDLER: &str = "1";

/// The bundle that is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// The commit that the archive must be of.
    pub commit: CommitSha,
    /// Its repository, for the provenance file.
    pub repository: RepositoryName,
    /// What is kept, and under which root.
    pub rules: BundleRules,
    /// The format; it goes before the one that the rules name.
    pub format: BundleFormat,
    /// The AppSpec whose scripts and sources must be there.
    pub spec: Option<ServerSpec>,
}

/// How much an archive may ask of us.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries in the archive. Three times the Linux kernel's; each costs some 20 bytes until the pass is over.
    pub entries: u64,
    /// Entries where the bundle is a zip: more need zip64, which not every agent reads, and a zip's table of contents
    /// is kept until its end, some 300 bytes an entry.
    pub zip_entries: u64,
    /// Symbolic links. They are kept until the pass is over, to see where each one leads.
    pub links: usize,
    /// Bytes of one file. A tar header's own limit is 8 GiB.
    pub file_bytes: u64,
    /// Bytes of the archive, decompressed. A store takes 10,000 parts of 8 MiB, which is more.
    pub unpacked_bytes: u64,
    /// Bytes that one compressed byte may become, beyond the first 256 MiB: deflate's own limit is 1,032, source
    /// trees stay under 20.
    pub expansion: u64,
    /// Bytes of one path. Linux takes 4,096, of which the place of installation needs its share.
    pub path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 300_000,
            zip_entries: 65_535,
            links: 20_000,
            file_bytes: 4 << 30,
            unpacked_bytes: 16 << 30,
            expansion: 250,
            path_bytes: 2048,
        }
    }
}

/// The bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// What passed through.
    pub archive: ArchiveFacts,
    /// Files and links in the bundle.
    pub files: u64,
    /// What a person should know although it was made.
    pub findings: Vec<Finding>,
}

/// A name for everything besides the commit that decides the bundle's bytes: 16 hex digits.
pub fn rules_digest(repository: &Repository, rules: &BundleRules, format: BundleFormat) -> String {
    let BundleRules { root, exclude, format: _, provenance } = rules;
    let Repository { id, name } = repository;
    let who = id.map_or_else(|| name.to_string(), |id| id.to_string());
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    part(BUNDLER);
    part(&who);
    part(root);
    part(format.extension());
    part(if provenance.is_some() { "with provenance" } else { "without" });
    part(provenance.as_deref().unwrap_or_default());
    // A provenance file holds the repository's name, which may change while its id stays.
    part(provenance.as_ref().map_or("", |_| name.as_str()));
    exclude.iter().for_each(|pattern| part(pattern));
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_changes_with_everything_that_changes_bytes() {
        let name = RepositoryName::parse("acme/shop").unwrap();
        let by_id = Repository { id: Some(7), name: name.clone() };
        let rules = BundleRules { root: "web".into(), exclude: vec!["a".into()], format: None, provenance: None };
        let digest = |rules: &BundleRules, format| rules_digest(&by_id, rules, format);
        let first = digest(&rules, BundleFormat::Tgz);
        assert_eq!(first.len(), 16);
        let renamed = Repository { id: Some(7), name: RepositoryName::parse("acme/store").unwrap() };
        assert_eq!(first, rules_digest(&renamed, &rules, BundleFormat::Tgz));
        let others = [
            digest(&rules, BundleFormat::Zip),
            digest(&BundleRules { root: "api".into(), ..rules.clone() }, BundleFormat::Tgz),
            digest(&BundleRules { exclude: vec!["a".into(), "b".into()], ..rules.clone() }, BundleFormat::Tgz),
            digest(&BundleRules { provenance: Some("p".into()), ..rules.clone() }, BundleFormat::Tgz),
            rules_digest(&Repository { id: None, name }, &rules, BundleFormat::Tgz),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
