//! What a place wants to hear later: it is held back until then, and told in one message with what else waits.

use super::{Place, Reports};
use crate::domain::{Deployment, DeploymentId};
use crate::report::brief::{self, Brief};
use crate::report::outbox::ReportError;
use crate::report::sink::{Message, Said};
use crate::report::way::Voice;

/// So many in one message; the rest follows in the next.
const MOST: usize = 200;

impl Reports {
    /// Holds something back, where its place wants to hear it later.
    pub(super) fn hold_back(&mut self, place: &Place, id: DeploymentId, message: &Message) -> bool {
        let (Some(voice), Some(line)) = (&place.voice, self.lines.get_mut(place)) else { return false };
        let now = self.clock.now();
        // What else was told meanwhile puts it off no further: only quiet hours do.
        let has_waited = line.held(id).is_some_and(|until| until <= now);
        let posts = self.ways.get(voice).filter(|_| !has_waited).map(|it| it.posts()).unwrap_or_default();
        let until = self.sinks[place.sink].held_back(message, &posts, now);
        until.is_some_and(|until| line.hold_back(id, until, now))
    }

    /// What is told together with this one: nothing where it stands alone.
    pub(super) fn gathered_with(&self, place: &Place, id: DeploymentId) -> Vec<DeploymentId> {
        let mut all = self.lines.get(place).map(|it| it.gathered(self.clock.now())).unwrap_or_default();
        all.truncate(MOST);
        if all.len() > 1 && all.contains(&id) { all } else { vec![] }
    }

    /// Something new was told there, and not in the place of something else.
    pub(super) fn count(&mut self, place: &Place) {
        if let Some(voice @ Voice::InChat(_)) = &place.voice {
            self.ways.entry(voice.clone()).or_default().posted(self.clock.now());
        }
    }

    /// Says what was held back in one message, and writes down of each that it was told.
    pub(super) async fn tell_together(&mut self, place: &Place, ids: Vec<DeploymentId>) -> Result<(), ReportError> {
        let mut told = self.briefs(place, ids).await?;
        if told.len() < 2 {
            let Some((deployment, message)) = told.pop() else { return Ok(()) };
            return self.say(place, deployment, message).await;
        }
        let (sink, messages) = (&self.sinks[place.sink], told.iter().map(|(_, message)| message).collect::<Vec<_>>());
        (self.probe)("report-before-send");
        self.under_way.clone_from(&place.voice);
        let said = sink.say_together(&messages).await;
        self.under_way = None;
        (self.probe)("report-sent");
        if let Some(voice) = &place.voice {
            self.ways.entry(voice.clone()).or_default().write(self.clock.now());
        }
        match said {
            Ok(()) => {
                self.count(place);
                for (deployment, message) in told {
                    let said = Said::all(None, &message);
                    let event = self.was_said(place, &deployment, message, said);
                    self.write_down(place.sink, event).await?;
                }
            }
            // Together they are too much for it: each is told alone then.
            Err(unsaid) if !unsaid.for_all => {
                tracing::warn!(sink = sink.name(), code = unsaid.failure.code, "{}", unsaid.failure.message);
                let line = self.lines.entry(place.clone()).or_default();
                told.iter().for_each(|(deployment, _)| line.stand_alone(deployment.id()));
            }
            Err(unsaid) => {
                let mut told = told.into_iter();
                let Some((first, message)) = told.next() else { return Ok(()) };
                let event = self.stumble(place, &first, message, unsaid);
                for (deployment, message) in told {
                    if let Some(event) = self.stumble_with(place, &deployment, message, &event) {
                        self.write_down(place.sink, event).await?;
                    }
                }
                self.write_down(place.sink, event).await?;
            }
        }
        self.show();
        Ok(())
    }

    /// What is to be said of each now; what needs no word any more is settled.
    async fn briefs(
        &mut self,
        place: &Place,
        ids: Vec<DeploymentId>,
    ) -> Result<Vec<(Deployment, Message)>, ReportError> {
        let (now, mut told) = (self.clock.now(), vec![]);
        for id in ids {
            let line = self.lines.entry(place.clone()).or_default();
            let (sink, known, url) = (self.sinks[place.sink].clone(), line.settled(id), self.public_url.clone());
            let read = self.read(move |ledger| brief::read(ledger, &sink, id, known.as_ref(), url.as_deref())).await?;
            match read {
                Some(Brief { deployment, message: Some(message), .. }) => told.push((deployment, message)),
                other => {
                    let is_over = other.is_none_or(|it| it.deployment.state().is_over());
                    self.lines.entry(place.clone()).or_default().settle(id, is_over, None, now);
                }
            }
        }
        Ok(told)
    }
}
