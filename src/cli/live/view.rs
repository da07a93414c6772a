//! The loop of a live view: look, show, wait for news. It never gives up on a connection while somebody looks, and for a
//! script after a while.

use std::time::Duration;

use jiff::Timestamp;

use super::super::exit::{Exit, Outcome, Trouble};
use super::super::server::{Missed, Server};
use super::super::terminal::{Cell, GOOD, WAITS, line_within, talk};
use super::ear::Ear;
use super::follow::ending;
use super::screen::Screen;
use super::subject::{Scene, Subject};
use crate::clients::Clock;
use crate::config::Environment;
use crate::domain::spell;

/// How often times on a screen go on while nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// So many ticks without news, and it looks again: a stream that is silent may be one that is stuck.
const QUIET_TICKS: usize = 10;
/// How long it does not look again after a look, however much happens.
const PAUSE: Duration = Duration::from_millis(250);
/// How long somebody who is no terminal waits for a server that is away: longer than it takes to start again.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long it stays on the screen that the connection is back.
const RELIEF: Duration = Duration::from_secs(10);

/// Shows all targets, one, or a deployment until a person ends it, or the deployment has ended.
pub(in crate::cli) fn watch(server: &Server, word: Option<&str>, environment: &Environment) -> Outcome {
    let subject = Subject::named(word);
    let teller = match (Screen::of_stderr(environment), &subject) {
        (Some(screen), _) => Teller::Screen(screen),
        (None, Subject::Deployment(_)) => Teller::Lines { told: None },
        (None, Subject::Everything | Subject::Target(_)) => {
            return Err(Trouble::wrong("there is no terminal to draw on")
                .help("leave `--watch` out; a script reads `landfall status --json`, or `GET /api/v1/events`"));
        }
    };
    match View::new(subject, teller).run(server)? {
        Some(scene) => Ok(scene.ended().map_or(Exit::Done, ending)),
        None => Ok(Exit::Done),
    }
}

/// How it is shown.
pub(super) enum Teller {
    /// Drawn in place.
    Screen(Screen),
    /// A line an event, from this one on.
    Lines { told: Option<u64> },
}

/// Whether the server can be heard.
enum Connection {
    Well,
    Lost { since: Timestamp, why: String },
    Back { at: Timestamp, after: Duration },
}

/// One live view.
pub(super) struct View {
    subject: Subject,
    teller: Teller,
    connection: Connection,
    clock: Clock,
    /// What was seen last, and when.
    seen: Option<(Scene, Timestamp)>,
}

impl View {
    pub(super) fn new(subject: Subject, teller: Teller) -> Self {
        Self { subject, teller, connection: Connection::Well, clock: Clock::system(), seen: None }
    }

    /// Shows what happens until it is over: then what was seen last. Nothing where a person ended it at a terminal.
    pub(super) fn run(mut self, server: &Server) -> Result<Option<Scene>, Trouble> {
        let at_terminal = matches!(self.teller, Teller::Screen(_));
        server.block_on(async {
            tokio::select! {
                over = self.until_over(server) => over.map(Some),
                // What is typed stands where the cursor is; what follows begins below.
                _ = tokio::signal::ctrl_c(), if at_terminal => { talk("\n"); Ok(None) }
            }
        })
    }

    async fn until_over(&mut self, server: &Server) -> Result<Scene, Trouble> {
        let mut ear = Ear::open(server, &self.subject.events());
        loop {
            match self.subject.look(server).await {
                Ok(scene) => {
                    self.heard();
                    self.seen = Some((scene, self.clock.now()));
                }
                Err(Missed::Refused(trouble)) => return Err(trouble),
                Err(Missed::Away(trouble)) => self.lost(trouble)?,
            }
            self.show();
            if let Some((scene, _)) = self.seen.take_if(|(scene, _)| scene.ended().is_some()) {
                return Ok(scene);
            }
            tokio::time::sleep(PAUSE).await;
            self.wait_for_news(&mut ear).await;
        }
    }

    /// Waits until something has happened, or for so long that it is better to look; times on a screen go on.
    async fn wait_for_news(&mut self, ear: &mut Ear) {
        for _ in 0..QUIET_TICKS {
            if tokio::time::timeout(TICK, ear.news()).await.is_ok() {
                return;
            }
            self.show();
        }
    }

    /// The server answered.
    fn heard(&mut self) {
        let now = self.clock.now();
        if let Connection::Lost { since, .. } = &self.connection {
            let after = past(*since, now);
            self.connection = Connection::Back { at: now, after };
            self.remark();
        }
    }

    /// It did not. Who never heard it is told at once.
    fn lost(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        let now = self.clock.now();
        match &mut self.connection {
            _ if self.seen.is_none() => return Err(trouble),
            Connection::Lost { since, .. } if self.teller.is_lines() && past(*since, now) > PATIENCE => {
                return Err(trouble.help("what was asked goes on without us: look again with `landfall status`"));
            }
            Connection::Lost { why, .. } => *why = trouble.to_string(),
            Connection::Well | Connection::Back { .. } => {
                self.connection = Connection::Lost { since: now, why: trouble.to_string() };
                self.remark();
            }
        }
        Ok(())
    }

    /// Says in a line how the connection is, where nothing is drawn.
    fn remark(&self) {
        if self.teller.is_lines() {
            let line = self.connection.line(self.clock.now(), usize::MAX);
            line.iter().for_each(|line| talk(&format!("{line}\n")));
        }
    }

    fn show(&mut self) {
        let (Some((scene, at)), now) = (&self.seen, self.clock.now()) else { return };
        match &mut self.teller {
            Teller::Screen(screen) => {
                let size = Screen::size();
                let mut lines = scene.lines(now, past(*at, now), size.width);
                lines.extend(self.connection.line(now, size.width));
                screen.draw(lines, size);
            }
            Teller::Lines { told } => {
                let Scene::Deployment(deployment, _) = scene else { return };
                let before = *told;
                for event in deployment.events.iter().filter(|it| before.is_none_or(|last| it.offset > last)) {
                    talk(&event.line());
                    *told = Some(event.offset);
                }
            }
        }
    }
}

impl Teller {
    fn is_lines(&self) -> bool {
        matches!(self, Self::Lines { .. })
    }
}

impl Connection {
    /// What a person should know of it.
    fn line(&self, now: Timestamp, width: usize) -> Option<String> {
        let parts = match self {
            Self::Lost { since, why } => {
                let lost = format!("connection lost {} ago", spell(past(*since, now)));
                [Cell::styled(WAITS, lost), Cell::new(format!("; trying again: {why}"))]
            }
            Self::Back { at, after } if past(*at, now) < RELIEF => {
                [Cell::styled(GOOD, "connected again"), Cell::new(format!(" after {}", spell(*after)))]
            }
            Self::Well | Self::Back { .. } => return None,
        };
        Some(line_within(&parts, width))
    }
}

/// How long ago that was; a clock that was set back counts for nothing.
fn past(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}
