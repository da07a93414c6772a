//! Dashboard, JSON API and event stream: views of the board. No rules live here: it parses, lets in, and renders.
//!
//! Why askama and a single script of thirty lines: the pages are complete without JavaScript, which only saves the
//! reader a reload. Why no middleware at the door: a handler that shows something takes a `door::Reader` and one
//! that changes something a `door::Writer`, and nobody can make one without the right to it.

pub mod access;
mod api;
mod assets;
mod badge;
mod bodies;
mod confirm;
mod door;
mod feed;
mod foretold;
mod forms;
mod frame;
mod github;
mod keyring;
mod log;
mod login;
mod openapi;
mod operations;
mod pages;
mod parameters;
mod plot;
mod requests;
mod respond;
mod sessions;
mod stream;
mod tokens;
mod trip;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::asking::{Admissions, Asks};
use crate::board::{Board, Figures};
use crate::clients::{Clock, Telling};
use crate::config::Proxies;
use access::Tokens;
use feed::Feed;

/// The largest body of a form or a request, in bytes: some hundred times what one needs.
const LARGEST_BODY: usize = 64 << 10;

/// What the pages need. It is shared by all workers.
pub struct WebState {
    /// What is read.
    pub board: Board,
    /// What is counted.
    pub figures: Figures,
    /// Who carries out what is asked.
    pub asks: Arc<dyn Asks>,
    /// Who may ask.
    pub tokens: Arc<Tokens>,
    /// Who is let in because GitHub says who they are; nothing where nobody is.
    pub admissions: Option<Arc<Admissions>>,
    /// Who of those turned away the log tells of.
    pub telling: Telling,
    /// What time it is.
    pub clock: Clock,
    /// Whether reading needs no token.
    pub public_reads: bool,
    /// Whether badges need none.
    pub public_badges: bool,
    /// Whose word on who asks is taken.
    pub proxies: Proxies,
    /// Whether browsers reach the dashboard by https: then the cookie is never sent without it.
    pub secure: bool,
    /// How many more event streams may be opened: each keeps a connection and a few kilobytes.
    pub streams: Arc<Semaphore>,
    /// Cancelled when the bot drains: `/readyz` says so, and event streams end.
    pub stop: CancellationToken,
}

/// Adds everything that the bot shows to an application. It claims `/` only for paths that nothing else has claimed.
pub fn routes(cfg: &mut ServiceConfig, state: web::Data<WebState>) {
    let feed = Feed::new(state.board.clone());
    cfg.app_data(state)
        .app_data(web::Data::new(feed))
        .service(web::resource("/healthz").get(api::healthz).route(web::head().to(api::healthz)))
        .service(web::resource("/readyz").get(api::readyz).route(web::head().to(api::readyz)))
        .service(web::resource("/metrics").get(api::metrics))
        .service(
            web::scope("/api/v1")
                .service(only(web::get().to(openapi::described), "/openapi.json"))
                .service(only(web::get().to(api::targets), "/targets"))
                .service(only(web::get().to(api::target), "/targets/{name}"))
                .service(only(web::get().to(api::live_at), "/targets/{name}/live"))
                .service(only(web::get().to(api::trend), "/targets/{name}/figures"))
                .service(only(web::get().to(api::deployments), "/deployments"))
                .service(only(web::get().to(api::deployment), "/deployments/{id}"))
                .service(only(web::get().to(api::log), "/deployments/{id}/log"))
                .service(only(web::get().to(api::why), "/why/{sha}"))
                .service(only(web::get().to(api::deliveries), "/deliveries"))
                .service(only(web::get().to(api::delivery), "/deliveries/{id}"))
                .service(only(web::get().to(stream::events), "/events"))
                .service(only(web::get().to(api::audit), "/audit"))
                .service(
                    small("/tokens")
                        .route(web::get().to(tokens::list))
                        .route(web::post().to(tokens::make))
                        .default_service(web::to(api::wrong_method)),
                )
                .service(only(web::delete().to(tokens::revoke), "/tokens/{name}"))
                .service(only(web::delete().to(tokens::sign_out), "/tokens/{name}/sessions"))
                .service(only(web::delete().to(tokens::sign_out_guest), "/guests/{login}"))
                .service(only(web::post().to(requests::request), "/requests"))
                .service(only(web::post().to(api::upkeep), "/upkeep"))
                .default_service(web::to(api::unknown)),
        )
        .service(web::resource("/assets/{name}").get(assets::asset))
        .service(small("/login").get(login::form).post(login::sign_in))
        .service(web::resource("/login/start").get(github::away))
        .service(web::resource("/login/github").get(github::back))
        .service(small("/logout").post(login::sign_out))
        .service(web::resource("/badge/{name}").get(badge::badge))
        .service(web::resource("/").get(pages::targets))
        .service(web::resource("/live").get(pages::live))
        .service(web::resource("/targets/{name}").get(pages::target))
        .service(small("/targets/{name}/{act}").get(confirm::at_target).post(forms::at_target))
        .service(web::resource("/deployments").get(pages::deployments))
        .service(web::resource("/deployments/{id}").get(pages::deployment))
        .service(web::resource("/deployments/{id}/log").get(log::whole))
        .service(small("/deployments/{id}/{act}").get(confirm::at_deployment).post(forms::at_deployment))
        .service(web::resource("/deliveries").get(pages::deliveries))
        .service(web::resource("/deliveries/{id}").get(pages::delivery))
        .service(small("/deliveries/{id}/{act}").get(confirm::at_delivery).post(forms::at_delivery))
        .service(web::resource("/audit").get(pages::audit))
        .service(small("/releases/{act}").get(confirm::at_all).post(forms::at_all))
        .default_service(web::to(pages::unknown));
}

/// A path of the API that takes one method, and says so to others.
fn only(route: Route, path: &str) -> Resource {
    small(path).route(route).default_service(web::to(api::wrong_method))
}

/// A path whose bodies are small, whatever the webhooks of the same application may send.
fn small(path: &str) -> Resource {
    web::resource(path).app_data(web::PayloadConfig::new(LARGEST_BODY))
}
