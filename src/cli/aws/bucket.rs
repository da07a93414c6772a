//! `landfall aws bucket-policy`: who writes and reads a bucket of bundles, for a bucket that several accounts use.

use clap::Args;

use super::statement::{Place, policy};
use super::subject::{RoleArn, Subject, principals};
use super::trust;
use crate::cli::configuration::{ConfigArgs, chosen};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::terminal::{say, talk};
use crate::config::Environment;

/// The arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct BucketArgs {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    #[command(flatten)]
    config: ConfigArgs,

    /// The bot's own role, which writes bundles
    #[arg(long, value_name = "ARN")]
    bot_role: Option<RoleArn>,

    /// The role of the instances, which read them; several for several accounts
    #[arg(long, value_name = "ARN")]
    instance_role: Vec<RoleArn>,
}

pub(super) fn run(args: &BucketArgs, environment: &Environment) -> Outcome {
    let config = args.config.load_without_secrets(environment)?;
    let subject = Subject::of(chosen(&config, &args.targets)?, &config.targets)?;
    let kept = subject.kept();
    let mut buckets: Vec<&str> = kept.iter().map(|it| it.bucket.as_str()).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let bucket = match buckets[..] {
        [bucket] => bucket,
        [] => {
            return Err(Trouble::wrong("none of these targets keeps bundles in S3")
                .help("name a target with `s3 = { … }` under `[target.revisions]`"));
        }
        ref several => {
            let message = format!("a policy is for one bucket, and these targets use {}", several.join(", "));
            return Err(Trouble::wrong(message).help("name the targets of one bucket"));
        }
    };
    let place = Place { partition: subject.partition()?.to_owned(), account: String::new() };
    let (bot, instances) = (principals(&Vec::from_iter(args.bot_role.clone())), principals(&args.instance_role));
    if bot.is_none() && instances.is_none() {
        talk(
            "note: without `--bot-role` and `--instance-role` it only keeps out what is not encrypted on its way; \
             roles of the bucket's own account need no more\n",
        );
    }
    say(&format!("{}\n", policy(&trust::of_bucket(&kept, bucket, &place, bot, instances)).json()));
    Ok(Exit::Done)
}
