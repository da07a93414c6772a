//! HTTP in: signature, delivery, payload, plans, accept. Never waits for the network before it answers.
