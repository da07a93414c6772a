//! One message to a mail server, by SMTP (RFC 5321) with lettre: said once, nothing waited for long. Private addresses may be
//! spoken to, since a person wrote them down; where clouds tell machines their secrets may not. Whom the server does not
//! take does not keep the message from the others. It never speaks plain text where TLS was asked for, and never tells
//! what is said to log in.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use thiserror::Error as ThisError;

use super::guard::{self, GuardError};
use crate::config::{Cover, MailServer, Secret};
use crate::domain::{Mask, one_line};

/// How long all of it may take. Servers make strangers wait at the door, against those who do not.
const WITHIN: Duration = Duration::from_secs(30);
/// How long one address of a server may take to be there.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The message is taken by then: whether the goodbye is heard is all the same.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// How much of a server's own words is told.
const LONGEST_WORDS: usize = 300;

/// What is sent, and by whom.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Who takes it.
    pub server: &'a MailServer,
    /// Name and password, where the server wants them.
    pub login: Option<(&'a str, Secret)>,
    /// Whom it comes from.
    pub from: &'a Address,
    /// Whom it goes to.
    pub to: &'a [Address],
    /// The message, in ASCII, its lines ended by CRLF.
    pub message: &'a [u8],
}

/// Whom the server did not take, and its words.
pub type NotTaken = (Address, String);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum SmtpError {
    /// Nobody was reached, or not in time, or not as was asked for.
    #[error("{why}")]
    Unreachable {
        /// Why.
        why: String,
    },
    /// The server does not take it now: a reply of 4xx, or nonsense.
    #[error("{code}: {words}")]
    Passing {
        /// Its reply's number.
        code: u16,
        /// In its words.
        words: String,
    },
    /// The server takes nothing from us, or for nobody whom we named: 5xx.
    #[error("{words}")]
    Denied {
        /// In its words, with the number.
        words: String,
    },
    /// The server does not take this message: 5xx.
    #[error("{words}")]
    Refused {
        /// In its words, with the number.
        words: String,
    },
}

/// Sends it. Gives whom the server did not take, where it took others.
pub async fn send(envelope: &Envelope<'_>) -> Result<Vec<NotTaken>, SmtpError> {
    let late = |_| SmtpError::Unreachable { why: format!("no answer within {} s", WITHIN.as_secs()) };
    let (mut connection, not_taken) = tokio::time::timeout(WITHIN, say(envelope)).await.map_err(late)??;
    let _ = tokio::time::timeout(GOODBYE_WITHIN, connection.quit()).await;
    Ok(not_taken)
}

async fn say(envelope: &Envelope<'_>) -> Result<(AsyncSmtpConnection, Vec<NotTaken>), SmtpError> {
    let mut connection = connected(envelope.server).await?;
    if let Some((user, password)) = &envelope.login {
        log_in(&mut connection, user, password).await?;
    }
    connection.command(Mail::new(Some(envelope.from.clone()), vec![])).await.map_err(|it| denied(&it))?;
    let not_taken = address(&mut connection, envelope.to).await?;
    connection.command(Data).await.map_err(|it| denied(&it))?;
    connection.message(envelope.message).await.map_err(|it| refused(&it))?;
    Ok((connection, not_taken))
}

/// A connection that is covered as was asked for.
async fn connected(server: &MailServer) -> Result<AsyncSmtpConnection, SmtpError> {
    let addresses = guard::addresses(&server.host, server.port, true).await.map_err(barred)?;
    let (wrapper, upgrade) = match server.cover {
        Cover::Tls => (Some(trust(&server.host).await?), None),
        Cover::StartTls => (None, Some(trust(&server.host).await?)),
        Cover::Plain => (None, None),
    };
    let name = our_name();
    let connected = AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(CONNECT_WITHIN), &name, wrapper, None);
    let mut connection = connected.await.map_err(|it| denied(&it))?;
    if let Some(trust) = upgrade {
        if !connection.can_starttls() {
            let words = "it offers no STARTTLS, and nothing is said as plain text".into();
            return Err(SmtpError::Denied { words });
        }
        connection.starttls(trust, &name).await.map_err(|it| denied(&it))?;
    }
    Ok(connection)
}

/// Why a server has no address that may be asked. Whom it is about is said by who asks.
fn barred(error: GuardError) -> SmtpError {
    let why = if let GuardError::Unreachable { why, .. } = error { why } else { error.to_string() };
    SmtpError::Unreachable { why }
}

/// The authorities that this machine trusts, read from its disk, for a server of this name.
async fn trust(host: &str) -> Result<TlsParameters, SmtpError> {
    let host = host.to_owned();
    let read = tokio::task::spawn_blocking(move || TlsParameters::new(host)).await;
    let read = read.expect("reading certificates does not panic");
    read.map_err(|error| SmtpError::Unreachable { why: guard::why(&error) })
}

/// What we are called by servers that want to know: the machine's whole name, where it has one.
fn our_name() -> ClientId {
    let name = nix::unistd::gethostname().ok().and_then(|it| it.into_string().ok()).unwrap_or_default();
    let is_whole = name.contains('.') && name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-'));
    if is_whole { ClientId::Domain(name) } else { ClientId::default() }
}

async fn log_in(connection: &mut AsyncSmtpConnection, user: &str, password: &Secret) -> Result<(), SmtpError> {
    if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
        return Err(SmtpError::Denied { words: "it takes neither of the logins PLAIN and LOGIN".into() });
    }
    let credentials = Credentials::new(user.to_owned(), password.expose().to_owned());
    let said = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
    said.map(drop).map_err(|error| match denied(&error) {
        SmtpError::Denied { words } => SmtpError::Denied { words: veiled(&words, user, password) },
        SmtpError::Passing { code, words } => SmtpError::Passing { code, words: veiled(&words, user, password) },
        other @ (SmtpError::Unreachable { .. } | SmtpError::Refused { .. }) => other,
    })
}

/// A server's words without what was said to it: some repeat the line that they do not understand.
fn veiled(words: &str, user: &str, password: &Secret) -> String {
    let password = password.expose();
    let said = [format!("\0{user}\0{password}"), password.to_owned()].map(|it| STANDARD.encode(it));
    Mask::new(said.into_iter().chain([password.to_owned()])).apply(words)
}

/// Names whom it goes to: whom the server did not take, where it took others.
async fn address(connection: &mut AsyncSmtpConnection, to: &[Address]) -> Result<Vec<NotTaken>, SmtpError> {
    let (mut not_taken, mut last) = (Vec::new(), None);
    for it in to {
        let Err(error) = connection.command(Rcpt::new(it.clone(), vec![])).await else { continue };
        let error = denied(&error);
        match &error {
            // The server goes away: nobody is named any more.
            SmtpError::Unreachable { .. } | SmtpError::Passing { code: 421, .. } => return Err(error),
            SmtpError::Passing { .. } | SmtpError::Denied { .. } | SmtpError::Refused { .. } => {
                not_taken.push((it.clone(), error.to_string()));
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if not_taken.len() == to.len() => Err(error),
        Some(_) | None => Ok(not_taken),
    }
}

/// What an error before the message means.
fn denied(error: &Error) -> SmtpError {
    let words = |text: &str| one_line(text, LONGEST_WORDS);
    let source = std::error::Error::source(error).map(|it| words(&it.to_string())).unwrap_or_default();
    match error.status() {
        Some(code) => {
            let code: u16 = code.to_string().parse().expect("a reply's number has three digits");
            if error.is_permanent() {
                SmtpError::Denied { words: format!("{code} {source}").trim_end().to_owned() }
            } else {
                SmtpError::Passing { code, words: source }
            }
        }
        // What lettre itself will not do, since the server cannot.
        None if error.is_client() => SmtpError::Denied { words: source },
        None if error.is_response() => {
            SmtpError::Unreachable { why: format!("its answer is no whole reply of SMTP: {source}") }
        }
        None => SmtpError::Unreachable { why: guard::why(error) },
    }
}

/// The same of the message itself.
fn refused(error: &Error) -> SmtpError {
    match denied(error) {
        SmtpError::Denied { words } => SmtpError::Refused { words },
        other @ (SmtpError::Unreachable { .. } | SmtpError::Passing { .. } | SmtpError::Refused { .. }) => other,
    }
}
