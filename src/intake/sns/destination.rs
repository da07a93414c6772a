//! `POST /webhooks/eventbridge`: events that EventBridge's API destination posts, with a secret in a header instead of a
//! signature. They mean what they mean in SNS, and are believed as little.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tracing::error;

use super::door::{Inner, LARGEST_MESSAGE, SnsState};
use super::meaning::meaning;
use crate::config::SecretRef;
use crate::intake::answer::Problem;
use crate::intake::body;

/// What is answered to an event that counts.
#[derive(Serialize)]
struct Told {
    reason: String,
}

pub(super) async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<SnsState>) -> HttpResponse {
    let state = state.inner();
    let Some(secret) = &state.sns.api_destination_secret else {
        return Problem::no_destination().answer_quietly();
    };
    match take(request.headers(), payload, state, secret).await {
        Ok(reason) => HttpResponse::Ok().json(Told { reason }),
        Err(problem) => problem.answer(&state.telling, state.clock.now()),
    }
}

async fn take(
    headers: &HeaderMap,
    payload: web::Payload,
    state: &Inner,
    secret: &SecretRef,
) -> Result<String, Problem> {
    let Some(given) = headers.get("x-landfall-secret") else { return Err(Problem::no_event_secret()) };
    // Read for every event, so that a new one needs no restart.
    let secret = secret.read().map_err(|error| {
        error!("{error}");
        Problem::event_secret_away()
    })?;
    if !bool::from(secret.expose().as_bytes().ct_eq(given.as_bytes())) {
        return Err(Problem::wrong_event_secret());
    }
    let unread = |error| Problem::sns_unread(&error, LARGEST_MESSAGE);
    let (body, _share) = body::read_small(payload, state.share(), LARGEST_MESSAGE).await.map_err(unread)?;
    let meaning = meaning(&String::from_utf8_lossy(&body), "");
    Ok(state.hear(meaning, "EventBridge"))
}
