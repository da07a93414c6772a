//! Checks `[[chat]]`: where people are told, and of what.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::as_meant::{Chat, ChatKind, Worded, Words};
use super::check::{At, Checker};
use super::mail::mailbox;
use super::raw::{RawChat, RawCommands, RawSecret};
use super::secret::SecretRef;
use super::values::web_address;
use super::written::{Written, listed, nearest};
use crate::domain::{DIGEST_ABOVE, Finding, Manners, News};

/// Where Slack's methods are.
const SLACK_API: &str = "https://slack.com/api";
/// What is told without a word of `on`: all but what a newer push makes of itself.
const USUAL: [News; 9] = [
    News::Held,
    News::Started,
    News::Progressing,
    News::Succeeded,
    News::Recovered,
    News::Failed,
    News::RolledBack,
    News::Stopped,
    News::Refused,
];

/// What is told in quiet hours, too.
const URGENT: [News; 2] = [News::Failed, News::RolledBack];

/// The services, as they are written.
#[derive(Clone, Copy)]
enum Kind {
    Slack,
    Discord,
    Mattermost,
    Teams,
    Email,
    Webhook,
}

const KINDS: [(&str, Kind); 6] = [
    ("slack", Kind::Slack),
    ("discord", Kind::Discord),
    ("mattermost", Kind::Mattermost),
    ("teams", Kind::Teams),
    ("email", Kind::Email),
    ("webhook", Kind::Webhook),
];

impl Checker<'_> {
    pub(super) fn chats(
        &mut self,
        raw: Option<&Written<Vec<Written<RawChat>>>>,
        commands: Option<&RawCommands>,
    ) -> Vec<Chat> {
        let mut chats: Vec<Chat> = Vec::new();
        let buttons = commands.is_some_and(|it| it.slack_signing_secret.is_some());
        for chat in raw.into_iter().flat_map(|it| &it.value) {
            let name = self.required(chat.value.name.as_ref(), "name", "chat", &chat.span);
            let kind = self.chat_kind(chat);
            let on = self.news(chat.value.on.as_ref(), "on", USUAL);
            let manners = self.manners(&chat.value, kind.as_ref());
            let (Some(name), Some(kind)) = (name, kind) else { continue };
            let people = self.people_there(&chat.value, &kind);
            let words = self.words_there(&chat.value, &kind);
            self.fit_chat_name(&name);
            if chats.iter().any(|it| it.name == name.value) {
                let finding = Finding::error("config/name-taken", format!("a chat `{}` exists already", name.value));
                self.reader.find(finding.help("give each chat a name of its own"), &name.span);
            }
            chats.push(Chat { name: name.value, kind, on, people, words, manners, buttons });
        }
        chats
    }

    /// Its name is part of a name in the ledger, and typed after `landfall notify test`.
    fn fit_chat_name(&mut self, name: &Written<String>) {
        let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
        if name.value.is_empty() || name.value.len() > 50 || !name.value.chars().all(fits) {
            let help = "use letters, digits, `-`, `_` and `.`, at most 50";
            self.bad(&name.span, format!("`chat.name` cannot be `{}`", name.value), help);
        }
    }

    fn chat_kind(&mut self, chat: &Written<RawChat>) -> Option<ChatKind> {
        let raw = &chat.value;
        if raw.kind.is_none() {
            let kinds: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
            self.missing(
                "kind",
                "chat",
                format!("add `kind = \"slack\"`, or another of {}", listed(&kinds)),
                &chat.span,
            );
        }
        match self.word(raw.kind.as_ref(), "chat.kind", &KINDS)? {
            Kind::Slack if raw.token.is_some() => {
                let token = self.chat_secret(chat, "token", raw.token.as_ref(), "SLACK_TOKEN");
                let channel = self.required(raw.channel.as_ref(), "channel", "chat", &chat.span);
                let api_url = self.slack_api(raw)?;
                Some(ChatKind::SlackBot { token: token?, channel: channel?.value, api_url })
            }
            Kind::Slack => {
                let webhook = self.chat_secret(chat, "webhook", raw.webhook.as_ref(), "SLACK_WEBHOOK");
                Some(ChatKind::Slack { webhook: webhook? })
            }
            Kind::Discord => {
                let webhook = self.chat_secret(chat, "webhook", raw.webhook.as_ref(), "DISCORD_WEBHOOK");
                Some(ChatKind::Discord { webhook: webhook? })
            }
            Kind::Mattermost => {
                let webhook = self.chat_secret(chat, "webhook", raw.webhook.as_ref(), "MATTERMOST_WEBHOOK");
                Some(ChatKind::Mattermost { webhook: webhook? })
            }
            Kind::Teams => {
                let webhook = self.chat_secret(chat, "webhook", raw.webhook.as_ref(), "TEAMS_WEBHOOK");
                Some(ChatKind::Teams { webhook: webhook? })
            }
            Kind::Email => self.mail(chat).map(|it| ChatKind::Email(Box::new(it))),
            Kind::Webhook => {
                let webhook = self.chat_secret(chat, "webhook", raw.webhook.as_ref(), "DEPLOY_HOOK");
                let secret = self.chat_secret(chat, "secret", raw.secret.as_ref(), "DEPLOY_HOOK_SECRET");
                Some(ChatKind::Webhook { webhook: webhook?, secret: secret? })
            }
        }
    }

    /// A secret that a service needs.
    fn chat_secret(
        &mut self,
        chat: &Written<RawChat>,
        key: &str,
        written: Option<&Written<RawSecret>>,
        example: &str,
    ) -> Option<SecretRef> {
        if written.is_none() {
            self.missing(key, "chat", format!("add `{key} = {{ env = \"{example}\" }}`"), &chat.span);
        }
        self.secret(written?)
    }

    fn slack_api(&mut self, raw: &RawChat) -> Option<Url> {
        let usual = || Url::parse(SLACK_API).ok();
        let Some(written) = &raw.api_url else { return usual() };
        let address = self.fit(&At::Span(written.span.clone()), "chat.api_url", web_address(&written.value))?;
        Url::parse(&address).ok()
    }

    /// When it is told something new. A program wants everything, at once.
    fn manners(&mut self, raw: &RawChat, kind: Option<&ChatKind>) -> Manners {
        let quiet = self.windows(raw.quiet.as_ref(), "chat.quiet");
        let urgent = self.news(raw.urgent.as_ref(), "urgent", URGENT);
        if matches!(kind, Some(ChatKind::Webhook { .. })) {
            let written = [raw.quiet.as_ref().map(|it| &it.span), raw.digest_above.as_ref().map(|it| &it.span)];
            for span in written.into_iter().flatten() {
                let message = "this has no effect: a program is told everything at once";
                self.reader.find(Finding::warning("config/unused", message).help("take it out"), span);
            }
            return Manners::default();
        }
        let above = raw.digest_above.as_ref().map_or(DIGEST_ABOVE, |it| it.value);
        Manners { quiet, urgent, digest_above: Some(above).filter(|it| *it > 0) }
    }

    fn news<const N: usize>(
        &mut self,
        written: Option<&Written<Vec<Written<String>>>>,
        key: &str,
        usual: [News; N],
    ) -> BTreeSet<News> {
        let Some(on) = written else { return usual.into() };
        let words = News::ALL.map(|it| (it.as_str(), it));
        let mut found = BTreeSet::new();
        for written in &on.value {
            if let Some((_, news)) = words.iter().find(|(word, _)| *word == written.value) {
                found.insert(*news);
                continue;
            }
            let known = words.map(|(word, _)| word);
            let help = match nearest(&written.value, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use some of {}", listed(&known)),
            };
            self.bad(&written.span, format!("`chat.{key}` cannot have `{}`", written.value), help);
        }
        found
    }

    /// Templates are only read here: whoever fills them says what is wrong with them.
    fn words_there(&mut self, raw: &RawChat, kind: &ChatKind) -> Words {
        let written = raw.title.iter().map(|it| ("title", it)).chain(raw.text.iter().map(|it| ("text", it)));
        if matches!(kind, ChatKind::Webhook { .. }) {
            for (key, it) in written {
                let message = format!("`chat.{key}` is for what people read, and a webhook is sent data");
                self.bad(&it.span, message, "take it out, or make the sentence where the data arrives");
            }
            return Words::default();
        }
        let worded = |it: &Written<String>| {
            let (at, lines) = self.reader.lines(it);
            Worded { template: it.value.clone(), at, lines }
        };
        Words { title: raw.title.as_ref().map(worded), text: raw.text.as_ref().map(worded) }
    }

    fn people_there(&mut self, raw: &RawChat, kind: &ChatKind) -> BTreeMap<String, String> {
        let people: Vec<_> = raw.people.iter().flat_map(|it| &it.value.0).collect();
        for (name, id) in &people {
            if let Some(help) = no_person(kind, &id.value) {
                let message = format!("`chat.people` cannot have `{}` for `{}`", id.value, name.value);
                self.bad(&id.span, message, help);
            }
        }
        people.into_iter().map(|(name, id)| (name.value.clone(), id.value.clone())).collect()
    }
}

/// What to write instead where the service can know nobody by such a name.
fn no_person(kind: &ChatKind, id: &str) -> Option<&'static str> {
    let is = |fits: fn(u8) -> bool| !id.is_empty() && id.bytes().all(fits);
    let (fits, help) = match kind {
        ChatKind::Discord { .. } => {
            let help = "write the person's number, which Discord gives by `Copy User ID` in developer mode";
            (is(|it| it.is_ascii_digit()) && id.len() <= 20, help)
        }
        ChatKind::Mattermost { .. } => {
            let is_name = is(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'_'));
            (is_name && !matches!(id, "all" | "channel" | "here"), "write the person's username, without `@`")
        }
        ChatKind::Teams { .. } => {
            let is_object = id.len() == 36 && is(|it| it.is_ascii_hexdigit() || it == b'-');
            let help = "write the person's user principal name, `ada@example.com`, or their Entra object id";
            (is_object || id.split_once('@').is_some_and(|(name, at)| !name.is_empty() && at.contains('.')), help)
        }
        ChatKind::Email(_) => {
            let is_bare = mailbox(id).is_ok_and(|it| it.name.is_none());
            (is_bare, "write the person's e-mail address, `ada@example.com`")
        }
        ChatKind::Slack { .. } | ChatKind::SlackBot { .. } | ChatKind::Webhook { .. } => return None,
    };
    (!fits).then_some(help)
}
