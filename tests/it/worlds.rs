//! The fake worlds, shared with the counterpart tests, which hold them against real software.

#[path = "../worlds/chat.rs"]
pub(crate) mod chat;
#[path = "../worlds/codedeploy.rs"]
pub(crate) mod codedeploy;
#[path = "../worlds/crowd.rs"]
pub(crate) mod crowd;
#[path = "../worlds/deployments.rs"]
pub(crate) mod deployments;
#[path = "../worlds/github.rs"]
pub(crate) mod github;
#[path = "../worlds/github_graph.rs"]
pub(crate) mod github_graph;
#[path = "../worlds/github_objects.rs"]
mod github_objects;
#[path = "../worlds/hostile.rs"]
pub(crate) mod hostile;
#[path = "../worlds/proxy.rs"]
pub(crate) mod proxy;
#[path = "../worlds/push.rs"]
pub(crate) mod push;
#[path = "../worlds/readme.rs"]
pub(crate) mod readme;
#[path = "../worlds/repository.rs"]
pub(crate) mod repository;
#[path = "../worlds/s3.rs"]
pub(crate) mod s3;
#[path = "../worlds/slack_sender.rs"]
pub(crate) mod slack_sender;
#[path = "../worlds/smtp.rs"]
pub(crate) mod smtp;
#[path = "../worlds/sns.rs"]
pub(crate) mod sns;
#[path = "../worlds/sts.rs"]
pub(crate) mod sts;
#[path = "../worlds/target.rs"]
pub(crate) mod target;
#[path = "../worlds/thread.rs"]
mod thread;
#[path = "../worlds/years.rs"]
pub(crate) mod years;
