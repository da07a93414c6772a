//! Small things from the web by their address: no redirect is followed, and neither time nor length is the other side's to
//! choose. Whoever calls it has judged the address; the guard judges what it resolves to.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use thiserror::Error;
use url::Url;

use super::guard;

/// Why there is no answer that can be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FetchError {
    /// The guard refuses the address.
    #[error("{why}")]
    Refused {
        /// Which, and why.
        why: String,
    },
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

/// The web as it is: at most `limit` bytes, `within` this time; no address of a private network or of this machine. It is
/// asked so seldom that each time has a client of its own.
pub fn from_the_web(limit: usize, within: Duration) -> Fetch {
    fetching(limit, within, false)
}

/// The same, and private networks and this machine with it.
pub fn from_anywhere(limit: usize, within: Duration) -> Fetch {
    fetching(limit, within, true)
}

fn fetching(limit: usize, within: Duration, allow_private: bool) -> Fetch {
    Arc::new(move |url| {
        async move {
            let host = url.host_str().unwrap_or_default().to_owned();
            let unreachable = |error: &reqwest::Error| FetchError::Unreachable {
                host: host.clone(),
                why: if error.is_timeout() {
                    format!("no answer within {} s", within.as_secs_f32())
                } else {
                    guard::why(error)
                },
            };
            let refused = |error: guard::GuardError| FetchError::Refused { why: error.to_string() };
            let client = guard::held(guard::client().timeout(within), &url, allow_private).await.map_err(refused)?;
            let client = client.build().map_err(|error| unreachable(&error))?;
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
