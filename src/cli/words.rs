//! The words themselves: which verbs there are, and which file each belongs to.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Parser, Subcommand};

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{BAD, BOLD, keep_error, say, styled, talk, unwritten};
use super::{
    apply, ask, audit, aws, bundle, check, completions, deliveries, demo, doctor, exec_as, explain, export, history,
    hold, import, init, logs, man, notify, send, serve, status, token, upkeep, why,
};
use crate::config::{EXAMPLE, Environment};
use crate::domain::plainly;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the deployment failed, 2 wrong words or configuration,
3 could not reach or use what is needed, 70 a bug of ours, 130 you stopped looking.";

/// A push makes landfall: a self-hosted push-to-deploy bot.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, after_help = EXIT_CODES, max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// A verb is one variant here, one arm in [`Verb::run`], and one file beside this one.
#[derive(Debug, Subcommand)]
enum Verb {
    /// See it work, on this machine alone: a repository, three pushes, deployments, a page that answers
    Demo(demo::DemoArgs),
    /// Run the bot
    Serve(serve::ServeArgs),
    /// Begin: a configuration, a webhook secret and an AppSpec to start from; then say which step is next
    Init(Box<init::InitArgs>),
    /// Say what is wrong with a configuration, an AppSpec or all that would be deployed, with line and column
    Check(check::CheckArgs),
    /// Write the exact bundle that would be deployed
    Bundle(bundle::BundleArgs),
    /// Run one bundle on this machine, as codedeploy-local does
    Apply(Box<apply::ApplyArgs>),
    /// Send something to a server as GitHub would
    #[command(subcommand)]
    Send(send::Send),
    /// Show what is live where, one target, or one deployment
    Status(status::StatusArgs),
    /// List the deployments of a target, newest first
    History(history::HistoryArgs),
    /// Print what a deployment's scripts said, or with -f what they say
    Logs(logs::LogsArgs),
    /// Say why a commit runs somewhere, or does not
    Why(why::WhyArgs),
    /// Deploy the head of a branch or tag
    Deploy(ask::DeployArgs),
    /// Deploy the commit of an earlier deployment again
    Redeploy(ask::RedeployArgs),
    /// Bring an earlier revision back, from where it was kept
    Rollback(ask::RollbackArgs),
    /// Have CodeDeploy start what is live anew on its servers, without bringing a revision to them
    Restart(ask::RestartArgs),
    /// Stop a deployment
    Stop(ask::StopArgs),
    /// Let a deployment go on that waits for people: a release, a promotion, the move of traffic, the end of old instances
    Approve(ask::ApproveArgs),
    /// Refuse a deployment that waits to be approved
    Reject(ask::RejectArgs),
    /// Release nothing to a target, or to all, until it is unlocked; or list the locks
    Lock(hold::LockArgs),
    /// List who has locked what, since when, until when and why, and how many deployments wait
    Locks(hold::LocksArgs),
    /// Release to a target again, whoever locked it
    Unlock(hold::UnlockArgs),
    /// Release nothing anywhere; pushes are still taken, checked and prepared
    Pause(hold::PauseArgs),
    /// Release again: of each target and ref the newest, unless the target queues all
    Resume(hold::ResumeArgs),
    /// List the pushes that came in and what each meant, or tell the whole story of one
    Deliveries(deliveries::DeliveriesArgs),
    /// Have a push that came in planned again by today's configuration, although it is known
    Replay(deliveries::ReplayArgs),
    /// Say who asked for what, and who let whom in
    Audit(audit::AuditArgs),
    /// Let others in: make, list and revoke tokens with a role
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Look at every outside thing that the bot needs, and say what to do where something is wrong
    Doctor(doctor::DoctorArgs),
    /// Try a place that is told in chat
    #[command(subcommand)]
    Notify(notify::NotifyVerb),
    /// Print what AWS has to be told for the targets configured
    #[command(subcommand)]
    Aws(aws::AwsVerb),
    /// Say what a code means and what to do
    Explain(explain::ExplainArgs),
    /// Delete revisions that nobody needs any more, as `keep` allows; the bot does it daily
    Upkeep(upkeep::UpkeepArgs),
    /// Write the whole ledger as JSON lines, for a backup or a move; beside a running bot, too
    Export(export::ExportArgs),
    /// Begin a data directory with the ledger that an export holds
    Import(import::ImportArgs),
    /// Print what has a shell complete words, targets and ids at TAB
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
    /// About the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Become a user, then a program
    #[command(hide = true)]
    ExecAs(exec_as::ExecAsArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Print an example with every key and what it means
    Docs,
}

impl Verb {
    fn run(self, environment: &Environment) -> Outcome {
        match self {
            Self::Demo(it) => demo::run(&it),
            Self::Serve(it) => serve::run(&it, environment),
            Self::Init(it) => init::run(&it, environment),
            Self::Check(it) => check::run(&it, environment),
            Self::Bundle(it) => bundle::run(&it, environment),
            Self::Apply(it) => apply::run(&it, environment),
            Self::Send(it) => send::run(it, environment),
            Self::Status(it) => status::run(&it, environment),
            Self::History(it) => history::run(&it, environment),
            Self::Logs(it) => logs::run(&it, environment),
            Self::Why(it) => why::run(&it, environment),
            Self::Deploy(it) => ask::deploy(&it, environment),
            Self::Redeploy(it) => ask::redeploy(&it, environment),
            Self::Rollback(it) => ask::rollback(&it, environment),
            Self::Restart(it) => ask::restart(&it, environment),
            Self::Stop(it) => ask::stop(&it, environment),
            Self::Approve(it) => ask::approve(&it, environment),
            Self::Reject(it) => ask::reject(&it, environment),
            Self::Lock(it) => hold::lock(&it, environment),
            Self::Locks(it) => hold::locks(&it, environment),
            Self::Unlock(it) => hold::unlock(&it, environment),
            Self::Pause(it) => hold::pause(&it, environment),
            Self::Resume(it) => hold::resume(&it, environment),
            Self::Deliveries(it) => deliveries::deliveries(&it, environment),
            Self::Replay(it) => deliveries::replay(&it, environment),
            Self::Audit(it) => audit::run(&it, environment),
            Self::Token(it) => token::run(&it, environment),
            Self::Doctor(it) => doctor::run(&it, environment),
            Self::Notify(notify::NotifyVerb::Test(it)) => notify::test(&it, environment),
            Self::Aws(it) => aws::run(&it, environment),
            Self::Explain(it) => explain::run(&it),
            Self::Upkeep(it) => upkeep::run(&it, environment),
            Self::Export(it) => export::run(&it, environment),
            Self::Import(it) => import::run(&it, environment),
            Self::Completions(it) => completions::run(&it),
            Self::Man(it) => man::run(&it),
            Self::Config(ConfigVerb::Docs) => {
                say(EXAMPLE);
                Ok(Exit::Done)
            }
            Self::ExecAs(it) => exec_as::run(&it),
        }
    }
}

/// Reads the words typed, and does what they say.
pub fn run() -> Exit {
    if let Some(exit) = completions::at_tab() {
        return exit;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            if told.use_stderr() {
                let _ = told.print();
                return Exit::Wrong;
            }
            keep_error(told.print().and_then(|()| std::io::stdout().flush()));
            return all_written(Exit::Done);
        }
    };
    let environment = Environment::of_process();
    // A panic has been told by then, with its place; what is left is the code.
    let outcome = catch_unwind(AssertUnwindSafe(|| cli.verb.run(&environment)));
    match outcome {
        Ok(Ok(exit)) => all_written(exit),
        Ok(Err(trouble)) => told(&trouble),
        Err(_) => {
            talk("landfall: this is a bug of ours; please report the lines above\n");
            Exit::Bug
        }
    }
}

/// How the program ends that was to end so: otherwise, where its data got lost.
fn all_written(exit: Exit) -> Exit {
    let Some(error) = unwritten() else { return exit };
    let lost = told(&Trouble::unreachable(format!("the output cannot be written: {}", plainly(error))));
    if exit == Exit::Done { lost } else { exit }
}

/// Says what is wrong, and what to do. Gives how the program ends for it.
fn told(trouble: &Trouble) -> Exit {
    let help = trouble.advice().map(|help| format!("  {} {help}\n", styled(BOLD, "help:"))).unwrap_or_default();
    talk(&format!("{} {trouble}\n{help}", styled(BAD, "landfall:")));
    trouble.exit
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
