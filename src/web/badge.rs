//! Badges for READMEs: what is live at a target, and how the last deployment ended. A picture never says why it may not be
//! seen, and never says more than a reader of the first page sees.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::WebState;
use super::access::digest;
use super::door::Reader;
use super::respond::{Sorry, answer};
use crate::board::TargetView;
use crate::domain::TargetName;

/// The width of each printable character of ASCII in Verdana, in 2048ths of its size, from the blank on.
const WIDTHS: [u16; 95] = [
    720, 806, 940, 1676, 1302, 2204, 1488, 550, 930, 930, 1302, 1676, 745, 930, 745, 930, 1302, 1302, 1302, 1302, 1302,
    1302, 1302, 1302, 1302, 1302, 930, 930, 1676, 1676, 1676, 1117, 2048, 1400, 1404, 1430, 1578, 1295, 1177, 1588,
    1539, 862, 931, 1419, 1140, 1726, 1532, 1612, 1235, 1612, 1423, 1400, 1262, 1499, 1400, 2025, 1403, 1260, 1403,
    930, 930, 930, 1676, 1302, 1302, 1230, 1276, 1067, 1276, 1220, 720, 1276, 1296, 562, 705, 1212, 562, 1992, 1296,
    1243, 1276, 1276, 874, 1067, 807, 1296, 1212, 1676, 1212, 1212, 1076, 1300, 930, 1300, 1676,
];
/// The width of whatever else is written: as wide as the widest that is common.
const WIDEST: u16 = 2048;
/// The size of the letters, in pixels.
const SIZE: u32 = 11;

const GREEN: &str = "#2e7d4f";
const RED: &str = "#b3303b";
const YELLOW: &str = "#96670a";
const BLUE: &str = "#0a5c80";
const GREY: &str = "#5f6b75";

/// `/badge/{name}.svg`.
#[derive(Template)]
#[template(path = "badge.svg", config = "src/web/askama.toml")]
struct Badge<'a> {
    label: &'a str,
    said: &'a str,
    colour: &'static str,
}

impl Badge<'_> {
    /// The width of the left part, in pixels.
    fn left(&self) -> u32 {
        width(self.label) + 10
    }

    /// The width of the right part, in pixels.
    fn right(&self) -> u32 {
        width(self.said) + 10
    }

    fn all(&self) -> u32 {
        self.left() + self.right()
    }
}

/// How wide a text is, in whole pixels.
fn width(text: &str) -> u32 {
    let of = |letter: char| {
        let at = u32::from(letter).checked_sub(32).and_then(|at| usize::try_from(at).ok());
        u32::from(at.and_then(|at| WIDTHS.get(at)).copied().unwrap_or(WIDEST))
    };
    (text.chars().map(of).sum::<u32>() * SIZE).div_ceil(2048)
}

/// `GET /badge/{name}.svg`: for readers, and with `public_badges` for everybody.
pub(super) async fn badge(
    reader: Option<Reader>,
    state: Data<WebState>,
    file: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Sorry> {
    let name = file.strip_suffix(".svg").unwrap_or(&file);
    let known = request.headers().get(IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let none = |said| Badge { label: "landfall", said, colour: GREY };
    if reader.is_none() && !state.public_badges {
        return Ok(picture(StatusCode::UNAUTHORIZED, &none("not public"), known));
    }
    let found = match TargetName::parse(name) {
        Ok(name) => state.board.target(&name).await?,
        Err(_) => None,
    };
    let Some(target) = found else { return Ok(picture(StatusCode::NOT_FOUND, &none("no such target"), known)) };
    let (said, colour) = words(&target);
    Ok(picture(StatusCode::OK, &Badge { label: target.name.as_str(), said: &said, colour }, known))
}

/// A picture that is asked for again each time, and sent again only where it has changed.
fn picture(status: StatusCode, badge: &Badge<'_>, known: Option<&str>) -> HttpResponse {
    let svg = badge.render().unwrap_or_default();
    let tag = format!("\"{}\"", &digest(&svg)[..16]);
    let is_known = status == StatusCode::OK && known == Some(tag.as_str());
    let mut picture = answer(if is_known { StatusCode::NOT_MODIFIED } else { status });
    picture
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((ETAG, tag))
        // Pages of others show it.
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"));
    if is_known { picture.finish() } else { picture.content_type("image/svg+xml").body(svg) }
}

/// What is live, what became of the newest commit where that is another, and the colour of both.
fn words(target: &TargetView) -> (String, &'static str) {
    let live = target.live.as_ref().map_or("nothing live", |it| it.sha.short());
    if let Some(left) = &target.left_by {
        return (format!("{live}, {} failed", left.sha.short()), RED);
    }
    let Some(drift) = &target.drift else {
        return (live.to_owned(), if target.live.is_some() { GREEN } else { GREY });
    };
    let (ended, colour) = match drift.state {
        "failed" | "refused" | "stopped" => (drift.state, RED),
        "held" => ("waits", YELLOW),
        "seen" | "skipped" | "superseded" | "succeeded" => {
            return (live.to_owned(), if target.live.is_some() { GREEN } else { GREY });
        }
        _ => ("deploying", BLUE),
    };
    (format!("{live}, {} {ended}", drift.sha.short()), colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_verdana_makes_it() {
        assert_eq!([width("build"), width("passing"), width("")], [27, 42, 0]);
        assert!(width("ü") >= width("W"));
    }
}
