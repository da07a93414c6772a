//! Checks `freeze`: the windows of one target and those of all; and the quiet hours of a chat, which are such windows. Time zones are looked up here, in the machine's own
//! database, so that its lack is told before anything waits for it.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::check::Checker;
use super::raw::{Raw, RawWindow};
use super::values::duration;
use super::written::Written;
use crate::domain::{Calendar, Cron, Finding, TargetName, Window, WindowKind};

const KINDS: &[(&str, WindowKind)] = &[("deny", WindowKind::Deny), ("allow", WindowKind::Allow)];
/// From here on it is looked for what never opens or never ends: a check says the same on every day.
const LOOKED_FROM: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl Checker<'_> {
    /// The windows of a list, and what is wrong with them.
    pub(super) fn windows(
        &mut self,
        written: Option<&Written<Vec<Written<RawWindow>>>>,
        table: &'static str,
    ) -> Vec<Window> {
        written.iter().flat_map(|it| &it.value).filter_map(|it| self.window(it, table)).collect()
    }

    fn window(&mut self, Written { value: raw, span }: &Written<RawWindow>, table: &'static str) -> Option<Window> {
        let opens = self.required(raw.cron.as_ref(), "cron", table, span);
        let opens = opens.and_then(|it| match Cron::parse(&it.value) {
            Ok(cron) => Some(cron),
            Err(why) => {
                let help = "write five fields, as in `0 17 * * 5` for Fridays at 17:00";
                self.bad(&it.span, format!("`{table}.cron` is `{}`: {why}", it.value), help);
                None
            }
        });
        let long = self.required(raw.long.as_ref(), "for", table, span);
        let long = long.and_then(|it| self.parsed(Some(&it), &format!("{table}.for"), duration));
        let kind = self.word(raw.kind.as_ref(), &format!("{table}.kind"), KINDS).unwrap_or_default();
        let zone = self.zone(raw.timezone.as_ref(), table)?;
        let long = SignedDuration::try_from(long?).unwrap_or(SignedDuration::MAX);
        let window = Window { kind, opens: opens?, long, zone, reason: raw.reason.as_ref().map(|it| it.value.clone()) };
        if !window.ever_opens(LOOKED_FROM) {
            let message = "this window never opens: no day has this date, or it lasts no time";
            let finding = Finding::warning("config/freeze-never", message).help("correct `cron` or `for`");
            self.reader.find(finding, span);
        }
        Some(window)
    }

    /// A time zone by its name, or by a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; UTC unless named.
    fn zone(&mut self, written: Option<&Written<String>>, table: &str) -> Option<TimeZone> {
        let Some(Written { value: name, span }) = written else { return Some(TimeZone::UTC) };
        if name == "UTC" {
            return Some(TimeZone::UTC);
        }
        let found = TimeZone::get(name).ok().or_else(|| TimeZone::posix(name).ok());
        if found.is_none() {
            let (message, help) = if TimeZone::get("Europe/London").is_ok() {
                let help = "write it as in `Europe/Berlin`, or as a rule: `CET-1CEST,M3.5.0,M10.5.0/3`";
                (format!("`{table}.timezone` is `{name}`, which this machine does not know"), help)
            } else {
                let help = "install the package `tzdata`, or write the rule: `CET-1CEST,M3.5.0,M10.5.0/3`";
                (format!("`{table}.timezone` is `{name}`, and this machine has no time zone database"), help)
            };
            self.reader.find(Finding::error("config/no-timezone", message).help(help), span);
        }
        found
    }

    /// The windows of each target, with those of all; one that is never free is told.
    pub(super) fn calendar(&mut self, raw: &Raw) -> Calendar {
        let of_all = self.windows(raw.freeze.as_ref(), "freeze");
        let mut calendar = Calendar::default();
        for target in raw.target.iter().flat_map(|it| &it.value) {
            let own = self.windows(target.value.freeze.as_ref(), "freeze");
            let name = target.value.name.as_ref().and_then(|it| TargetName::parse(it.value.clone()).ok());
            let (Some(name), false) = (name, own.is_empty() && of_all.is_empty()) else { continue };
            calendar.0.insert(name.clone(), own.into_iter().chain(of_all.iter().cloned()).collect());
            if calendar.is_always_frozen(&name, LOOKED_FROM) {
                let message = format!("target `{name}` is always frozen: nothing is released without `--override`");
                let help = "shorten a window, or add one that allows";
                let span = target.value.freeze.as_ref().or(raw.freeze.as_ref()).map_or(&target.span, |it| &it.span);
                self.reader.find(Finding::warning("config/always-frozen", message).help(help), span);
            }
        }
        calendar
    }
}
