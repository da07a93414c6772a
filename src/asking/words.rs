//! What people type after `/landfall`, as commands. It knows neither who typed it nor what exists.

use std::time::Duration;

use crate::config::{duration, nearest};
use crate::domain::{Approval, CommitPrefix, DeploymentId, Failure, RefName, TargetName, Unfit, one_line};

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 200;
/// How much of what was typed is told again.
const LONGEST_ECHO: usize = 60;

/// A target, or one of its deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Target(TargetName),
    Deployment(DeploymentId),
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// To know what there is to want.
    Help,
    /// To know how a target or a deployment stands, or all targets.
    Status(Option<Named>),
    /// To know why a commit runs somewhere, or does not.
    Why(String),
    Deploy {
        target: TargetName,
        /// A ref or a commit; nothing means what the place of the command is about, or the target's own branch.
        wanted: Option<(Option<RefName>, Option<CommitPrefix>)>,
        /// Why it goes in spite of a freeze.
        in_spite: Option<String>,
    },
    /// A deployment again, or what is live at a target.
    Redeploy(Named),
    Rollback {
        target: TargetName,
        to: Option<DeploymentId>,
        /// What it undoes, where it is said: then nothing else is undone by it.
        of: Option<DeploymentId>,
    },
    /// A deployment, or whatever runs at a target.
    Stop {
        named: Named,
        rollback: bool,
    },
    Approve {
        named: Named,
        /// What, where it is said: then nothing else is approved by it.
        of: Option<Approval>,
        in_spite: Option<String>,
    },
    Reject {
        named: Named,
        reason: Option<String>,
    },
    Lock {
        target: TargetName,
        long: Option<Duration>,
        reason: Option<String>,
    },
    Unlock {
        target: TargetName,
    },
}

/// A word, how it is used, and what it does: what `help` says.
pub(super) const WORDS: [(&str, &str, &str); 11] = [
    ("deploy", "deploy TARGET [REF|SHA] [override REASON]", "deploys a branch, a tag or a commit"),
    ("redeploy", "redeploy TARGET|ID", "deploys the same commit again"),
    ("rollback", "rollback TARGET [ID]", "brings an earlier revision back"),
    ("status", "status [TARGET|ID]", "says what is live, what runs and what waits"),
    ("stop", "stop TARGET|ID [rollback]", "stops a deployment"),
    ("approve", "approve TARGET|ID [WHAT] [override REASON]", "lets go on what waits for people"),
    ("reject", "reject TARGET|ID [REASON]", "refuses what waits to be approved"),
    ("lock", "lock TARGET [for 2h] [REASON]", "releases nothing to a target"),
    ("unlock", "unlock TARGET", "releases to it again"),
    ("why", "why SHA", "says why a commit runs somewhere, or does not"),
    ("help", "help", "says this"),
];

impl Command {
    /// Reads a command, or says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.replace('`', " ");
        let mut words = Words(text.split_whitespace().collect());
        let Some(verb) = words.next() else { return Ok(Self::Help) };
        let verb = verb.to_lowercase();
        let command = match verb.as_str() {
            "help" => Self::Help,
            "status" => Self::Status(words.next().map(named).transpose()?),
            "why" => Self::Why(words.needed(&verb)?.to_owned()),
            "deploy" => {
                let target = target(words.needed(&verb)?)?;
                let in_spite = words.in_spite()?;
                let wanted = words.next().map(RefName::or_commit).transpose().map_err(unfit)?;
                Self::Deploy { target, wanted, in_spite }
            }
            "redeploy" => Self::Redeploy(named(words.needed(&verb)?)?),
            "rollback" => {
                let target = target(words.needed(&verb)?)?;
                let of = words.skip("of").then(|| words.needed(&verb)).transpose()?;
                let of = of.map(DeploymentId::parse).transpose().map_err(unfit)?;
                words.skip("to");
                Self::Rollback { target, to: words.next().map(DeploymentId::parse).transpose().map_err(unfit)?, of }
            }
            "stop" => Self::Stop { named: named(words.needed(&verb)?)?, rollback: words.skip("rollback") },
            "approve" => {
                let named = named(words.needed(&verb)?)?;
                let in_spite = words.in_spite()?;
                Self::Approve { named, of: words.approval(), in_spite }
            }
            "reject" => Self::Reject { named: named(words.needed(&verb)?)?, reason: words.reason() },
            "lock" => {
                let target = target(words.needed(&verb)?)?;
                let long = words.skip("for").then(|| words.needed(&verb)).transpose()?;
                let long = long.map(duration).transpose().map_err(unfit)?;
                Self::Lock { target, long, reason: words.reason() }
            }
            "unlock" => Self::Unlock { target: target(words.needed(&verb)?)? },
            other => return Err(unknown(other)),
        };
        match words.next() {
            Some(left) => Err(misunderstood(&format!("`{}` is one word too many", echo(left)), &usage(&verb))),
            None => Ok(command),
        }
    }
}

/// What is left of what was typed.
struct Words<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.pop_front()
    }

    fn needed(&mut self, verb: &str) -> Result<&'a str, Failure> {
        self.next().ok_or_else(|| misunderstood(&format!("`{verb}` alone does not say of what"), &usage(verb)))
    }

    /// Whether that comes next; then it is passed over.
    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.0.front().is_some_and(|it| it.eq_ignore_ascii_case(word));
        is_next && self.next().is_some()
    }

    /// What is approved, if that comes next.
    fn approval(&mut self) -> Option<Approval> {
        let known = serde_json::from_value((*self.0.front()?).into()).ok()?;
        self.next().map(|_| known)
    }

    /// All the rest.
    fn reason(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.0).into_iter().collect::<Vec<_>>().join(" ");
        Some(one_line(&text, LONGEST_REASON)).filter(|it| !it.is_empty())
    }

    /// What stands behind `override`, which has to be explained.
    fn in_spite(&mut self) -> Result<Option<String>, Failure> {
        let Some(at) = self.0.iter().position(|it| it.eq_ignore_ascii_case("override")) else { return Ok(None) };
        let reason = Words(self.0.split_off(at).into_iter().skip(1).collect()).reason();
        let missing = || misunderstood("`override` has to be explained", "write the reason behind it");
        reason.ok_or_else(missing).map(Some)
    }
}

fn target(word: &str) -> Result<TargetName, Failure> {
    TargetName::parse(word).map_err(unfit)
}

fn named(word: &str) -> Result<Named, Failure> {
    match DeploymentId::parse(word) {
        Ok(id) => Ok(Named::Deployment(id)),
        Err(_) => target(word).map(Named::Target),
    }
}

fn unfit(unfit: Unfit) -> Failure {
    misunderstood(&format!("`{}` is not {}", echo(&unfit.found), unfit.expected), "say it again")
}

fn unknown(word: &str) -> Failure {
    let known = WORDS.iter().map(|it| it.0);
    let help = match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? `help` lists all"),
        None => "`help` lists what there is".into(),
    };
    misunderstood(&format!("there is no command `{}`", echo(word)), &help)
}

fn usage(verb: &str) -> String {
    let usage = WORDS.iter().find(|it| it.0 == verb).map_or(verb, |it| it.1);
    format!("write `{usage}`")
}

fn misunderstood(why: &str, help: &str) -> Failure {
    Failure::setup("asking/not-understood", why).help(help)
}

fn echo(text: &str) -> String {
    one_line(text, LONGEST_ECHO).replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01JD8Z6Q6V0000000000000000";

    fn read(text: &str) -> Command {
        Command::parse(text).unwrap_or_else(|failure| panic!("{text}: {}", failure.message))
    }

    fn shop() -> TargetName {
        TargetName::parse("shop").unwrap()
    }

    #[test]
    fn every_command_is_read_with_what_it_may_have() {
        let id = DeploymentId::parse(ID).unwrap();
        assert_eq!(read(""), Command::Help);
        assert_eq!(read("status"), Command::Status(None));
        assert_eq!(read("status shop"), Command::Status(Some(Named::Target(shop()))));
        assert_eq!(read(&format!("status {ID}")), Command::Status(Some(Named::Deployment(id))));
        assert_eq!(read("why abcdef1"), Command::Why("abcdef1".into()));
        assert_eq!(read("Deploy `shop`"), Command::Deploy { target: shop(), wanted: None, in_spite: None });
        let branch = RefName::parse("refs/heads/feature/x").unwrap();
        let wanted = Some((Some(branch), None));
        assert_eq!(read("deploy shop feature/x"), Command::Deploy { target: shop(), wanted, in_spite: None });
        let Command::Deploy { wanted, in_spite, .. } = read("deploy shop abcdef1 override it burns") else { panic!() };
        assert_eq!(wanted, Some((None, Some(CommitPrefix::parse("abcdef1").unwrap()))));
        assert_eq!(in_spite.as_deref(), Some("it burns"));
        assert_eq!(read("redeploy shop"), Command::Redeploy(Named::Target(shop())));
        assert_eq!(read("rollback shop"), Command::Rollback { target: shop(), to: None, of: None });
        let undo = Command::Rollback { target: shop(), to: None, of: Some(id) };
        assert_eq!(read(&format!("rollback shop of {ID}")), undo);
        assert_eq!(
            read(&format!("rollback shop to {ID}")),
            Command::Rollback { target: shop(), to: Some(id), of: None }
        );
        let stop = Command::Stop { named: Named::Deployment(id), rollback: true };
        assert_eq!(read(&format!("stop {ID} rollback")), stop);
        assert_eq!(read("approve shop"), Command::Approve { named: Named::Target(shop()), of: None, in_spite: None });
        let Command::Approve { of, in_spite, .. } = read("approve shop traffic") else { panic!() };
        assert_eq!((of, in_spite), (Some(Approval::Traffic), None));
        let reject = Command::Reject { named: Named::Target(shop()), reason: Some("not on a Friday".into()) };
        assert_eq!(read("reject shop not on a Friday"), reject);
        let (long, reason) = (Some(Duration::from_secs(7200)), Some("a migration".into()));
        assert_eq!(read("lock shop for 2h a migration"), Command::Lock { target: shop(), long, reason });
        assert_eq!(read("lock shop"), Command::Lock { target: shop(), long: None, reason: None });
        assert_eq!(read("unlock shop"), Command::Unlock { target: shop() });
    }

    #[test]
    fn what_is_not_understood_says_what_was_expected() {
        let told = |text: &str| {
            let failure = Command::parse(text).unwrap_err();
            assert_eq!(failure.code, "asking/not-understood");
            format!("{}; {}", failure.message, failure.help.unwrap())
        };
        assert_eq!(told("depoly shop"), "there is no command `depoly`; did you mean `deploy`? `help` lists all");
        assert_eq!(told("sing"), "there is no command `sing`; `help` lists what there is");
        assert_eq!(told("lock"), "`lock` alone does not say of what; write `lock TARGET [for 2h] [REASON]`");
        assert_eq!(told("unlock shop now"), "`now` is one word too many; write `unlock TARGET`");
        assert!(
            told("lock shop for ever").starts_with("`ever` is not a duration such as"),
            "{}",
            told("lock shop for ever")
        );
        assert!(told("deploy shop main override").starts_with("`override` has to be explained"));
        assert!(told("rollback shop main").starts_with("`main` is not "));
        let long = told(&format!("{}\u{7}`<!channel>", "x".repeat(200)));
        assert!(long.chars().count() < 150, "{long}");
    }
}
