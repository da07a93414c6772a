//! Checks a `[[chat]]` of `kind = "email"`: the mail server, the login, from whom and to whom.

use lettre::message::Mailbox;

use super::INLINE_SECRET;
use super::check::{At, Checker};
use super::mail::{Cover, Mail, MailLogin, MailServer, NoMailServer, mailbox};
use super::raw::RawChat;
use super::written::Written;
use crate::domain::Finding;

impl Checker<'_> {
    pub(super) fn mail(&mut self, chat: &Written<RawChat>) -> Option<Mail> {
        let server = self.mail_server(chat);
        let login = self.mail_login(chat);
        let from = self.mailbox_from(chat);
        let to = self.mailboxes_to(chat);
        let (server, login) = (server?, login?);
        self.fit_cover(&chat.value, &server, login.as_ref());
        Some(Mail { server, login, from: from?, to: to? })
    }

    fn mail_server(&mut self, chat: &Written<RawChat>) -> Option<MailServer> {
        let Some(written) = &chat.value.smtp else {
            self.missing("smtp", "chat", "add `smtp = \"smtps://mail.example.com\"`", &chat.span);
            return None;
        };
        let starttls = chat.value.starttls.as_ref();
        match MailServer::parse(&written.value, starttls.map(|it| it.value)) {
            Ok(server) => return Some(server),
            Err(NoMailServer::Login) => {
                let finding = Finding::error(INLINE_SECRET, "`chat.smtp` holds a name or a password");
                let help = "write `user = \"…\"` and `password = { file = \"…\" }`, and the server alone here";
                self.reader.find(finding.help(help), &written.span);
            }
            Err(NoMailServer::TlsAlready) => {
                let span = starttls.map_or(&written.span, |it| &it.span);
                self.bad(span, "`chat.starttls` says nothing of `smtps://`, which is TLS", "leave it out");
            }
            Err(NoMailServer::Unfit(unfit)) => {
                self.fit::<()>(&At::Span(written.span.clone()), "chat.smtp", Err(unfit));
            }
        }
        None
    }

    /// Nothing where what is written is wrong; a login of nobody where none is written.
    fn mail_login(&mut self, chat: &Written<RawChat>) -> Option<Option<MailLogin>> {
        let (user, password) = (chat.value.user.as_ref(), chat.value.password.as_ref());
        match (user, password) {
            (None, None) => return Some(None),
            (Some(_), None) => {
                self.missing("password", "chat", "add `password = { env = \"SMTP_PASSWORD\" }`", &chat.span);
            }
            (None, Some(_)) => self.missing("user", "chat", "add `user = \"…\"`", &chat.span),
            (Some(_), Some(_)) => {}
        }
        let user = self.required(Some(user?), "user", "chat", &chat.span);
        let password = self.secret(password?);
        Some(Some(MailLogin { user: user?.value, password: password? }))
    }

    fn mailbox_from(&mut self, chat: &Written<RawChat>) -> Option<Mailbox> {
        let Some(from) = &chat.value.from else {
            self.missing("from", "chat", "add `from = \"Landfall <deploy@example.com>\"`", &chat.span);
            return None;
        };
        self.fit(&At::Span(from.span.clone()), "chat.from", mailbox(&from.value))
    }

    fn mailboxes_to(&mut self, chat: &Written<RawChat>) -> Option<Vec<Mailbox>> {
        let Some(to) = &chat.value.to else {
            self.missing("to", "chat", "add `to = [\"ops@example.com\"]`", &chat.span);
            return None;
        };
        if to.value.is_empty() {
            self.bad(&to.span, "`chat.to` names nobody", "write `to = [\"ops@example.com\"]`");
        }
        let read = to.value.iter().map(|it| self.fit(&At::Span(it.span.clone()), "chat.to", mailbox(&it.value)));
        let read: Vec<Option<Mailbox>> = read.collect();
        read.into_iter().collect::<Option<Vec<_>>>().filter(|it| !it.is_empty())
    }

    /// Plain text is for this machine: beyond it everybody on the way reads along, and a password is not said at all.
    fn fit_cover(&mut self, raw: &RawChat, server: &MailServer, login: Option<&MailLogin>) {
        let Some(starttls) = raw.starttls.as_ref().filter(|_| server.cover == Cover::Plain && !server.is_here()) else {
            return;
        };
        let help = "leave `starttls = false` out, or write `smtps://` where the server speaks TLS from the first byte";
        if login.is_some() {
            let message = format!("the password would go to `{}` as plain text", server.host);
            self.bad(&starttls.span, message, help);
        } else {
            let message = format!("e-mails go to `{}` as plain text, which everybody on the way can read", server.host);
            self.reader.find(Finding::warning("config/plain-mail", message).help(help), &starttls.span);
        }
    }
}
