//! Live views: `deploy` and its kin that follow what they began, and `status --watch`.
//!
//! One loop looks at the server whenever the event stream says that something happened, and shows what it saw: drawn in
//! place at a terminal, line by line elsewhere. Why it looks again instead of adding up events: what the API answers is
//! whole and right at every moment, after a break as well, and the view is a function of it and of nothing else.

mod bar;
mod deployment;
mod ear;
mod follow;
mod overview;
mod screen;
mod subject;
mod view;

pub(super) use bar::mark;
pub(super) use follow::{Following, follow};
pub(super) use view::watch;
