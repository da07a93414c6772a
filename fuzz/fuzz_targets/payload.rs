//! Any bytes as the payload of a push, see `looks`.
#![no_main]
#![expect(dead_code, reason = "each target looks in one way")]

#[path = "../looks/mod.rs"]
mod looks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| looks::payload::look(bytes));
