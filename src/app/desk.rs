//! The way of the web and of commands to the conductor and to upkeep: behind it, neither knows who asks.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::write;
use crate::asking::{self, Asks};
use crate::conductor;
use crate::domain::{Act, BotEvent, Failure, Request};
use crate::ledger::{Ledger, LedgerError};
use crate::upkeep::Upkeep;

/// Why the rules did not take a request, for whoever asked.
fn not_taken(error: conductor::AskError) -> asking::AskError {
    match error {
        conductor::AskError::Refused(failure) if failure.passing => asking::AskError::Unavailable(failure),
        conductor::AskError::Refused(failure) => asking::AskError::Refused(failure),
        unknown @ conductor::AskError::Unknown { .. } => asking::AskError::Unknown { what: unknown.to_string() },
        moved @ conductor::AskError::Moved => asking::AskError::Moved { what: moved.to_string() },
        conductor::AskError::Ledger(error) => asking::AskError::Unavailable(error.failure()),
    }
}

/// The web's way to ask.
pub(super) struct Desk(pub(super) conductor::Asks, pub(super) Upkeep, pub(super) Ledger);

impl Asks for Desk {
    fn ask(&self, request: Request) -> BoxFuture<'_, Result<asking::Asked, asking::AskError>> {
        async move {
            let conductor::Asked { repeat, offset, deployments, told } =
                self.0.ask(request).await.map_err(not_taken)?;
            Ok(asking::Asked { repeat, offset, deployments, told })
        }
        .boxed()
    }

    fn ask_as_said<'a>(
        &'a self,
        request: Request,
        seal: &'a str,
    ) -> BoxFuture<'a, Result<asking::Asked, asking::AskError>> {
        async move {
            let asked = self.0.ask_as_said(request, Some(seal)).await.map_err(not_taken)?;
            let conductor::Asked { repeat, offset, deployments, told } = asked;
            Ok(asking::Asked { repeat, offset, deployments, told })
        }
        .boxed()
    }

    fn foresee(&self, request: Request) -> BoxFuture<'_, Result<asking::Foreseen, asking::AskError>> {
        async move {
            let conductor::Foreseen { orders, told, seal } = self.0.foresee(&request).await.map_err(not_taken)?;
            Ok(asking::Foreseen { orders, told, seal })
        }
        .boxed()
    }

    fn administered<'a>(&'a self, actor: &'a str, act: Act) -> BoxFuture<'a, Result<(), asking::AskError>> {
        let event = BotEvent::Administered { actor: actor.to_owned(), act };
        let told = |error: LedgerError| asking::AskError::Unavailable(error.failure());
        async move { write(&self.2, event).await.map_err(told) }.boxed()
    }

    fn upkeep(&self, dry_run: bool) -> BoxFuture<'_, Result<asking::UpkeepReport, asking::AskError>> {
        async move {
            // On a task of its own: whoever asked may hang up, and a round that was begun is ended.
            let upkeep = self.1.clone();
            let round = tokio::spawn(async move { upkeep.round(dry_run).await });
            let cut = |_| {
                let text = "upkeep was cut off: the bot is ending, or has a bug";
                asking::AskError::Unavailable(Failure::passing("app/upkeep-cut", text).help("ask again"))
            };
            round.await.map_err(cut)?.map_err(|error| asking::AskError::Unavailable(error.failure()))
        }
        .boxed()
    }
}
