//! The world out: commit statuses by a durable outbox. Never decides what happens to a deployment.
