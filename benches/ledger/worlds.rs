//! What the tests have too, as far as it is needed here.

#![expect(dead_code, reason = "the tests tell the worlds more than this benchmark does")]

#[path = "../../tests/worlds/push.rs"]
pub(crate) mod push;
#[path = "../../tests/worlds/target.rs"]
pub(crate) mod target;
#[path = "../../tests/worlds/years.rs"]
pub(crate) mod years;
