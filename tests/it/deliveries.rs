//! Deliveries as people see and use them: listed, told, planned again.

mod renamed;
mod replay;
