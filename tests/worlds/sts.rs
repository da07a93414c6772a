//! An STS that gives roles, except those that it was told to refuse. It checks no signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::{HttpResponse, web};

use super::thread;

#[derive(Default)]
struct State {
    refused: Vec<String>,
    asked: Vec<BTreeMap<String, String>>,
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

    /// A parameter of each request, oldest first.
    pub(crate) fn asked(&self, parameter: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.asked.iter().map(|it| it.get(parameter).cloned().unwrap_or_default()).collect()
    }
}

async fn answer(body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let role = fields.get("RoleArn").cloned().unwrap_or_default();
    let mut state = state.lock().unwrap();
    state.asked.push(fields);
    let xml = "text/xml";
    if state.refused.contains(&role) {
        let text = format!(
            "User: arn:aws:iam::111122223333:user/bot is not authorized to perform: sts:AssumeRole on resource: {role}"
        );
        return HttpResponse::Forbidden().content_type(xml).body(format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>\
             <RequestId>r-1</RequestId></ErrorResponse>"
        ));
    }
    HttpResponse::Ok().content_type(xml).body(format!(
        "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>A:landfall</AssumedRoleId>\
         <Arn>{role}</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIATHERE</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ))
}
