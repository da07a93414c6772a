//! The demo's web server: answers with the deployed page, as the nginx of a real machine would. Serves two files only.

use std::net::SocketAddr;
use std::path::PathBuf;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};

/// A server of one directory, on a free port of this machine.
pub(super) struct PageServer {
    pub(super) address: SocketAddr,
    handle: ServerHandle,
}

impl PageServer {
    /// Starts it.
    pub(super) fn start(www: PathBuf) -> Result<Self> {
        let www = web::Data::new(www);
        let app = move || {
            App::new()
                .app_data(www.clone())
                .route(
                    "/",
                    web::get().to(|www: web::Data<PathBuf>| file(www, "index.html", "text/html; charset=utf-8")),
                )
                .route(
                    "/revision.txt",
                    web::get().to(|www: web::Data<PathBuf>| file(www, "revision.txt", "text/plain")),
                )
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0));
        let server = server.context("cannot open a port for the demo's page")?;
        let address = server.addrs().first().copied().context("the page's server has no address")?;
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        Ok(Self { address, handle })
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn file(www: web::Data<PathBuf>, name: &'static str, kind: &'static str) -> HttpResponse {
    match tokio::fs::read(www.join(name)).await {
        Ok(bytes) => HttpResponse::Ok().content_type(kind).body(bytes),
        Err(_) => HttpResponse::NotFound().body("nothing is deployed yet\n"),
    }
}
