//! The read model: what is live where, what is under way, and why not. Never decides anything.
