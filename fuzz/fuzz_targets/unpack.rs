//! Any bytes as a bundle that a host unpacks: whatever comes of it, nothing is written outside, and no more than allowed.
#![no_main]

use std::fs;

use landfall::engine::host::unpack_archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let dir = std::env::temp_dir().join(format!("landfall-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a temporary directory can be made");
    fs::write(dir.join("bundle"), bytes).expect("a small file can be written");
    let _ = unpack_archive(&dir.join("bundle"), &dir.join("into"), 8 << 20);
    let outside = fs::read_dir(&dir).expect("it is there").flatten();
    assert!(outside.map(|it| it.file_name()).all(|name| name == "bundle" || name == "into"));
    assert_eq!(fs::read(dir.join("bundle")).expect("it is there"), bytes);
});
