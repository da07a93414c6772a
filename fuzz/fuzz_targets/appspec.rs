//! Any bytes as an AppSpec: there is a specification exactly when nothing refuses, and every finding has a place.
#![no_main]

use landfall::appspec::{parse_bytes, parse_what_can_be};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (spec, findings) = parse_bytes(bytes, "appspec.yml");
    assert_eq!(spec.is_none(), findings.refuse(), "{findings}");
    assert!(findings.0.iter().all(|it| it.place.as_ref().is_some_and(|at| at.line > 0 && at.column > 0)));
    let _ = parse_what_can_be(bytes, "appspec.yml");
});
