//! The rim: GitHub, AWS, processes, the clock. Thin set-up of the real clients; no rules of ours.

pub mod aws;
mod clock;
pub mod fetch;
pub mod github;
pub mod guard;
pub mod outbound;
pub mod process;
pub mod smtp;
pub mod span;
mod telling;

pub use clock::Clock;
pub use telling::Telling;
