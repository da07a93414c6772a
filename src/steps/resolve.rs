//! Resolve: what a person means by a ref of a target, proven against the source. Only reads.

use crate::domain::{Failure, RefName, Target};
use crate::source::RefHead;

use super::World;

/// A ref that the target's rule takes, with its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The head.
    pub head: RefHead,
    /// The rule that takes the ref.
    pub rule: String,
}

/// The head of a ref, if the target's rule takes it: nothing else may be deployed without a signed push.
pub async fn resolve(world: &World, target: &Target, reference: &RefName) -> Result<Resolved, Failure> {
    let Some(rule) = target.rule.takes(reference) else {
        let text = format!("the rule of `{}` does not take `{}`", target.name, reference.short());
        return Err(Failure::setup("steps/not-mapped", text)
            .help("name a branch or tag that the target's `branches` or `tags` match"));
    };
    match world.sources.of(target).head(reference).await? {
        Some(head) => Ok(Resolved { head, rule }),
        None => {
            let text = format!("`{}` has no `{}`", target.repository, reference.short());
            Err(Failure::setup("steps/no-such-ref", text).help("push it first, or name another branch or tag"))
        }
    }
}
