//! HTTP in: signature, delivery, payload, plans, accept; and what Amazon SNS says. A push is answered without waiting
//! for the network.
//!
//! Why everything from one `POST` happens in one place, in this order: size, signature, content type, form, storage. A
//! stranger learns nothing but that the signature is wrong, costs a bounded number of bytes, and leaves nothing behind.
//! [`Verified`] carries the proof: whoever has one holds a body whose signature was checked, and nobody else can make one.

mod answer;
mod body;
mod checks;
mod comment;
mod deployment;
mod github;
mod homes;
mod missed;
mod payload;
mod reception;
mod repository;
mod room;
mod signature;
pub mod slack;
pub mod sns;
mod sources;

pub use body::{LARGEST_BODY, Verified};
pub use github::{Hear, IntakeState, routes};
pub use missed::Missed;
pub use payload::{Malformed, push};
pub use signature::{Claim, Hearing, Keys, Voice};
pub use sources::{Sources, Visit};
