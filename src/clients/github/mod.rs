//! GitHub's REST API, by octocrab over one HTTP client, in the name that fits the repository: a GitHub App's, the token's,
//! or nobody's. It never retries, but for a token of an App that GitHub no longer takes, and knows nothing of deployments.

mod app;
mod budget;
mod checkup;
mod client;
mod error;
mod hooks;
mod identity;
mod login;
mod permission;
mod seen;
mod webhook;
mod wire;

pub use client::{GitHubClient, GitHubClients, Voice};
pub use error::{AppTrouble, GitHubError};
pub use hooks::{Attempt, Attempts, Hook, Webhook};
pub use login::{SignIn, SignInError};
pub use permission::{Access, Feature, Need};
pub use wire::Answer;
