//! Messages to services that the configuration names: sent once, no redirect followed, nothing waited for long. Private
//! addresses may be asked, since a person wrote them down; where clouds tell machines their secrets may not.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::guard;

/// How long the whole may take: a service that is slower is as good as down.
const WITHIN: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// What stands beside the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The status.
    pub status: u16,
    /// What stands beside the body.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Sends it, and says why nothing came back: never with the address, which may hold a secret.
pub async fn send(outbound: Outbound) -> Result<Inbound, String> {
    let late = |_| format!("no answer within {} s", WITHIN.as_secs());
    tokio::time::timeout(WITHIN, ask(outbound)).await.map_err(late)?
}

async fn ask(Outbound { method, url, headers, body }: Outbound) -> Result<Inbound, String> {
    let client = guard::held(guard::client(), &url, true).await.map_err(|error| error.to_string())?;
    let client = client.build().map_err(|error| guard::why(&error))?;
    let request = client.request(method, url).headers(headers.into_iter().collect()).body(body);
    let mut answer = request.send().await.map_err(|error| guard::why(&error))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = guard::beginning(&mut answer, LONGEST_ANSWER).await.map_err(|error| guard::why(&error))?;
    Ok(Inbound { status, headers, body })
}
