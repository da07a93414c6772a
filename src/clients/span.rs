//! Where the log's lines about a deployment come together: a span with its names, and work for it on other threads.

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{Span, info_span};

use crate::domain::{Cause, Deployment};

/// What stands in the log beside all that is done for a deployment: its id, its target, and the delivery it came of.
pub fn of(deployment: &Deployment) -> Span {
    let order = deployment.order();
    let delivery = match &order.cause {
        Cause::Push { delivery } | Cause::Replay { delivery, .. } => Some(delivery.as_str()),
        Cause::CatchUp | Cause::Request { .. } | Cause::Chosen { .. } | Cause::Redeploy { .. } => None,
        Cause::Rollback { .. } | Cause::Restart { .. } | Cause::Promotion { .. } => None,
    };
    info_span!(
        "deployment",
        deployment.id = %deployment.id(),
        target.name = %order.target.name,
        commit.sha = order.sha.as_str(),
        delivery.id = delivery,
    )
}

/// Work that blocks, on a thread of its own, whose lines stand in the log as if they were told here. It begins at once.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    spawn_blocking(move || span.in_scope(work))
}
