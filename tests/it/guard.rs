//! The guard of outgoing requests over real connections: where redirects lead, and what is said where TLS comes to nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use landfall::clients::guard::{Guarded, get};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bot::install_tls;

/// What comes of asking for an address.
async fn asked(url: String, allow_private: bool) -> String {
    let (within, limit) = (Duration::from_secs(5), 1024);
    let wanted = Guarded { url: url.parse().unwrap(), allow_private, follow: true, within, limit };
    match get(&wanted).await {
        Ok(answered) => answered.status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A server of one answer; its port.
fn server(answer: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || answer(listener.accept().unwrap().0));
    port
}

fn leads_to(to: &'static str) -> u16 {
    server(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_leads_where_secrets_are_or_by_another_way_than_the_web() {
    install_tls();
    for (to, why) in [
        ("http://169.254.169.254/latest/meta-data", "`169.254.169.254` is 169.254.169.254, a link-local address"),
        ("//[fd00:ec2::254]/", "is fd00:ec2::254, where a cloud tells machines their secrets"),
        ("http://[::ffff:169.254.169.254]/", "a link-local address"),
        ("http://[64:ff9b::a9fe:a9fe]/", "a link-local address"),
        ("http://0xa9fea9fe/", "`169.254.169.254` is 169.254.169.254, a link-local address"),
        ("http://2852039166/", "a link-local address"),
        ("http://0/", "no address of one host"),
        ("http://0.0.0.0/", "no address of one host"),
        ("file:///etc/passwd", "is no address by http or https"),
    ] {
        let told = asked(format!("http://127.0.0.1:{}/", leads_to(to)), true).await;
        assert!(told.contains(why), "{to}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_refused_however_it_is_written() {
    install_tls();
    for host in ["127.1", "0177.0.0.1", "0x7f000001", "2130706433", "[::ffff:7f00:1]", "[::1]", "localhost", "10.1.2.3"]
    {
        let told = asked(format!("http://{host}:9/"), false).await;
        assert!(told.contains("an address of a private network or of this machine"), "{host}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_tls_is_said() {
    install_tls();
    let plain = server(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let told = asked(format!("https://127.0.0.1:{plain}/"), true).await;
    assert_eq!(
        told,
        "`127.0.0.1` could not be asked: what answers there does not speak TLS: is it plain text, or another port?"
    );
    let stranger = server(|stream| {
        let certificates = vec![CertificateDer::from_pem_slice(include_bytes!("../worlds/sns/foreign.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../worlds/sns/signer.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let _ = StreamOwned::new(connection, stream).read(&mut [0; 16]);
    });
    let told = asked(format!("https://127.0.0.1:{stranger}/"), true).await;
    assert_eq!(told, "`127.0.0.1` could not be asked: nobody whom this machine trusts has signed its certificate");
}
