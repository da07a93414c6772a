//! How a bulletin is said to people: the same words for every service, in none's form yet. Nothing is escaped here, and
//! nothing from outside is anything but [`Span::Said`] or [`Span::Code`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::bulletin::{Bulletin, Commit, Step};
use crate::domain::{News, StepStatus, harmless, login_in, one_line, took};

/// Longer titles of commits, names and messages help nobody in chat.
const LONGEST_WORDS: usize = 300;
/// The end of a log that is shown.
const LONGEST_LOG: usize = 2000;
const LAST_LINES: usize = 20;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Our own words.
    Plain(String),
    /// Our own words, set apart.
    Strong(String),
    /// Somebody else's words: text and nothing but text.
    Said(String),
    /// Somebody else's words, letter by letter.
    Code(String),
    /// A link of ours. Its text may be somebody else's.
    Link {
        /// What is read.
        text: String,
        /// Where it leads.
        url: String,
    },
    /// Somebody, by the name that GitHub knows, who is called if the service knows them under the other one.
    Person {
        /// At GitHub.
        name: String,
        /// At the service, by the configuration's map.
        id: Option<String>,
    },
    /// What a template made: in the service's own form already.
    Marked(String),
}

impl Span {
    /// Our own words.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }

    /// What is read of it, in no form.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Strong(text) | Self::Said(text) | Self::Code(text) | Self::Marked(text) => text,
            Self::Link { text, .. } => text,
            Self::Person { name, .. } => name,
        }
    }
}

/// What is read of a line, in no form.
pub fn text_of(spans: &[Span]) -> String {
    spans.iter().map(Span::text).collect()
}

/// A line with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub value: Vec<Span>,
}

/// Somewhere to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is read.
    pub text: &'static str,
    /// Where it leads.
    pub url: String,
}

/// Something to do at once, where a service has buttons and we are heard there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What stands on the button.
    pub text: &'static str,
    /// The command that it is.
    pub words: String,
    /// Whether it ends something that runs or serves.
    pub is_grave: bool,
}

/// How it looks, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It goes on.
    Going,
    /// It waits, or was passed over.
    Waiting,
    /// It is well.
    Good,
    /// It is not.
    Bad,
}

impl Mood {
    /// Its colour, `#rrggbb`.
    pub fn color(self) -> &'static str {
        match self {
            Self::Going => "#1f6feb",
            Self::Waiting => "#9a6700",
            Self::Good => "#1a7f37",
            Self::Bad => "#cf222e",
        }
    }

    /// Its sign, for whom colours say nothing.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Going => "⏳",
            Self::Waiting => "⏸",
            Self::Good => "✅",
            Self::Bad => "❌",
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The same for every try to say the same, and for nothing else.
    pub id: String,
    /// What happened.
    pub news: News,
    /// How it looks.
    pub mood: Mood,
    /// The first line.
    pub title: Vec<Span>,
    /// How it stands, in a sentence.
    pub text: Vec<Span>,
    /// What else there is to know.
    pub facts: Vec<Fact>,
    /// What changed, a line for each commit.
    pub changes: Vec<Vec<Span>>,
    /// The end of the log of what failed.
    pub log: Option<String>,
    /// What a person can do.
    pub hint: Option<String>,
    /// Where to go.
    pub links: Vec<Link>,
    /// What to do at once.
    pub acts: Vec<Act>,
    /// Whether it is of many deployments, a line each.
    pub is_digest: bool,
}

impl Card {
    /// The message for a bulletin. `people`: the service's names for those of GitHub.
    pub fn of(bulletin: &Bulletin, people: &BTreeMap<String, String>) -> Self {
        let id = format!("{}-{}", bulletin.deployment, bulletin.news.as_str());
        let trouble = bulletin.trouble.as_ref();
        Self {
            id,
            news: bulletin.news,
            mood: mood(bulletin.news),
            title: title(bulletin),
            text: text(bulletin),
            facts: facts(bulletin, people),
            changes: changes(bulletin),
            log: trouble.and_then(|it| it.log.as_deref()).map(tail).filter(|it| !it.is_empty()),
            hint: trouble.and_then(|it| it.hint.as_deref()).map(words),
            links: links(bulletin),
            acts: acts(bulletin),
            is_digest: false,
        }
    }

    /// Whom it calls: the names at GitHub and at the service.
    pub(super) fn called(&self) -> impl Iterator<Item = (&str, &str)> {
        let spans = self.title.iter().chain(&self.text).chain(self.facts.iter().flat_map(|it| &it.value));
        let called = spans.filter_map(|it| {
            if let Span::Person { name, id: Some(id) } = it { Some((name.as_str(), id.as_str())) } else { None }
        });
        // Each once, if once above and once below.
        called.map(|(name, id)| (id, name)).collect::<BTreeMap<_, _>>().into_iter().map(|(id, name)| (name, id))
    }

    /// All of it on one line, in no form: for notifications, subjects and who shows nothing else.
    pub fn line(&self) -> String {
        format!("{} {}: {}", self.mood.sign(), text_of(&self.title), text_of(&self.text))
    }
}

/// A line of a thread for a lifecycle event that is over.
pub fn step_line(step: &Step) -> Option<Vec<Span>> {
    let (sign, how) = match step.status {
        StepStatus::Succeeded => ("✓", "done"),
        StepStatus::Failed => ("✗", "failed"),
        StepStatus::Skipped => ("–", "skipped"),
        StepStatus::Pending | StepStatus::InProgress | StepStatus::Unknown => return None,
    };
    let mut line = vec![Span::plain(format!("{sign} ")), Span::Code(words(&step.name)), Span::plain(format!(" {how}"))];
    if let Some(instance) = &step.instance {
        line.extend([Span::plain(" on "), Span::Code(words(instance))]);
    }
    line.extend(step.took_ms.map(|took| Span::plain(format!(" after {}.{} s", took / 1000, took % 1000 / 100))));
    Some(line)
}

pub(super) fn mood(news: News) -> Mood {
    match news {
        News::Started | News::Progressing => Mood::Going,
        News::Succeeded | News::Recovered => Mood::Good,
        News::Failed => Mood::Bad,
        News::Held | News::RolledBack | News::Stopped => Mood::Waiting,
        News::Superseded | News::Refused | News::Skipped => Mood::Waiting,
    }
}

/// `acme/shop main → production`
pub(super) fn title(bulletin: &Bulletin) -> Vec<Span> {
    let target = Span::Strong(words(&bulletin.place.target));
    let how = match bulletin.news {
        News::Held => " waits",
        News::Started => ": deploying",
        News::Progressing => ": deploying",
        News::Succeeded => " is live",
        News::Recovered => " has recovered",
        News::Failed => " failed",
        News::RolledBack => " was rolled back",
        News::Stopped => " was stopped",
        News::Superseded => " was superseded",
        News::Refused => " was refused",
        News::Skipped => " was left out",
    };
    vec![target, Span::plain(format!("{how} ")), commit(&bulletin.commit)]
}

/// How it stands, and before that, that it is a test.
fn text(bulletin: &Bulletin) -> Vec<Span> {
    told(bulletin, vec![Span::Said(words(&bulletin.text))])
}

/// A sentence, and before it, where that is so, that it is a test.
pub(super) fn told(bulletin: &Bulletin, sentence: Vec<Span>) -> Vec<Span> {
    let test = bulletin.is_test.then(|| Span::plain("Only a test, nothing was deployed: "));
    test.into_iter().chain(sentence).collect()
}

fn facts(bulletin: &Bulletin, people: &BTreeMap<String, String>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value: Vec<Span>| facts.push(Fact { name, value });
    let place = &bulletin.place;
    if let Some(trouble) = &bulletin.trouble {
        let parts = [("Event", &trouble.event), ("Instance", &trouble.instance), ("Script", &trouble.script)];
        for (name, value) in parts {
            value.iter().for_each(|it| add(name, vec![Span::Code(words(it))]));
        }
        trouble.exit_code.iter().for_each(|it| add("Exit code", vec![Span::Code(it.to_string())]));
    }
    if let Some(name) = &bulletin.actor {
        let (name, id) = (words(name), people.get(login_in(name).unwrap_or(name)).cloned());
        add(if bulletin.cause.is_some() { "Asked by" } else { "Pushed by" }, vec![Span::Person { name, id }]);
    }
    bulletin.cause.iter().for_each(|it| add("Why", vec![Span::Said(words(it))]));
    add("From", vec![Span::Said(words(&place.repository)), Span::plain(" "), Span::Code(words(&place.reference))]);
    if place.environment != place.target {
        add("Environment", vec![Span::Said(words(&place.environment))]);
    }
    if bulletin.news.is_end() && bulletin.seconds > 0 {
        add("Took", vec![Span::plain(took(Duration::from_secs(bulletin.seconds)))]);
    }
    if let Some(live) = bulletin.live.as_ref().filter(|it| it.sha != bulletin.commit.sha) {
        add("Live is", vec![commit(live)]);
    }
    facts
}

pub(super) fn commit(commit: &Commit) -> Span {
    match &commit.url {
        Some(url) => Span::Link { text: commit.short.clone(), url: url.clone() },
        None => Span::Code(commit.short.clone()),
    }
}

fn changes(bulletin: &Bulletin) -> Vec<Vec<Span>> {
    let Some(changes) = &bulletin.changes else {
        let title = bulletin.commit.title.as_deref().map(|it| vec![Span::Said(words(it))]);
        return title.into_iter().collect();
    };
    let mut lines: Vec<Vec<Span>> = changes.commits.iter().map(line_of).collect();
    if changes.more > 0 {
        let text = format!("and {} more", changes.more);
        lines.push(vec![match &changes.url {
            Some(url) => Span::Link { text, url: url.clone() },
            None => Span::Plain(text),
        }]);
    }
    lines
}

fn line_of(it: &Commit) -> Vec<Span> {
    let title = it.title.as_deref().map(words).unwrap_or_default();
    let mut line = vec![commit(it), Span::plain(" "), Span::Said(title)];
    line.extend(it.author.as_deref().into_iter().flat_map(|it| [Span::plain(" · "), Span::Said(words(it))]));
    line
}

fn links(bulletin: &Bulletin) -> Vec<Link> {
    let links = &bulletin.links;
    let all = [("Deployment", &links.deployment), ("Engine", &links.engine)];
    all.into_iter().filter_map(|(text, url)| Some(Link { text, url: url.clone()? })).collect()
}

fn acts(bulletin: &Bulletin) -> Vec<Act> {
    let (id, target) = (bulletin.deployment, &bulletin.place.target);
    let act = |text, words, is_grave| Act { text, words, is_grave };
    let redeploy = || act("Deploy again", format!("redeploy {id}"), false);
    let rollback = || act("Roll back", format!("rollback {target} of {id}"), true);
    let lock = || act("Lock", format!("lock {target}"), true);
    match (bulletin.news, bulletin.approval) {
        (News::Held | News::Progressing, Some(of)) => {
            let approve = act("Approve", format!("approve {id} {}", of.as_str()), false);
            let reject = act("Reject", format!("reject {id}"), true);
            if of.may_be_rejected() { vec![approve, reject] } else { vec![approve] }
        }
        (News::Started | News::Progressing, _) => vec![act("Stop", format!("stop {id}"), true)],
        (News::Succeeded | News::Recovered, _) => vec![rollback()],
        (News::Failed, _) => vec![redeploy(), rollback(), lock()],
        (News::RolledBack | News::Stopped, _) => vec![redeploy(), lock()],
        (News::Refused, _) => vec![redeploy()],
        (News::Held | News::Superseded | News::Skipped, _) => vec![],
    }
}

/// Somebody's words on one line that does nothing.
pub(super) fn words(text: &str) -> String {
    let line = one_line(text, LONGEST_WORDS);
    if text.chars().count() > LONGEST_WORDS { format!("{}…", line.trim_end()) } else { line }
}

/// The last lines of a log that do nothing.
fn tail(log: &str) -> String {
    let log = harmless(log);
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    let skipped = last.chars().count().saturating_sub(LONGEST_LOG);
    last.chars().skip(skipped).collect()
}
