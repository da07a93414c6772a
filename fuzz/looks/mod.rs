//! What must hold of anything that comes from outside, whatever it is. The fuzz targets look with these for as long as
//! they are let, the tests (`tests/it/mutations.rs`) at some thousand changed seeds each time.

pub(crate) mod configuration;
pub(crate) mod intake;
pub(crate) mod payload;
pub(crate) mod signature;
mod signed;

/// Whether a text can be shown anywhere as it is: it moves no cursor, turns no line around, and begins no other one.
fn is_harmless(text: &str) -> bool {
    let turns = |it: char| matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    !text.chars().any(|it| it.is_control() || turns(it))
}
