//! Any header as the signature of any body, see `looks`.
#![no_main]
#![expect(dead_code, reason = "each target looks in one way")]

#[path = "../looks/mod.rs"]
mod looks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| looks::signature::look(bytes));
