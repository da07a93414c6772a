//! Signing in at a GitHub world: one App, whose browser somebody sits at, codes that are good once, and what their tokens
//! show. Errors of codes have status 200, as GitHub's have.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Asked, GitHubWorld, Shared};

pub(crate) const CLIENT: &str = "Ov23liLandfall";
pub(crate) const CLIENT_SECRET: &str = "c1ien7-5ecret";

/// All that is known of signing in.
#[derive(Default)]
pub(super) struct OAuth {
    callback: String,
    /// Who sits at the browser; nobody says no.
    at_the_browser: Option<String>,
    codes: BTreeMap<String, Code>,
    /// Token to login and scope.
    tokens: BTreeMap<String, (String, String)>,
    /// `organisation/login` to the state of the membership.
    members: BTreeMap<String, String>,
    /// Organisations that let no App of others look.
    closed: Vec<String>,
    down: bool,
}

struct Code {
    login: String,
    scope: String,
    challenge: String,
    redirect: String,
}

impl GitHubWorld {
    /// The App's callback address is this.
    pub(crate) fn calls_back(&self, callback: &str) {
        self.shared.state.lock().unwrap().oauth.callback = callback.into();
    }

    /// Somebody sits at the browser, and lets the App ask; nobody does not.
    pub(crate) fn at_the_browser(&self, login: Option<&str>) {
        self.shared.state.lock().unwrap().oauth.at_the_browser = login.map(str::to_owned);
    }

    /// Somebody is, or was asked to be, in an organisation.
    pub(crate) fn belongs(&self, organisation: &str, login: &str, state: &str) {
        let mut it = self.shared.state.lock().unwrap();
        it.oauth.members.insert(format!("{organisation}/{login}"), state.into());
    }

    /// An organisation that has not let this App look at it.
    pub(crate) fn close(&self, organisation: &str) {
        self.shared.state.lock().unwrap().oauth.closed.push(organisation.into());
    }

    /// Whether signing in is out of order.
    pub(crate) fn sign_in_is_down(&self, down: bool) {
        self.shared.state.lock().unwrap().oauth.down = down;
    }

    /// The tokens that people were given.
    pub(crate) fn tokens_of_people(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().oauth.tokens.keys().cloned().collect()
    }
}

fn fields(body: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn to(address: &str, pairs: &[(&str, &str)]) -> Answer {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Answer::json(302, json!({})).with("location", format!("{address}?{query}"))
}

impl Shared {
    /// What lies beneath `/login`.
    pub(super) fn login(&self, asked: &Asked) -> Answer {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), &path[..]) {
            ("GET", ["login", "oauth", "authorize"]) => self.authorize(&asked.query),
            ("POST", ["login", "oauth", "access_token"]) => {
                let accept = asked.headers.get("accept").and_then(|it| it.to_str().ok());
                assert_eq!(accept, Some("application/json"), "GitHub would answer a form");
                self.trade(&fields(&asked.body))
            }
            _ => Answer::not_found(),
        }
    }

    fn authorize(&self, query: &BTreeMap<String, String>) -> Answer {
        let get = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
        let oauth = &mut self.state.lock().unwrap().oauth;
        if get("client_id") != CLIENT {
            return Answer::not_found();
        }
        let redirect = get("redirect_uri");
        if redirect != oauth.callback && !redirect.starts_with(&format!("{}/", oauth.callback)) {
            return to(&oauth.callback, &[("error", "redirect_uri_mismatch"), ("state", get("state"))]);
        }
        let Some(login) = oauth.at_the_browser.clone() else {
            let said = "The user has denied your application access.";
            let pairs = [("error", "access_denied"), ("error_description", said), ("state", get("state"))];
            return to(redirect, &pairs);
        };
        assert_eq!((get("code_challenge_method"), get("code_challenge").len()), ("S256", 43));
        let code = format!("{:020x}", oauth.codes.len() + 0xc0de);
        let (scope, challenge) = (get("scope").to_owned(), get("code_challenge").to_owned());
        oauth.codes.insert(code.clone(), Code { login, scope, challenge, redirect: redirect.into() });
        to(redirect, &[("code", &code), ("state", get("state"))])
    }

    fn trade(&self, body: &BTreeMap<String, String>) -> Answer {
        let get = |key: &str| body.get(key).map(String::as_str).unwrap_or_default();
        let refused =
            |error: &str| Answer::json(200, json!({ "error": error, "error_description": "no", "error_uri": "" }));
        let oauth = &mut self.state.lock().unwrap().oauth;
        if oauth.down {
            return Answer::json(503, json!({ "message": "Service unavailable" }));
        }
        if get("client_id") != CLIENT {
            return Answer::json(404, json!({ "error": "Not Found" }));
        }
        if get("client_secret") != CLIENT_SECRET {
            return refused("incorrect_client_credentials");
        }
        let Some(code) = oauth.codes.remove(get("code")) else { return refused("bad_verification_code") };
        if get("redirect_uri") != code.redirect {
            return refused("redirect_uri_mismatch");
        }
        if URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier"))) != code.challenge {
            return refused("bad_verification_code");
        }
        let token = format!("gho_{:036}", oauth.tokens.len());
        oauth.tokens.insert(token.clone(), (code.login, code.scope.clone()));
        Answer::json(200, json!({ "access_token": token, "scope": code.scope, "token_type": "bearer" }))
    }

    /// What somebody is shown who has this token; nothing where it is nobody's.
    pub(super) fn shown_to_person(&self, bearer: &str, path: &[&str]) -> Option<Answer> {
        let mut state = self.state.lock().unwrap();
        let (login, scope) = state.oauth.tokens.get(bearer).cloned()?;
        let state = &mut *state;
        let standing = |organisation: &str| state.oauth.members.get(&format!("{organisation}/{login}"));
        let membership = |state: &str| Answer::json(200, json!({ "url": "", "state": state, "role": "member" }));
        let problem = |message: &str| Answer::json(403, json!({ "message": message }));
        Some(match path {
            ["api", "v3", "user"] => Answer::json(200, json!({ "login": login, "id": 1, "type": "User" })),
            ["api", "v3", "user", "memberships", "orgs", name] | ["api", "v3", "orgs", name, ..]
                if state.oauth.closed.iter().any(|it| it == name) =>
            {
                problem(&format!("the `{name}` organization has enabled OAuth App access restrictions"))
            }
            ["api", "v3", "user", "memberships", ..] if scope != "read:org" => {
                problem("You need at least read:org scope to list your organization memberships")
            }
            ["api", "v3", "user", "memberships", "orgs", name] => {
                standing(name).map_or_else(Answer::not_found, |it| membership(it))
            }
            ["api", "v3", "orgs", name, "teams", team, "memberships", of] => {
                let found = state.people.members.get(&format!("{name}/{team}/{of}"));
                // Teams are seen by whoever belongs to their organisation.
                let seen = standing(name).is_some_and(|it| it == "active") && scope == "read:org";
                found.filter(|_| seen).map_or_else(Answer::not_found, |it| membership(it))
            }
            _ => Answer::json(404, Value::Null),
        })
    }
}
