//! JSON that somebody sent: its type, its length, its words. It never knows what is asked for.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::respond::Refusal;

/// A body, or why it was not taken.
pub(super) type Taken = Result<Bytes, actix_web::Error>;

/// Reads a body; `example` is told to whoever sent something else. Who says nothing of its type means JSON.
pub(super) fn read<T: DeserializeOwned>(request: &HttpRequest, body: Taken, example: &str) -> Result<T, Refusal> {
    let said = request.headers().get(CONTENT_TYPE).map(|it| it.to_str().unwrap_or_default());
    if let Some(said) = said.filter(|said| !is_json(said)) {
        let said: String = said.chars().take(80).collect();
        return Err(Refusal::new(415, format!("the body is said to be `{said}`")).help("send `application/json`"));
    }
    let body = body.map_err(|error| {
        let status = error.as_response_error().status_code().as_u16();
        Refusal::new(if status == 413 { 413 } else { 400 }, error.to_string())
    })?;
    serde_json::from_slice(&body).map_err(|error| match error.classify() {
        Category::Data => Refusal::new(422, error.to_string()).help(example),
        Category::Syntax | Category::Eof | Category::Io => {
            Refusal::new(400, format!("the body is not JSON: {error}")).help(example)
        }
    })
}

fn is_json(said: &str) -> bool {
    let kind = said.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
