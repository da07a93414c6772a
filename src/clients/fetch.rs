//! Small things from the web by their address: no redirect is followed, and neither time nor length is the other side's to
//! choose. It does not judge addresses: whoever calls it has.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use thiserror::Error;
use url::Url;

use crate::domain::root_cause;

/// Why there is no answer that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FetchError {
    /// It could not be reached, or not in time.
    #[error("`{host}` could not be asked: {why}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        why: String,
    },
    /// It answered something else than 200.
    #[error("`{host}` answered {status}, expected 200")]
    Status {
        /// Who.
        host: String,
        /// What.
        status: u16,
    },
    /// The answer is too long.
    #[error("`{host}` answered more than {limit} bytes")]
    TooLong {
        /// Who.
        host: String,
        /// How much would have been taken.
        limit: usize,
    },
}

/// Fetches what lies at an address that the caller has checked. Tests hand in a web of their own.
pub type Fetch = Arc<dyn Fn(Url) -> BoxFuture<'static, Result<Bytes, FetchError>> + Send + Sync>;

/// The web as it is: at most `limit` bytes, `within` this time. Its client is made at its first use.
pub fn from_the_web(limit: usize, within: Duration) -> Fetch {
    let client: Arc<OnceLock<reqwest::Client>> = Arc::default();
    Arc::new(move |url| {
        let client = Arc::clone(&client);
        async move {
            let host = url.host_str().unwrap_or_default().to_owned();
            let unreachable = |error: &reqwest::Error| FetchError::Unreachable {
                host: host.clone(),
                why: if error.is_timeout() {
                    format!("no answer within {} s", within.as_secs_f32())
                } else {
                    root_cause(error).to_string()
                },
            };
            let client = match client.get() {
                Some(client) => client.clone(),
                None => {
                    let made = client_that_follows_nothing(within).map_err(|error| unreachable(&error))?;
                    client.get_or_init(|| made).clone()
                }
            };
            let mut answer = client.get(url).send().await.map_err(|error| unreachable(&error))?;
            let status = answer.status().as_u16();
            if status != 200 {
                return Err(FetchError::Status { host, status });
            }
            let mut body = BytesMut::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| unreachable(&error))? {
                if body.len() + piece.len() > limit {
                    return Err(FetchError::TooLong { host, limit });
                }
                body.extend_from_slice(&piece);
            }
            Ok(body.freeze())
        }
        .boxed()
    })
}

fn client_that_follows_nothing(within: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .timeout(within)
        .build()
}
