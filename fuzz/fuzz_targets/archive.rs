//! Any bytes as a source's archive: a bundle comes out whole, or none does; nothing is read beyond the limits.
#![no_main]

use landfall::appspec::parse;
use landfall::bundle::{Limits, Request, rebundle};
use landfall::domain::{BundleFormat, BundleRules, CommitSha, RepositoryName};
use libfuzzer_sys::fuzz_target;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const APPSPEC: &str = include_str!("../seeds/appspec/server.yml");

fuzz_target!(|bytes: &[u8]| {
    for format in [BundleFormat::Tar, BundleFormat::Zip] {
        let request = Request {
            commit: CommitSha::parse(SHA).expect("it is one"),
            repository: RepositoryName::parse("acme/shop").expect("it is one"),
            rules: BundleRules { root: String::new(), exclude: vec!["docs/**".into()], format: None, provenance: None },
            format,
            spec: parse(APPSPEC, "appspec.yml").0.and_then(|it| it.server().cloned()),
        };
        let limits = Limits { unpacked_bytes: 8 << 20, file_bytes: 4 << 20, ..Limits::default() };
        let mut out = Vec::new();
        if let Ok(bundled) = rebundle(bytes, &mut out, &request, &limits) {
            assert_eq!(bundled.bytes, out.len() as u64);
        }
    }
});
