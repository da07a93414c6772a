//! An STS that gives roles, except those that it was told to refuse. It checks no signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::thread;

#[derive(Default)]
struct State {
    refused: Vec<String>,
    exchanges: Vec<Value>,
}

/// A running STS. It ends when dropped.
pub(crate) struct Sts {
    state: Arc<Mutex<State>>,
    url: String,
    server: actix_web::dev::ServerHandle,
}

impl Drop for Sts {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Sts {
    /// On a thread of its own.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (url, server) = thread::serve(Arc::clone(&state), |it| {
            it.default_service(web::to(answer));
        });
        Self { state, url, server }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Nobody gets this role any more.
    pub(crate) fn refuse(&self, role: &str) {
        self.state.lock().unwrap().refused.push(role.to_owned());
    }

    /// What was said and answered: `operation`, `input`, and `xml` or the code of an `error`.
    pub(crate) fn exchanges(&self) -> Vec<Value> {
        self.state.lock().unwrap().exchanges.clone()
    }

    /// A parameter of each request, oldest first.
    pub(crate) fn asked(&self, parameter: &str) -> Vec<String> {
        let of = |it: &Value| it["input"][parameter].as_str().unwrap_or_default().to_owned();
        self.exchanges().iter().map(of).collect()
    }
}

async fn answer(body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let role = fields.get("RoleArn").cloned().unwrap_or_default();
    let mut exchange = json!({ "operation": fields.get("Action"), "input": fields });
    for common in ["Action", "Version"] {
        exchange["input"].as_object_mut().unwrap().remove(common);
    }
    let mut state = state.lock().unwrap();
    let is_refused = state.refused.contains(&role);
    let (mut answer, xml) = if is_refused {
        exchange["error"] = json!("AccessDenied");
        (HttpResponse::Forbidden(), refusal(&role))
    } else {
        let xml = credentials(&role);
        exchange["xml"] = json!(xml);
        (HttpResponse::Ok(), xml)
    };
    state.exchanges.push(exchange);
    answer.content_type("text/xml").body(xml)
}

fn refusal(role: &str) -> String {
    let text = format!(
        "User: arn:aws:iam::111122223333:user/bot is not authorized to perform: sts:AssumeRole on resource: {role}"
    );
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>\
         <RequestId>r-1</RequestId></ErrorResponse>"
    )
}

fn credentials(role: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>A:landfall</AssumedRoleId>\
         <Arn>{role}</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIATHERE00000000000</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}
