//! Places that take no message at all: said once when that begins and once when it is over, shown in between.

use std::time::Duration;

use super::super::way::{Down, Voice, Way};
use super::{Place, Reports};
use crate::domain::{Failure, Outage, took};

impl Reports {
    /// Shows which places take no message, and how much waits for each.
    pub(super) fn show(&self) {
        for (voice, way) in &self.ways {
            let place = voice.to_string();
            let outage = way.down().map(|Down { since, failure }| {
                let (since, failure, waiting) = (*since, failure.clone(), self.waiting_for(voice));
                Outage { place: place.clone(), since, failure, waiting }
            });
            self.outages.set(&place, outage);
        }
    }

    /// Of how many deployments there may be something to say in a voice.
    fn waiting_for(&self, voice: &Voice) -> usize {
        let lines = self.lines.iter().filter(|(place, _)| place.voice.as_ref() == Some(voice));
        lines.map(|(_, line)| line.waiting()).sum()
    }

    /// A place was down when the program last ended: it is until it takes a message, unless there is none for it.
    pub(super) fn was_down(&mut self, voice: Voice, down: Down) {
        let waiting = self.waiting_for(&voice);
        if waiting > 0 {
            let Failure { code, message, .. } = &down.failure;
            tracing::warn!(place = %voice, code, waiting, since = %down.since, "not told since before the start: {message}");
            self.ways.entry(voice).or_default().was(down);
        }
    }

    /// A place takes no message from now on: said once, whatever is tried meanwhile.
    pub(super) fn went_down(&self, place: &Place, Failure { code, message, help, .. }: &Failure) {
        let Some(voice) = &place.voice else { return };
        let help = help.as_deref().unwrap_or_default();
        tracing::warn!(place = %voice, code, help, "not told until it takes messages again: {message}");
    }

    /// The place took a message: an outage of it is over, and said to be.
    pub(super) fn is_up(&mut self, place: &Place) {
        let Some(voice) = &place.voice else { return };
        let waited = self.waiting_for(voice);
        let Some(Down { since, .. }) = self.ways.get_mut(voice).and_then(Way::is_up) else { return };
        let away = Duration::try_from(self.clock.now().duration_since(since)).unwrap_or_default();
        tracing::info!(place = %voice, away_s = away.as_secs(), waited, "told again, after {}", took(away));
    }
}
