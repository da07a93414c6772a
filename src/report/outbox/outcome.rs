//! What came of a message: what is remembered of it, what the log says, and what is written down.

use super::{DENIED_FOR, Place, Reports};
use crate::domain::{Deployment, SinkEvent};
use crate::report::line::Stumbled;
use crate::report::pace;
use crate::report::sink::{Message, Said, Sink};
use crate::report::unsaid::Unsaid;

impl Reports {
    pub(super) fn was_said(
        &mut self,
        place: &Place,
        deployment: &Deployment,
        message: Message,
        said: Said,
    ) -> SinkEvent {
        self.is_up(place);
        let (now, line) = (self.clock.now(), self.lines.entry(place.clone()).or_default());
        let Message { sha, notice: wanted, stand, .. } = message;
        let Said { remote_id, notice, context, steps } = said;
        let (state, text, deployment, is_over) =
            (notice.state, notice.text.clone(), deployment.id(), deployment.state().is_over());
        let is_all = notice == wanted;
        tracing::debug!(sink = self.sinks[place.sink].name(), notice = notice.state.as_str(), "told");
        line.settle(deployment, is_over && is_all, Some(notice), now);
        if !is_all {
            line.goes_on(deployment, now);
        }
        SinkEvent::Sent { deployment, context, sha, state, text, remote_id, nth: stand + 1, steps }
    }

    /// What came of a message that could not be said.
    pub(super) fn stumble(
        &mut self,
        place: &Place,
        deployment: &Deployment,
        message: Message,
        unsaid: Unsaid,
    ) -> SinkEvent {
        let (id, sink, now) = (deployment.id(), &self.sinks[place.sink], self.clock.now());
        let line = self.lines.entry(place.clone()).or_default();
        let mut way = place.voice.as_ref().and_then(|voice| self.ways.get_mut(voice));
        let was_down = way.as_ref().is_some_and(|it| it.down().is_some());
        let stumbled = line.stumble(id, &unsaid, now, &self.pace, way.as_deref_mut());
        let down_since = way.filter(|_| unsaid.for_all).and_then(|it| it.down()).map(|it| it.since);
        let Message { notice, remote_id, stand, .. } = message;
        let nth = stand + u32::from(unsaid.may_be_taken);
        let failure = unsaid.failure;
        let code = failure.code.as_str();
        match stumbled {
            Stumbled::GaveUp => {
                if unsaid.is_denied && !matches!(sink, Sink::GitHubStatus(_) | Sink::GitHubComment(_)) {
                    let place = (place.sink, deployment.order().target.repository.clone());
                    self.denied.insert(place, (pace::after(now, DENIED_FOR), failure.clone()));
                }
                let sink = sink.name();
                let help = failure.help.as_deref().unwrap_or_default();
                tracing::error!(sink, code, help, "gave up telling: {}", failure.message);
                line.settle(id, deployment.state().is_over(), Some(notice), now);
                SinkEvent::GaveUp { deployment: id, failure, remote_id, nth }
            }
            Stumbled::Again(next_at, attempt) => {
                let (sink, why) = (sink.name(), &failure.message);
                match down_since {
                    Some(_) if !was_down => self.went_down(place, &failure),
                    None if !unsaid.for_all => tracing::warn!(sink, code, attempt, %next_at, "not told yet: {why}"),
                    Some(_) | None => tracing::debug!(sink, code, attempt, %next_at, "not told yet: {why}"),
                }
                SinkEvent::Stumbled { deployment: id, failure, attempt, next_at, remote_id, nth, down_since }
            }
        }
    }

    /// What came of a message that was to be said together with one that came to this; nothing where it is known already.
    pub(super) fn stumble_with(
        &mut self,
        place: &Place,
        deployment: &Deployment,
        message: Message,
        first: &SinkEvent,
    ) -> Option<SinkEvent> {
        let (id, is_over) = (deployment.id(), deployment.state().is_over());
        let line = self.lines.entry(place.clone()).or_default();
        let Message { notice, remote_id, stand: nth, .. } = message;
        match first.clone() {
            SinkEvent::Stumbled { deployment: first, failure, attempt, next_at, down_since, .. } => {
                line.stumble_with(id, first).then_some(SinkEvent::Stumbled {
                    deployment: id,
                    failure,
                    attempt,
                    next_at,
                    remote_id,
                    nth,
                    down_since,
                })
            }
            SinkEvent::GaveUp { failure, .. } => {
                line.settle(id, is_over, Some(notice), self.clock.now());
                Some(SinkEvent::GaveUp { deployment: id, failure, remote_id, nth })
            }
            SinkEvent::Sent { .. } => None,
        }
    }
}
