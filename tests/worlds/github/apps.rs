//! The GitHub Apps of a GitHub world: who made them, where they are installed, and the tokens they were given. It checks
//! signatures and times as GitHub does, and keeps every token it gave, so that a test can look where one turned up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use landfall::clients::Clock;
use octocrab::jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};

use super::hooks::Hooks;
use super::{Answer, Asked, GitHubWorld, shapes};

/// Bytes of PKCS #8 before the PKCS #1 key of 2048 bits in it. GitHub's own keys are PKCS #1.
const BEFORE_PKCS1: usize = 26;

/// All Apps.
#[derive(Default)]
pub(super) struct Apps {
    by_id: BTreeMap<u32, TheirApp>,
    clock: Option<Clock>,
    tokens: Vec<Issued>,
    /// What was asked in an App's own name, and how it went.
    pub(super) jwts: Vec<String>,
}

struct TheirApp {
    /// The public keys that are registered, in PKCS #1.
    keys: Vec<Vec<u8>>,
    installations: Vec<Installation>,
}

/// An App on somebody's repositories.
#[derive(Clone)]
struct Installation {
    id: u64,
    owner: String,
    /// All of them, or these.
    selected: Option<Vec<String>>,
    permissions: BTreeMap<String, String>,
    suspended: bool,
}

/// A token that was given.
#[derive(Clone)]
struct Issued {
    token: String,
    repositories: Vec<String>,
    permissions: BTreeMap<String, String>,
    expires_at: Timestamp,
    is_revoked: bool,
}

/// What a request may do, by what it shows.
pub(super) enum Shown {
    /// Whatever a token's owner may, but for these permissions.
    Token(Vec<&'static str>),
    /// What an installation may.
    Installation { repositories: Vec<String>, permissions: BTreeMap<String, String> },
}

fn key_pair(number: usize) -> &'static KeyPair {
    static PAIRS: [OnceLock<KeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    PAIRS[number].get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The private key in the form that GitHub hands out.
pub(crate) fn pem(number: usize) -> String {
    let der: Pkcs8V1Der = key_pair(number).as_der().unwrap();
    let text = STANDARD.encode(&der.as_ref()[BEFORE_PKCS1..]);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
}

/// Writes a key where only its owner reads it.
pub(crate) fn keep_key(path: &Path, number: usize) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, pem(number)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl GitHubWorld {
    /// An App with its first key, which lies in the file that comes back.
    pub(crate) fn app(&self, id: u32) -> PathBuf {
        let mut state = self.shared.state.lock().unwrap();
        state.apps.by_id.insert(id, TheirApp { keys: vec![public(0)], installations: vec![] });
        let path = self.dir.path().join(format!("app-{id}.pem"));
        keep_key(&path, 0);
        path
    }

    /// The only key that counts for an App from now on.
    pub(crate) fn set_key(&self, app: u32, number: usize) {
        self.shared.state.lock().unwrap().apps.by_id.get_mut(&app).unwrap().keys = vec![public(number)];
    }

    /// Installs an App on all repositories of an owner, with these permissions.
    pub(crate) fn install(&self, app: u32, owner: &str, permissions: &[(&str, &str)]) {
        let mut state = self.shared.state.lock().unwrap();
        let installations = &mut state.apps.by_id.get_mut(&app).unwrap().installations;
        let permissions = permissions.iter().map(|(key, it)| ((*key).to_owned(), (*it).to_owned())).collect();
        let id = u64::from(app) * 100 + installations.len() as u64;
        let owner = owner.to_owned();
        installations.push(Installation { id, owner, selected: None, permissions, suspended: false });
    }

    /// Restricts an App to these repositories of an owner.
    pub(crate) fn select(&self, app: u32, owner: &str, names: &[&str]) {
        let selected = names.iter().map(|it| (*it).to_owned()).collect();
        self.of_installation(app, owner, |it| it.selected = Some(selected));
    }

    /// Suspends an App, or takes it up again. Tokens that it has are refused from now on.
    pub(crate) fn suspend(&self, app: u32, owner: &str, suspended: bool) {
        self.of_installation(app, owner, |it| it.suspended = suspended);
        self.revoke_tokens();
    }

    /// Removes an App, with its tokens.
    pub(crate) fn uninstall(&self, app: u32) {
        self.shared.state.lock().unwrap().apps.by_id.get_mut(&app).unwrap().installations.clear();
        self.revoke_tokens();
    }

    /// No token of an App that was given so far is accepted any more.
    pub(crate) fn revoke_tokens(&self) {
        self.shared.state.lock().unwrap().apps.tokens.iter_mut().for_each(|it| it.is_revoked = true);
    }

    /// What time it is at GitHub.
    pub(crate) fn live_by(&self, clock: &Clock) {
        self.shared.state.lock().unwrap().apps.clock = Some(clock.clone());
    }

    /// What the tokens given so far are for: `blog: contents=read statuses=write`.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let shape = |it: &Issued| {
            let permissions: Vec<_> = it.permissions.iter().map(|(key, access)| format!("{key}={access}")).collect();
            format!("{}: {}", it.repositories.join(","), permissions.join(" "))
        };
        self.shared.state.lock().unwrap().apps.tokens.iter().map(shape).collect()
    }

    /// Every text that nobody may read: the key in its lines, JWTs and tokens.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let state = self.shared.state.lock().unwrap();
        let lines = [0, 1].map(pem).join("");
        let lines = lines.lines().filter(|it| !it.starts_with("---")).map(str::to_owned);
        lines.chain(state.apps.jwts.clone()).chain(state.apps.tokens.iter().map(|it| it.token.clone())).collect()
    }

    fn of_installation(&self, app: u32, owner: &str, change: impl FnOnce(&mut Installation)) {
        let mut state = self.shared.state.lock().unwrap();
        let installations = &mut state.apps.by_id.get_mut(&app).unwrap().installations;
        change(installations.iter_mut().find(|it| it.owner == owner).unwrap());
    }
}

fn public(number: usize) -> Vec<u8> {
    key_pair(number).public_key().as_ref().to_vec()
}

impl Apps {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| Clock::system().now(), Clock::now)
    }

    /// The answer's `Date`, where the world has a clock of its own.
    pub(super) fn date(&self) -> Option<String> {
        let now = self.clock.as_ref()?.now();
        Some(jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap())
    }

    /// What a bearer of this may do; nothing where it is no token of an App that is still good.
    pub(super) fn shown(&self, bearer: &str) -> Option<Shown> {
        let issued = self.tokens.iter().find(|it| it.token == bearer)?;
        let good = !issued.is_revoked && self.now() < issued.expires_at;
        let Issued { repositories, permissions, .. } = issued.clone();
        good.then_some(Shown::Installation { repositories, permissions })
    }

    /// What is asked in an App's own name; nothing where the path is not among that.
    pub(super) fn answer(&mut self, asked: &Asked, bearer: &str, hooks: &mut Hooks) -> Option<Answer> {
        let path: Vec<&str> = asked.path.iter().skip(2).map(String::as_str).collect();
        if !matches!(path.as_slice(), ["app", ..] | ["repos", _, _, "installation"]) {
            return None;
        }
        self.jwts.push(bearer.to_owned());
        let id = match self.signed_by(bearer) {
            Ok(id) => id,
            Err((status, message)) => return Some(Answer::json(status, json!({ "message": message }))),
        };
        Some(self.as_app(id, asked, &path, hooks))
    }

    fn as_app(&mut self, id: u32, asked: &Asked, path: &[&str], hooks: &mut Hooks) -> Answer {
        let found = |it: Option<&Installation>| it.map_or_else(Answer::not_found, |it| Answer::json(200, shape(it)));
        let installations = &self.by_id[&id].installations;
        match (asked.method.as_str(), path) {
            ("GET", ["app"]) => {
                let url = format!("https://github.com/apps/landfall-{id}");
                let events = hooks.events_of_app(id);
                let slug = format!("landfall-{id}");
                Answer::json(200, json!({ "id": id, "slug": slug, "html_url": url, "events": events }))
            }
            (_, ["app", "hook", rest @ ..]) => hooks.of_app(id, asked, rest).unwrap_or_else(Answer::not_found),
            ("GET", ["repos", owner, name, "installation"]) => {
                found(installations.iter().find(|it| it.owner == *owner && it.reaches(name)))
            }
            ("GET", ["app", "installations", number]) => {
                found(installations.iter().find(|it| it.id.to_string() == *number))
            }
            ("POST", ["app", "installations", number, "access_tokens"]) => {
                match installations.iter().find(|it| it.id.to_string() == *number).cloned() {
                    Some(installation) => self.give_token(&installation, &asked.body),
                    None => Answer::not_found(),
                }
            }
            _ => Answer::not_found(),
        }
    }

    /// Which App signed this, just now.
    pub(super) fn signed_by(&self, jwt: &str) -> Result<u32, (u16, &'static str)> {
        let undecodable = (401, "A JSON web token could not be decoded");
        let mut rules = Validation::new(Algorithm::RS256);
        (rules.validate_exp, rules.required_spec_claims) = (false, Default::default());
        let claims = octocrab::jsonwebtoken::dangerous::insecure_decode::<Value>(jwt).map_err(|_| undecodable)?.claims;
        let id = claims["iss"].as_u64().and_then(|it| u32::try_from(it).ok()).ok_or(undecodable)?;
        let app = self.by_id.get(&id).ok_or((404, "Integration not found"))?;
        let is_signed = |key: &Vec<u8>| decode::<Value>(jwt, &DecodingKey::from_rsa_der(key), &rules).is_ok();
        if !app.keys.iter().any(is_signed) {
            return Err(undecodable);
        }
        let (now, time) = (self.now().as_second(), |key: &str| claims[key].as_i64().unwrap());
        if time("exp") <= now {
            return Err((401, "'Expiration time' claim ('exp') must be a numeric value representing the future time"));
        }
        if time("exp") > now + 600 {
            return Err((401, "'Expiration time' claim ('exp') is too far in the future"));
        }
        if time("iat") > now {
            return Err((401, "'Issued at' claim ('iat') must be an Integer representing the time of the assertion"));
        }
        Ok(id)
    }

    fn give_token(&mut self, installation: &Installation, body: &[u8]) -> Answer {
        let refuse = |status, message: &str| Answer::json(status, json!({ "message": message }));
        if installation.suspended {
            return refuse(403, "This installation has been suspended");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let names: Vec<String> = serde_json::from_value(body["repositories"].clone()).unwrap_or_default();
        if !names.iter().all(|name| installation.reaches(name)) {
            let text = "There is at least one repository that does not exist or is not accessible to the parent \
                        installation.";
            return refuse(422, text);
        }
        let wanted: BTreeMap<String, String> = serde_json::from_value(body["permissions"].clone()).unwrap_or_default();
        let granted = |key: &str, access: &str| match installation.permissions.get(key).map(String::as_str) {
            Some("write" | "admin") => true,
            Some(it) => it == access,
            None => false,
        };
        if !wanted.iter().all(|(key, access)| granted(key, access)) {
            return refuse(422, "The permissions requested are not granted to this installation.");
        }
        let expires_at = self.now() + SignedDuration::from_hours(1);
        let token = format!("ghs_{:036}", self.tokens.len());
        let told = json!({ "token": token, "expires_at": expires_at, "permissions": wanted });
        let repositories = names.iter().map(|name| format!("{}/{name}", installation.owner)).collect();
        self.tokens.push(Issued { token, repositories, permissions: wanted, expires_at, is_revoked: false });
        Answer::json(201, told)
    }
}

impl Installation {
    fn reaches(&self, name: &str) -> bool {
        self.selected.as_ref().is_none_or(|it| it.iter().any(|selected| selected == name))
    }
}

impl Shown {
    /// Why it may not do this in a repository, or else to what is the owner's, if so.
    pub(super) fn refusal(&self, repository: Option<&str>, key: &str, access: &str) -> Option<Answer> {
        let (repositories, permissions) = match self {
            Self::Token(withheld) => {
                let text = "Resource not accessible by personal access token";
                return withheld.contains(&key).then(|| Answer::json(403, json!({ "message": text })));
            }
            Self::Installation { repositories, permissions } => (repositories, permissions),
        };
        if repository.is_some_and(|name| !repositories.iter().any(|it| it == name)) {
            return Some(Answer::not_found());
        }
        // Every token has that one, asked for or not.
        let may = key == "metadata" || permissions.get(key).is_some_and(|it| it == "write" || it == access);
        (!may).then(|| Answer::json(403, json!({ "message": "Resource not accessible by integration" })))
    }
}

fn shape(it: &Installation) -> Value {
    let selection = if it.selected.is_some() { "selected" } else { "all" };
    let suspended_at = it.suspended.then_some("2026-11-20T08:00:00Z");
    let told = json!({
        "id": it.id, "account": { "login": it.owner }, "repository_selection": selection,
        "permissions": it.permissions, "events": ["push"], "suspended_at": suspended_at,
    });
    shapes::shape("installation", told)
}
