//! Dashboard, JSON API and event stream: views of the board. No rules live here: it parses, lets in, and renders.
//!
//! Why askama and a single script of thirty lines: the pages are complete without JavaScript, which only saves the
//! reader a reload. Why no middleware at the door: a handler that shows something takes a [`door::Reader`] and one
//! that changes something an [`door::Writer`], and nobody can make one without the right to it.

pub mod access;
mod api;
mod asks;
mod assets;
mod door;
mod forms;
mod frame;
mod login;
mod pages;
mod respond;
mod sessions;
mod stream;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use asks::{AskError, Asked, Asks};

use crate::board::Board;
use crate::clients::Clock;
use access::Tokens;

/// How many event streams may be open at once: each keeps a connection and a few kilobytes.
const STREAMS: usize = 256;

/// What the pages need. It is shared by all workers.
pub struct WebState {
    /// What is read.
    pub board: Board,
    /// Who carries out what is asked.
    pub asks: Arc<dyn Asks>,
    /// Who may ask.
    pub tokens: Arc<Tokens>,
    /// What time it is.
    pub clock: Clock,
    /// Whether reading needs no token.
    pub public_reads: bool,
    /// Whether browsers reach the dashboard by https: then the cookie is never sent without it.
    pub secure: bool,
    /// Cancelled when the bot drains: `/readyz` says so, and event streams end.
    pub stop: CancellationToken,
}

/// How many more streams may be opened.
pub(crate) struct Streams(pub(crate) Arc<Semaphore>);

/// Adds everything that the bot shows to an application. It claims `/` only for paths that nothing else has claimed.
pub fn routes(cfg: &mut ServiceConfig, state: web::Data<WebState>) {
    cfg.app_data(state)
        .app_data(web::Data::new(Streams(Arc::new(Semaphore::new(STREAMS)))))
        .service(web::resource("/healthz").get(api::healthz))
        .service(web::resource("/readyz").get(api::readyz))
        .service(
            web::scope("/api/v1")
                .service(web::resource("/targets").get(api::targets).default_service(web::to(api::wrong_method)))
                .service(
                    web::resource("/deployments").get(api::deployments).default_service(web::to(api::wrong_method)),
                )
                .service(
                    web::resource("/deployments/{id}").get(api::deployment).default_service(web::to(api::wrong_method)),
                )
                .service(web::resource("/why/{sha}").get(api::why).default_service(web::to(api::wrong_method)))
                .service(web::resource("/deliveries").get(api::deliveries).default_service(web::to(api::wrong_method)))
                .service(
                    web::resource("/deliveries/{id}").get(api::delivery).default_service(web::to(api::wrong_method)),
                )
                .service(web::resource("/events").get(stream::events).default_service(web::to(api::wrong_method)))
                .service(web::resource("/requests").post(api::request).default_service(web::to(api::wrong_method)))
                .default_service(web::to(api::unknown)),
        )
        .service(web::resource("/assets/{name}").get(assets::asset))
        .service(web::resource("/login").get(login::form).post(login::sign_in))
        .service(web::resource("/logout").post(login::sign_out))
        .service(web::resource("/").get(pages::targets))
        .service(web::resource("/targets/{name}").get(pages::target))
        .service(web::resource("/targets/{name}/{act}").post(forms::at_target))
        .service(web::resource("/deployments").get(pages::deployments))
        .service(web::resource("/deployments/{id}").get(pages::deployment))
        .service(web::resource("/deployments/{id}/{act}").post(forms::at_deployment))
        .service(web::resource("/deliveries").get(pages::deliveries))
        .service(web::resource("/deliveries/{id}").get(pages::delivery))
        .service(web::resource("/releases/{act}").post(forms::at_all))
        .default_service(web::to(pages::unknown));
}
