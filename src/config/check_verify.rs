//! Checks `verify`: what is looked at after a release, one thing or a list.

use std::time::Duration;

use super::check::{Checker, flag, texts};
use super::raw::{RawTarget, RawVerify};
use super::values::duration;
use super::written::Written;
use crate::domain::{EngineSpec, Finding, VERIFY_EVERY_S, VERIFY_FOR_S, VERIFY_TIMEOUT_S, Verify, VerifyBy};

/// More often would be a load of its own.
const SHORTEST: Duration = Duration::from_millis(100);

impl Checker<'_> {
    /// What is looked at after a release to a target.
    pub(super) fn verifications(&mut self, raw: &RawTarget, engine: Option<&EngineSpec>) -> Vec<Verify> {
        let all: Vec<_> = raw.verify.iter().flat_map(|it| &it.value.0).cloned().collect();
        all.iter().filter_map(|it| self.verification(it, engine)).collect()
    }

    fn verification(
        &mut self,
        Written { value: raw, span }: &Written<RawVerify>,
        engine: Option<&EngineSpec>,
    ) -> Option<Verify> {
        let mut time = |written: Option<&Written<String>>, key: &str, usual: u64| {
            let read = self.parsed(written, key, duration).unwrap_or(Duration::from_secs(usual));
            u64::try_from(read.as_millis()).unwrap_or(u64::MAX)
        };
        let for_ms = time(raw.long.as_ref(), "target.verify.for", VERIFY_FOR_S);
        let every_ms = time(raw.every.as_ref(), "target.verify.every", VERIFY_EVERY_S);
        let timeout_ms = time(raw.timeout.as_ref(), "target.verify.timeout", VERIFY_TIMEOUT_S);
        for (written, ms) in [(&raw.every, every_ms), (&raw.timeout, timeout_ms)] {
            if let Some(it) = written.as_ref().filter(|_| Duration::from_millis(ms) < SHORTEST) {
                self.bad(&it.span, format!("`{}` is too short", it.value), "write at least `100ms`");
            }
        }
        let by = match (&raw.url, &raw.command) {
            (Some(url), None) => self.verify_url(raw, url)?,
            (None, Some(command)) => self.verify_command(raw, command, engine)?,
            (Some(_), Some(_)) | (None, None) => {
                let help = "write `url = \"https://…\"`, or `command = [\"./smoke.sh\"]` for a host target";
                self.bad(span, "`verify` names neither an address nor a command, or both", help);
                return None;
            }
        };
        Some(Verify { by, for_ms, every_ms, timeout_ms })
    }

    fn verify_url(&mut self, raw: &RawVerify, written: &Written<String>) -> Option<VerifyBy> {
        let url = url::Url::parse(&written.value).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
        let Some(url) = url.filter(url::Url::has_host) else {
            let message = format!("`verify.url` is `{}`, which is no web address", written.value);
            self.bad(&written.span, message, "write it as in `https://shop.example.com/healthz`");
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            // Plans store the target, and what plans store is shown.
            let message = "a password in an address is stored and shown wherever the target is";
            let help = "let the address answer without one";
            self.reader.find(Finding::error(super::INLINE_SECRET, message).help(help), &written.span);
            return None;
        }
        let status = raw.status.as_ref().map_or(200, |it| it.value);
        if let Some(it) = raw.status.as_ref().filter(|it| !(100..600).contains(&it.value)) {
            self.bad(&it.span, format!("`verify.status` is {}, which is no status", it.value), "write one as in `200`");
        }
        Some(VerifyBy::Url {
            url: url.to_string(),
            status: u16::try_from(status).unwrap_or(200),
            body_contains: raw.body_contains.as_ref().map(|it| it.value.clone()),
            allow_private: flag(raw.allow_private.as_ref()),
            follow: flag(raw.follow.as_ref()),
        })
    }

    fn verify_command(
        &mut self,
        raw: &RawVerify,
        written: &Written<Vec<Written<String>>>,
        engine: Option<&EngineSpec>,
    ) -> Option<VerifyBy> {
        let command = texts(Some(written));
        if let Some(EngineSpec::CodeDeploy(_)) = engine {
            let help = "use `url`, or the hook ValidateService, which runs on the instances";
            self.bad(&written.span, "`verify.command` is for host targets: this one is deployed elsewhere", help);
            return None;
        }
        if command.first().is_none_or(|it| it.is_empty() || it.starts_with('/')) {
            let help = "name a script of the bundle and its arguments, as in `[\"./smoke.sh\", \"--fast\"]`";
            self.bad(&written.span, "`verify.command` names no script of the bundle", help);
            return None;
        }
        let of_url = [raw.status.as_ref().map(|it| &it.span), raw.body_contains.as_ref().map(|it| &it.span)];
        for span in of_url.into_iter().flatten() {
            let finding = Finding::warning("config/unused", "this has no effect on a command");
            self.reader.find(finding.help("take it out"), span);
        }
        Some(VerifyBy::Command { command })
    }
}
