//! The parts of the bot that work until it ends: where one ends before its time, somebody is told.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ledger::LedgerError;
use crate::report::ReportError;

/// Who is at work until the bot is told to end.
pub(super) struct Crew {
    pub(super) stop: CancellationToken,
    pub(super) fall: watch::Sender<Option<Fall>>,
}

/// A part that ended before its time, why, and what a person can do.
#[derive(Clone, Debug, Default)]
pub(super) struct Fall {
    pub(super) part: &'static str,
    pub(super) why: String,
    pub(super) help: Option<String>,
}

/// What a part ends with.
pub(super) trait Advises: Display {
    /// What a person can do, where that is known.
    fn help(&self) -> Option<String>;
}

impl Advises for LedgerError {
    fn help(&self) -> Option<String> {
        self.failure().help
    }
}

impl Advises for ReportError {
    fn help(&self) -> Option<String> {
        self.failure().help
    }
}

impl Crew {
    /// Sets a part to work. One that ends before its time is told of: pushes would be taken, and nothing done for them.
    pub(super) fn begin<E: Advises + Send + 'static>(
        &self,
        part: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> JoinHandle<Result<(), E>> {
        let (stop, fall) = (self.stop.clone(), self.fall.clone());
        tokio::spawn(async move {
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            let (why, help) = match &ended {
                Ok(Ok(())) => ("it had nothing more to do".to_owned(), None),
                Ok(Err(error)) => (error.to_string(), error.help()),
                Err(_) => ("it panicked, which is a bug of ours".to_owned(), None),
            };
            if !stop.is_cancelled() {
                let it = Fall { part, why, help };
                fall.send_if_modified(|first| first.is_none() && first.replace(it).is_none());
            }
            ended.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of parts that end so, before the bot is told to end or after.
    async fn told(is_ending: bool, work: impl Future<Output = Result<(), String>> + Send + 'static) -> Option<String> {
        let (fall, fallen) = watch::channel(None);
        let crew = Crew { stop: CancellationToken::new(), fall };
        if is_ending {
            crew.stop.cancel();
        }
        // How it went is what is told.
        let _ = crew.begin("a part", work).await;
        fallen.borrow().as_ref().map(|Fall { part, why, .. }| format!("{part}: {why}"))
    }

    impl Advises for String {
        fn help(&self) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn a_part_that_ends_before_its_time_is_told_of_and_at_the_end_none_is() {
        for is_ending in [false, true] {
            let cases = [
                (told(is_ending, async { Ok(()) }).await, "it had nothing more to do"),
                (told(is_ending, async { Err("no log".into()) }).await, "no log"),
                (told(is_ending, async { panic!("boom") }).await, "it panicked, which is a bug of ours"),
            ];
            for (found, why) in cases {
                assert_eq!(found, (!is_ending).then(|| format!("a part: {why}")));
            }
        }
    }
}
