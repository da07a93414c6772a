//! `POST /webhooks/sns`: what Amazon SNS delivers, as a wake-up and nothing more.
//!
//! Why a message is never believed, though its signature is checked: messages are lost, late, repeated and out of order,
//! and whoever may publish to a topic may write what he likes. So what one says about a deployment only makes the next
//! look at CodeDeploy come sooner, and that look decides. It is no delivery of a push: nothing of it is stored. The ids
//! of messages that were heard are kept in memory alone, for the hour in which they could come again; lost with a
//! restart, they cost one look.
//!
//! Why everything about whom to believe stands in one row, cheapest first: topic, time, the address of the certificate,
//! the certificate, the signature. Only what the row has passed is an `Envelope` that anybody acts on.
//!
//! `POST /webhooks/eventbridge` is the same for EventBridge's API destinations, which send a secret and sign nothing.
//!
//! Read `door` first, then `envelope` (what is signed), `address` (whose word on certificates counts), `certificate`
//! (from a file of AWS's to a checked signature), `meaning` (from a message to a hint).

mod address;
mod certificate;
mod destination;
mod door;
mod envelope;
mod meaning;
mod refusal;
mod seen;

pub use certificate::Trust;
pub use door::{Hear, LARGEST_MESSAGE, SnsState, routes};
pub use envelope::{Envelope, Kind};
pub use meaning::{Meaning, meaning};
