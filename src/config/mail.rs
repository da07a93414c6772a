//! A mail server as it is written, and how it is spoken to. It never connects.

use lettre::message::Mailbox;
use url::{Host, Url};

use super::secret::SecretRef;
use crate::domain::Unfit;

/// What it takes to send e-mails, and to whom they go.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Who takes them.
    pub server: MailServer,
    /// Who is logged in there; nobody where the server wants none.
    pub login: Option<MailLogin>,
    /// Who they are from.
    pub from: Mailbox,
    /// Whom they go to, one at least.
    pub to: Vec<Mailbox>,
}

/// Where mail is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What keeps others from reading along.
    pub cover: Cover,
}

/// What keeps others from reading what is said to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// TLS from the first byte.
    Tls,
    /// TLS by STARTTLS; without it nothing is said.
    StartTls,
    /// Nothing.
    Plain,
}

/// Who is logged in at a mail server.
#[derive(Clone, Debug)]
pub struct MailLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: SecretRef,
}

/// What keeps an address of a mail server from being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoMailServer {
    /// It holds a name and perhaps a password, which belong elsewhere.
    Login,
    /// `starttls` is written where it says nothing.
    TlsAlready,
    /// It is none.
    Unfit(Unfit),
}

impl MailServer {
    /// Reads `smtps://HOST` or `smtp://HOST`, with a port where it is not 465, 587, or 25 for plain text. `starttls`: what
    /// is written of it.
    pub(super) fn parse(text: &str, starttls: Option<bool>) -> Result<Self, NoMailServer> {
        let expected =
            "the address of a mail server such as `smtps://mail.example.com` or `smtp://mail.example.com:587`";
        let unfit = || NoMailServer::Unfit(Unfit { expected, found: text.chars().take(80).collect() });
        let url = Url::parse(text).map_err(|_| if text.contains('@') { NoMailServer::Login } else { unfit() })?;
        if text.contains('@') {
            return Err(NoMailServer::Login);
        }
        let (cover, usual) = match (url.scheme(), starttls) {
            ("smtps", Some(_)) => return Err(NoMailServer::TlsAlready),
            ("smtps", None) => (Cover::Tls, 465),
            ("smtp", None | Some(true)) => (Cover::StartTls, 587),
            ("smtp", Some(false)) => (Cover::Plain, 25),
            _ => return Err(unfit()),
        };
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|_| is_bare).and_then(|it| Host::parse(it).ok()).ok_or_else(unfit)?;
        let host = match host {
            Host::Domain(it) => it,
            Host::Ipv4(it) => it.to_string(),
            Host::Ipv6(it) => it.to_string(),
        };
        Ok(Self { host, port: url.port().unwrap_or(usual), cover })
    }

    /// Whether what is said to it stays on this machine.
    pub(super) fn is_here(&self) -> bool {
        let address: Result<std::net::IpAddr, _> = self.host.parse();
        address.map_or(self.host == "localhost", |it| it.is_loopback())
    }
}

/// Reads `ada@example.com` or `Ada <ada@example.com>`. The address itself is ASCII: not every server takes others.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, Unfit> {
    let expected = "an e-mail address such as `ada@example.com` or `Ada <ada@example.com>`";
    let unfit = || Unfit { expected, found: text.chars().take(80).collect() };
    let mailbox: Mailbox = text.trim().parse().map_err(|_| unfit())?;
    let address: &str = mailbox.email.as_ref();
    let is_one_line = !text.chars().any(char::is_control);
    if address.is_ascii() && is_one_line { Ok(mailbox) } else { Err(unfit()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_mail_server_says_how_it_is_spoken_to() {
        let check = |text: &str, starttls, host: &str, port, cover| {
            let expected = MailServer { host: host.into(), port, cover };
            assert_eq!(MailServer::parse(text, starttls), Ok(expected), "{text}");
        };
        check("smtps://mail.example.com", None, "mail.example.com", 465, Cover::Tls);
        check("smtps://mail.example.com:2465/", None, "mail.example.com", 2465, Cover::Tls);
        check("smtp://Mail.Example.com", None, "mail.example.com", 587, Cover::StartTls);
        check("smtp://bücher.example:25", Some(true), "xn--bcher-kva.example", 25, Cover::StartTls);
        check("smtp://localhost", Some(false), "localhost", 25, Cover::Plain);
        check("smtp://[::1]:1025", Some(false), "::1", 1025, Cover::Plain);
        for wrong in
            ["mail.example.com", "https://mail.example.com", "smtp://", "smtp://x/y", "smtp://x?tls=no", "smtp:x"]
        {
            assert!(matches!(MailServer::parse(wrong, None), Err(NoMailServer::Unfit(_))), "{wrong}");
        }
        assert_eq!(MailServer::parse("smtps://ada:hunter2@x.example", None), Err(NoMailServer::Login));
        assert_eq!(MailServer::parse("smtps://x.example", Some(false)), Err(NoMailServer::TlsAlready));
    }

    #[test]
    fn what_stays_on_this_machine_is_known() {
        for (host, is_here) in
            [("localhost", true), ("127.0.0.2", true), ("::1", true), ("10.0.0.1", false), ("x", false)]
        {
            let server = MailServer { host: host.into(), port: 25, cover: Cover::Plain };
            assert_eq!(server.is_here(), is_here, "{host}");
        }
    }

    #[test]
    fn addresses_of_people_are_one_and_on_one_line() {
        for right in ["ada@example.com", "Ada Lovelace <ada@example.com>", "root@localhost", "Ädä <a+b@x.example>"] {
            assert!(mailbox(right).is_ok(), "{right}");
        }
        for wrong in ["ada", "@x.example", "a@b, c@d", "ädä@x.example", "Ada\r\nBcc: e@evil.example <a@x.example>", ""]
        {
            assert!(mailbox(wrong).is_err(), "{wrong}");
        }
    }
}
