//! The guard of outgoing requests: what somebody wrote into a configuration must not make the bot ask what only the bot
//! can reach. Addresses are judged after names are resolved, and the connection goes to the very address that was judged;
//! each redirect is judged again. Where a person configured an address to be looked at, no proxy is used: behind one nobody
//! could say who is asked. What GitHub and Amazon name goes by the machine's proxy, where it has one, and is judged as far
//! as this machine knows the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{ClientBuilder, Response};
use rustls::CertificateError;
use thiserror::Error;
use url::{Host, Url};

use crate::domain::root_cause;

/// How many redirects are followed, where any are.
const HOPS: usize = 5;

/// What is asked, and how far it may reach.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The address.
    pub url: Url,
    /// Whether addresses of private networks and of this machine may be asked.
    pub allow_private: bool,
    /// Whether redirects are followed.
    pub follow: bool,
    /// How long the whole may take.
    pub within: Duration,
    /// How much of the answer's body is read.
    pub limit: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Where a redirect that was not followed leads.
    pub leads_to: Option<String>,
}

/// Why nothing came back.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GuardError {
    /// The guard refuses the address.
    #[error("`{host}` is {address}, {why}")]
    Refused {
        /// Whose.
        host: String,
        /// Which.
        address: IpAddr,
        /// What it is.
        why: &'static str,
    },
    /// It is no address that is asked by http.
    #[error("`{url}` is no address by http or https")]
    NotWeb {
        /// As it was written.
        url: String,
    },
    /// It leads from one to the next.
    #[error("more than {HOPS} redirects")]
    TooManyHops,
    /// It could not be reached, or not in time.
    #[error("`{host}` could not be asked: {why}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        why: String,
    },
}

/// What an address is to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Private,
    Never(&'static str),
}

const METADATA: Place = Place::Never("where a cloud tells machines their secrets");
const LINK_LOCAL: Place = Place::Never("a link-local address, where clouds tell machines their secrets");
const NO_HOST: Place = Place::Never("no address of one host");

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(it) => place_v4(it),
        IpAddr::V6(it) => place_v6(it),
    }
}

fn place_v4(it: Ipv4Addr) -> Place {
    match it.octets() {
        // Alibaba, Azure and Oracle have theirs outside of the link-local range.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => METADATA,
        [169, 254, ..] => LINK_LOCAL,
        [0, ..] | [224..=255, ..] => NO_HOST,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Place::Private,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Place::Private,
        _ => Place::Public,
    }
}

fn place_v6(it: Ipv6Addr) -> Place {
    let parts = it.segments();
    let tail = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => NO_HOST,
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Private,
        // An IPv4 address in another dress is what it is underneath: mapped, compatible, translated, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => place_v4(tail(high, low)),
        [0x2002, high, low, ..] => place_v4(tail(high, low)),
        // Amazon's and Google's metadata.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => METADATA,
        [first, ..] if first & 0xffc0 == 0xfe80 => LINK_LOCAL,
        [first, ..] if first & 0xff00 == 0xff00 => NO_HOST,
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Place::Private,
        [0x64, 0xff9b, 1, ..] => Place::Private,
        _ => Place::Public,
    }
}

/// Why an address is not asked; nothing where it may be.
fn refusal(address: IpAddr, allow_private: bool) -> Option<&'static str> {
    match place(address) {
        Place::Public => None,
        Place::Private if allow_private => None,
        Place::Private => Some("an address of a private network or of this machine"),
        Place::Never(why) => Some(why),
    }
}

/// Asks, with the guard at every hop.
pub async fn get(wanted: &Guarded) -> Result<Answered, GuardError> {
    let host = wanted.url.host_str().unwrap_or_default().to_owned();
    let seconds = wanted.within.as_secs_f32();
    let late = move |_| GuardError::Unreachable { host, why: format!("no answer within {seconds} s") };
    tokio::time::timeout(wanted.within, hops(wanted)).await.map_err(late)?
}

async fn hops(wanted: &Guarded) -> Result<Answered, GuardError> {
    let mut url = wanted.url.clone();
    for _ in 0..=HOPS {
        let answered = hop(&url, wanted).await?;
        let next = answered.leads_to.as_ref().filter(|_| wanted.follow);
        match next.map(|to| url.join(to)) {
            None => return Ok(answered),
            Some(Ok(to)) => url = to,
            Some(Err(_)) => return Err(GuardError::NotWeb { url: answered.leads_to.unwrap_or_default() }),
        }
    }
    Err(GuardError::TooManyHops)
}

async fn hop(url: &Url, wanted: &Guarded) -> Result<Answered, GuardError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let unreachable = |error: &reqwest::Error| GuardError::Unreachable { host: host.clone(), why: why(error) };
    let addresses = judged(url, wanted.allow_private).await?;
    let client = client().no_proxy().resolve_to_addrs(&host, &addresses).build();
    let client = client.map_err(|error| unreachable(&error))?;
    let mut answer = client.get(url.clone()).send().await.map_err(|error| unreachable(&error))?;
    let leads_to = answer.headers().get("location").filter(|_| answer.status().is_redirection());
    let leads_to = leads_to.and_then(|it| it.to_str().ok()).map(str::to_owned);
    let status = answer.status().as_u16();
    let body = beginning(&mut answer, wanted.limit).await.map_err(|error| unreachable(&error))?;
    Ok(Answered { status, body, leads_to })
}

/// A client that says who it is, and follows nothing by itself.
pub(super) fn client() -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
}

/// So many bytes of an answer's body, at most.
pub(super) async fn beginning(answer: &mut Response, limit: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(piece) = answer.chunk().await?
    {
        body.extend_from_slice(&piece[..piece.len().min(limit - body.len())]);
    }
    Ok(body)
}

/// The client for an address that somebody outside named: it connects to the addresses that were judged. A name that this
/// machine does not know is left to its proxy, if it has one; without, it is asked in vain.
pub(super) async fn held(client: ClientBuilder, url: &Url, allow_private: bool) -> Result<ClientBuilder, GuardError> {
    let host = url.host_str().unwrap_or_default();
    match judged(url, allow_private).await {
        Ok(addresses) => Ok(client.resolve_to_addrs(host, &addresses)),
        Err(GuardError::Unreachable { .. }) => Ok(client),
        Err(refused) => Err(refused),
    }
}

/// Why a request came to nothing, as somebody would say it who can do something about it.
pub(super) fn why(error: &(dyn std::error::Error + 'static)) -> String {
    use rustls::Error;
    let Some(tls) = of_tls(error) else {
        return root_cause(error);
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' errors are open, and the rest says itself what it is")]
    match tls {
        Error::InvalidCertificate(it) => match it {
            CertificateError::UnknownIssuer => "nobody whom this machine trusts has signed its certificate".into(),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the time of its certificate is over, by this machine's clock".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the time of its certificate has not come, by this machine's clock".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name".into()
            }
            other => format!("its certificate is not accepted: {other}"),
        },
        Error::InvalidMessage(_) => "what answers there does not speak TLS: is it plain text, or another port?".into(),
        other => format!("TLS failed: {other}"),
    }
}

/// What TLS complains of, wherever it is wrapped: what an I/O error holds is no source of it.
fn of_tls(error: &(dyn std::error::Error + 'static)) -> Option<rustls::Error> {
    let held = || of_tls(error.downcast_ref::<std::io::Error>()?.get_ref()?);
    let beneath = || of_tls(error.source()?);
    error.downcast_ref().cloned().or_else(held).or_else(beneath)
}

/// The addresses of a host, if every one of them may be asked: which one is taken is not ours to say.
async fn judged(url: &Url, allow_private: bool) -> Result<Vec<SocketAddr>, GuardError> {
    let not_web = || GuardError::NotWeb { url: url.to_string() };
    let (Some(host), Some(port), "http" | "https") = (url.host(), url.port_or_known_default(), url.scheme()) else {
        return Err(not_web());
    };
    let host = match host {
        Host::Ipv4(it) => it.to_string(),
        Host::Ipv6(it) => it.to_string(),
        Host::Domain(it) => it.to_owned(),
    };
    addresses(&host, port, allow_private).await
}

/// The addresses of a host, whatever is spoken there, if every one of them may be asked.
pub(super) async fn addresses(host: &str, port: u16, allow_private: bool) -> Result<Vec<SocketAddr>, GuardError> {
    let name = host.to_owned();
    let found = tokio::net::lookup_host((host, port)).await;
    let unknown = |error| GuardError::Unreachable { host: name.clone(), why: crate::domain::plainly(&error) };
    let addresses: Vec<SocketAddr> = found.map_err(unknown)?.collect();
    let refused = addresses.iter().find_map(|it| Some((it.ip(), refusal(it.ip(), allow_private)?)));
    match refused {
        Some((address, why)) => Err(GuardError::Refused { host: name, address, why }),
        None => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Place) {
        let found = place(address.parse().unwrap());
        let is_it = matches!(
            (found, expected),
            (Place::Public, Place::Public) | (Place::Private, Place::Private) | (Place::Never(_), Place::Never(_))
        );
        assert!(is_it, "{address}: {found:?}");
    }

    #[test]
    fn addresses_are_judged_by_what_they_are_underneath() {
        for public in ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            check(public, Place::Public);
        }
        for private in [
            "10.1.2.3",
            "127.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::1",
        ] {
            check(private, Place::Private);
        }
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            check(never, Place::Never(""));
        }
    }

    fn guarded(url: &str, allow_private: bool) -> Guarded {
        let (within, limit) = (Duration::from_secs(5), 1024);
        Guarded { url: url.parse().unwrap(), allow_private, follow: true, within, limit }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        for host in ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"] {
            let refused = get(&guarded(&format!("http://{host}:1/"), false)).await.unwrap_err();
            assert!(matches!(refused, GuardError::Refused { .. }), "{host}: {refused}");
        }
        let refused = get(&guarded("http://169.254.169.254/latest", true)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`169.254.169.254` is 169.254.169.254, a link-local address, where clouds tell machines their secrets"
        );
        let refused = get(&guarded("ftp://example.com/", true)).await.unwrap_err();
        assert_eq!(refused.to_string(), "`ftp://example.com/` is no address by http or https");
    }
}
