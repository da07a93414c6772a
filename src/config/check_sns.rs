//! Checks `[sns]`: whose messages may wake the poller.

use super::as_meant::Sns;
use super::check::{At, Checker, flag, twice};
use super::raw::RawSns;
use super::topic::Topic;
use super::written::Written;
use crate::domain::Finding;

impl Checker<'_> {
    pub(super) fn sns(&mut self, written: Option<&Written<RawSns>>) -> Sns {
        let Some(Written { value: raw, span: _ }) = written else { return Sns::default() };
        let mut topics = Vec::new();
        for topic in raw.topics.as_ref().into_iter().flat_map(|it| &it.value) {
            let parsed = self.fit(&At::Span(topic.span.clone()), "sns.topics", Topic::parse(&topic.value));
            topics.extend(parsed.map(|it| (it, &topic.span)));
        }
        for (topic, span) in twice(topics.iter().map(|(topic, span)| (topic.clone(), *span))) {
            let finding = Finding::error("config/bad-value", format!("`{topic}` is named twice"));
            self.reader.find(finding.help("name each topic once"), span);
        }
        let api_destination_secret = raw.api_destination_secret.as_ref().and_then(|it| self.secret(it));
        Sns {
            topics: topics.into_iter().map(|(topic, _)| topic).collect(),
            allow_signature_v1: raw.allow_signature_v1.is_none() || flag(raw.allow_signature_v1.as_ref()),
            confirm: raw.confirm.is_none() || flag(raw.confirm.as_ref()),
            api_destination_secret,
        }
    }
}
