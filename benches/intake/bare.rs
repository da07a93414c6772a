//! The limit: the same verification in front of a file. It reads nothing of what it keeps.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;

use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::oneshot;

/// How many deliveries share one `fdatasync` at most.
const BATCH: usize = 512;

type Keep = (Bytes, oneshot::Sender<()>);

/// Serves until it is ended.
pub(crate) fn serve(port: u16, folder: &Path) {
    let file = File::create(folder.join("bodies")).unwrap();
    let (keep, kept) = mpsc::channel();
    std::thread::spawn(move || write(file, kept));
    actix_web::rt::System::new()
        .block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(Data::new(keep.clone()))
                    .app_data(PayloadConfig::new(25 << 20))
                    .route("/webhooks/github", web::post().to(take))
            });
            server.workers(2).bind(("127.0.0.1", port)).unwrap().run().await
        })
        .unwrap();
}

async fn take(request: HttpRequest, body: Bytes, keep: Data<mpsc::Sender<Keep>>) -> HttpResponse {
    if !is_signed(&request, &body) {
        return HttpResponse::Unauthorized().finish();
    }
    let (done, durable) = oneshot::channel();
    if keep.send((body, done)).is_err() || durable.await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::Accepted().finish()
}

fn is_signed(request: &HttpRequest, body: &[u8]) -> bool {
    let header = request.headers().get("X-Hub-Signature-256").and_then(|value| value.to_str().ok());
    let claimed = header.and_then(|text| text.strip_prefix("sha256=")).and_then(|digits| hex::decode(digits).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(super::SECRET.as_bytes()).unwrap();
    mac.update(body);
    claimed.is_some_and(|claimed| mac.verify_slice(&claimed).is_ok())
}

/// The one writer: everything that waits is written together, synced once, and then answered.
fn write(mut file: File, kept: mpsc::Receiver<Keep>) {
    let mut text = Vec::new();
    while let Ok(first) = kept.recv() {
        let batch: Vec<Keep> = std::iter::once(first).chain(kept.try_iter().take(BATCH - 1)).collect();
        text.clear();
        for (body, _) in &batch {
            text.extend_from_slice(body);
        }
        file.write_all(&text).unwrap();
        file.sync_data().unwrap();
        for (_, done) in batch {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}
