//! The program. Everything it does is in the library; this file only hands over.

use landfall::cli::Exit;

fn main() -> Exit {
    // One TLS provider for every client in the process; a second call would be the only way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    landfall::cli::run()
}
