//! `landfall aws`: what AWS has to be told for the targets configured. It asks nobody: all is made from the configuration.
//!
//! Why no account is looked up: what is printed here is read, reviewed and given to somebody with more rights, often on
//! another machine than the bot's. A document that depends on who happens to be logged in would say something else
//! there; so the account's number is in the configuration (`assume_role`), or typed (`--account`), and never guessed.

mod bucket;
mod document;
mod groups;
mod permissions;
mod policy;
mod stack;
mod statement;
mod subject;
mod template;
mod trust;

pub(super) use policy::missing_statement;

use clap::Subcommand;

use super::exit::Outcome;
use crate::config::Environment;

/// What to print.
#[derive(Debug, Subcommand)]
pub(super) enum AwsVerb {
    /// Print an IAM policy with no more rights than the targets need, or who may take which role
    Policy(policy::PolicyArgs),
    /// Print the policy for the bucket that bundles are kept in
    BucketPolicy(bucket::BucketArgs),
    /// Print a CloudFormation template that makes all of it: bucket, roles, applications, deployment groups
    Template(template::TemplateArgs),
}

pub(super) fn run(verb: &AwsVerb, environment: &Environment) -> Outcome {
    match verb {
        AwsVerb::Policy(it) => policy::run(it, environment),
        AwsVerb::BucketPolicy(it) => bucket::run(it, environment),
        AwsVerb::Template(it) => template::run(it, environment),
    }
}
