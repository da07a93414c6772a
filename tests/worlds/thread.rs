//! A world's server on a thread of its own, so that it outlives whatever a test does to its clients.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

/// Serves `routes` over `state` on a free port of loopback; gives the address, and what ends it.
pub(crate) fn serve<S: Send + 'static>(
    state: Arc<Mutex<S>>,
    routes: fn(&mut web::ServiceConfig),
) -> (String, ServerHandle) {
    serve_on(TcpListener::bind("127.0.0.1:0").unwrap(), state, routes)
}

/// The same where a test listens already.
pub(crate) fn serve_on<S: Send + 'static>(
    listener: TcpListener,
    state: Arc<Mutex<S>>,
    routes: fn(&mut web::ServiceConfig),
) -> (String, ServerHandle) {
    let (told, hear) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server =
                HttpServer::new(move || App::new().app_data(web::Data::from(Arc::clone(&state))).configure(routes));
            let server = server.workers(1).disable_signals().listen(listener).unwrap();
            let url = format!("http://{}", server.addrs()[0]);
            let running = server.run();
            told.send((url, running.handle())).unwrap();
            running.await.unwrap();
        });
    });
    hear.recv().unwrap()
}
