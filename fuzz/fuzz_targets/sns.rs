//! Any bytes as a message of Amazon SNS: it is understood or refused, what would be signed holds what it says, and what
//! it says about a deployment is a hint or nothing.
#![no_main]

use landfall::intake::sns::{Envelope, Meaning, meaning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::parse(bytes) {
        assert!(envelope.signed.starts_with("Message\n") && envelope.signed.ends_with(&format!("{}\n", envelope.kind.word())));
        assert!(envelope.signed.contains(&envelope.message));
        let _ = meaning(&envelope.message, envelope.topic.region());
    }
    if let Meaning::Hint(hint) = meaning(&String::from_utf8_lossy(bytes), "eu-west-1") {
        assert!(hint.run.is_some() || hint.group.is_some());
    }
});
