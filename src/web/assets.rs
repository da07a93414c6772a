//! The files that pages load: one style sheet, two scripts, one picture. They are part of the program.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Path;

use super::respond::{Refusal, Sorry, answer};

/// `GET /assets/{name}`: free, since they say nothing of this bot.
pub(super) async fn asset(name: Path<String>) -> Result<HttpResponse, Sorry> {
    let (kind, content) = match name.as_str() {
        "landfall.css" => ("text/css; charset=utf-8", include_str!("assets/landfall.css")),
        "live.js" => ("text/javascript; charset=utf-8", include_str!("assets/live.js")),
        "log.js" => ("text/javascript; charset=utf-8", include_str!("assets/log.js")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return Err(Refusal::new(404, format!("there is no file `{name}`")).into()),
    };
    // The pages name them with the program's version, so that a new program is not seen through an old style sheet.
    Ok(answer(StatusCode::OK).insert_header((CACHE_CONTROL, "public, max-age=86400")).content_type(kind).body(content))
}
