//! The fake worlds that the tests have too, as far as they are needed here.

#![expect(dead_code, unused_imports, reason = "the tests tell the worlds more than this benchmark does")]

#[path = "../../tests/worlds/codedeploy.rs"]
pub(crate) mod codedeploy;
#[path = "../../tests/worlds/crowd.rs"]
pub(crate) mod crowd;
#[path = "../../tests/worlds/github.rs"]
pub(crate) mod github;
#[path = "../../tests/worlds/github_objects.rs"]
mod github_objects;
#[path = "../../tests/worlds/push.rs"]
pub(crate) mod push;
#[path = "../../tests/worlds/repository.rs"]
pub(crate) mod repository;
#[path = "../../tests/worlds/s3.rs"]
pub(crate) mod s3;
#[path = "../../tests/worlds/thread.rs"]
mod thread;
