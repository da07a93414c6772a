//! That a place which is told of deployments takes no message, whatever it says. Pure: who finds that out stands in `report`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// A place that takes no message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// The place: `chat-ops`, `github`, or `github/OWNER` where an App speaks.
    pub place: String,
    /// Since when.
    pub since: Timestamp,
    /// Why, as it was last found, and what to do.
    pub failure: Failure,
    /// Of how many deployments there may be something to tell it.
    pub waiting: usize,
}
