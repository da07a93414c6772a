//! From the address of a certificate to a checked signature: the certificate is fetched once, must lead to a public
//! authority, must be for SNS and of today, and must have signed.
//!
//! Why authorities are asked for the step between: AWS's file holds SNS's own certificate alone, and no public root
//! signed that itself. Where the file leaves it out, the certificate says where its issuer's lies; what comes from there
//! is believed as far as it leads to a root of this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime, alg_id,
};
use thiserror::Error;
use url::Url;
use webpki::{EndEntityCert, KeyUsage};

use crate::clients::Clock;
use crate::clients::fetch::{Fetch, FetchError, from_the_web};
use crate::config::Topic;

/// SNS waits some 15 s for an answer, and there may be two fetches.
const WITHIN: Duration = Duration::from_secs(5);
/// A certificate has 2 KB.
const LARGEST: usize = 64 << 10;
/// How many certificates are kept: a region has one, and another when it is renewed.
const KEPT: usize = 32;
/// How often a minute strangers may make us fetch.
const FETCHES: usize = 6;
/// How many certificates may be missing between SNS's own and a root.
const STEPS: usize = 2;

/// Whom certificates must lead to, and how they are fetched.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<OnceLock<Vec<TrustAnchor<'static>>>>,
    pub(super) fetch: Fetch,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(super) enum CertificateError {
    /// It could not be had.
    #[error("the certificate of the signature cannot be had: {0}")]
    Fetch(#[from] FetchError),
    /// Too many were asked for.
    #[error("more than {FETCHES} certificates were asked for within a minute")]
    TooMany,
    /// The machine trusts nobody.
    #[error("this machine has no certificates of public authorities")]
    NoRoots,
    /// It is not to be believed.
    #[error("the certificate of the signature is not SNS's: {0}")]
    Untrusted(&'static str),
}

/// The certificates that were fetched, with what leads from each to a root.
pub(super) struct Certificates {
    trust: Trust,
    clock: Clock,
    known: Mutex<VecDeque<(Url, Arc<Chain>)>>,
    /// When strangers made us fetch. One fetches at a time, so that they cannot make us hurry either.
    fetched: tokio::sync::Mutex<VecDeque<Timestamp>>,
}

/// A certificate, and those between it and a root.
pub(super) struct Chain {
    own: CertificateDer<'static>,
    between: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The authorities that this machine trusts, and the web.
    pub fn of_this_machine() -> Self {
        Self { roots: Arc::default(), fetch: from_the_web(LARGEST, WITHIN) }
    }

    /// Other authorities, and another web.
    pub fn of(roots: &[CertificateDer<'static>], fetch: Fetch) -> Self {
        Self { roots: Arc::new(OnceLock::from(anchors(roots))), fetch }
    }

    /// Read when they are first needed.
    fn roots(&self) -> &[TrustAnchor<'static>] {
        self.roots.get_or_init(|| {
            let read = rustls_native_certs::load_native_certs();
            for error in &read.errors {
                tracing::warn!(%error, "a certificate of an authority cannot be read");
            }
            anchors(&read.certs)
        })
    }
}

/// What cannot be read as an authority is none.
fn anchors(roots: &[CertificateDer<'_>]) -> Vec<TrustAnchor<'static>> {
    roots.iter().filter_map(|it| Some(webpki::anchor_from_trusted_cert(it).ok()?.to_owned())).collect()
}

impl Certificates {
    pub(super) fn new(trust: Trust, clock: Clock) -> Self {
        Self { trust, clock, known: Mutex::default(), fetched: tokio::sync::Mutex::default() }
    }

    /// How anything else of SNS's is fetched.
    pub(super) fn fetch(&self) -> &Fetch {
        &self.trust.fetch
    }

    /// The certificate at this address, which is one of the topic's host. It is SNS's, and of now: its days are counted
    /// for every message, and one whose time is over is fetched again.
    pub(super) async fn at(&self, url: Url, topic: &Topic) -> Result<Arc<Chain>, CertificateError> {
        match self.known(&url, topic) {
            Some(chain) => Ok(chain),
            None => self.fetch_chain(url, topic).await,
        }
    }

    fn known(&self, url: &Url, topic: &Topic) -> Option<Arc<Chain>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = known.iter().find(|(at, _)| at == url).map(|(_, chain)| Arc::clone(chain))?;
        chain.check(self.trust.roots(), topic, self.clock.now()).is_ok().then_some(chain)
    }

    /// Fetches a certificate and what is missing between it and a root. Only one that is good is kept.
    async fn fetch_chain(&self, url: Url, topic: &Topic) -> Result<Arc<Chain>, CertificateError> {
        let mut fetched = self.fetched.lock().await;
        if let Some(chain) = self.known(&url, topic) {
            return Ok(chain);
        }
        if self.trust.roots().is_empty() {
            return Err(CertificateError::NoRoots);
        }
        let now = self.clock.now();
        fetched.retain(|at| now.duration_since(*at) < SignedDuration::from_mins(1));
        if fetched.len() >= FETCHES {
            return Err(CertificateError::TooMany);
        }
        fetched.push_back(now);
        let mut chain = Chain::parse(&(self.trust.fetch)(url.clone()).await?)?;
        for _ in 0..STEPS {
            let checked = chain.check(self.trust.roots(), topic, now);
            let Err(CertificateError::Untrusted(NO_WAY_TO_A_ROOT)) = checked else { break };
            let Some(issuer) = chain.last().and_then(issuers_address) else { break };
            chain.between.push(parse_issuer(&(self.trust.fetch)(issuer).await?)?);
        }
        chain.check(self.trust.roots(), topic, now)?;
        let chain = Arc::new(chain);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(at, _)| *at != url);
        if known.len() >= KEPT {
            known.pop_front();
        }
        known.push_back((url, Arc::clone(&chain)));
        Ok(chain)
    }
}

const NO_WAY_TO_A_ROOT: &str = "nothing leads from it to a public authority";

impl Chain {
    fn parse(pem: &[u8]) -> Result<Self, CertificateError> {
        let unreadable = CertificateError::Untrusted("the file holds no certificate");
        let all = CertificateDer::pem_slice_iter(pem).take(1 + KEPT).collect::<Result<Vec<_>, _>>();
        let mut all = all.unwrap_or_default().into_iter();
        Ok(Self { own: all.next().ok_or(unreadable)?, between: all.collect() })
    }

    /// The one whose issuer may be missing.
    fn last(&self) -> Option<&[u8]> {
        self.between.last().or(Some(&self.own)).map(AsRef::as_ref)
    }

    /// Whether it is SNS's, of this time, and leads to a root.
    fn check(&self, roots: &[TrustAnchor<'_>], topic: &Topic, now: Timestamp) -> Result<(), CertificateError> {
        use webpki::Error;
        let untrusted = CertificateError::Untrusted;
        let own = EndEntityCert::try_from(&self.own).map_err(|_| untrusted("it cannot be read"))?;
        let seconds = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
        let algorithms = default_provider().signature_verification_algorithms.all;
        let (time, usage) = (UnixTime::since_unix_epoch(seconds), KeyUsage::server_auth());
        let path = own.verify_for_usage(algorithms, roots, &self.between, time, usage, None, None);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "webpki's errors are open, and the rest means one thing here"
        )]
        path.map_err(|error| match error {
            Error::CertExpired { .. } => untrusted("its time is over, by this machine's clock"),
            Error::CertNotValidYet { .. } => untrusted("its time has not come, by this machine's clock"),
            Error::UnknownIssuer => untrusted(NO_WAY_TO_A_ROOT),
            _ => untrusted("it breaks the rules for certificates"),
        })?;
        let is_for = |name: &String| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| own.verify_is_valid_for_subject_name(&name).is_ok())
        };
        if names(topic).iter().any(is_for) { Ok(()) } else { Err(untrusted("it is for another name")) }
    }

    /// Whether it signed these bytes. `1` and `2` are the versions that SNS has.
    pub(super) fn has_signed(&self, version: &str, bytes: &[u8], signature: &[u8]) -> bool {
        let algorithm = if version == "1" { Rsa::WITH_SHA1 } else { Rsa::WITH_SHA256 };
        let own = EndEntityCert::try_from(&self.own);
        own.is_ok_and(|own| own.verify_signature(&algorithm, bytes, signature).is_ok())
    }
}

/// The names that SNS's certificates have had: one for the old regions together, for newer ones one for each.
fn names(topic: &Topic) -> [String; 5] {
    let (region, domain) = (topic.region(), topic.domain());
    [
        topic.host(),
        format!("sns.{domain}"),
        format!("sns-signing.{region}.{domain}"),
        format!("sns-{region}.{domain}"),
        // Both regions of the GovCloud partition sign as the western one.
        if region.starts_with("us-gov-") { format!("sns-us-gov-west-1.{domain}") } else { topic.host() },
    ]
}

/// Where a certificate says that its issuer's lies. The bytes before the address are those of `id-ad-caIssuers` and of an
/// address, as DER writes them; finding them in another place would only find a certificate that leads nowhere.
fn issuers_address(der: &[u8]) -> Option<Url> {
    const CA_ISSUERS: &[u8] = &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86];
    let at = der.windows(CA_ISSUERS.len()).position(|bytes| bytes == CA_ISSUERS)? + CA_ISSUERS.len();
    // A length of 128 and more is written otherwise, and no authority has such an address.
    let length = Some(usize::from(*der.get(at)?)).filter(|it| *it < 128)?;
    let text = std::str::from_utf8(der.get(at + 1..at + 1 + length)?).ok()?;
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let is_named = url.domain().is_some_and(|it| it.contains('.'));
    (matches!(url.scheme(), "http" | "https") && is_plain && is_named).then_some(url)
}

/// Authorities publish DER; a PEM file is taken as well.
fn parse_issuer(bytes: &Bytes) -> Result<CertificateDer<'static>, CertificateError> {
    if bytes.starts_with(b"-----BEGIN") {
        return CertificateDer::from_pem_slice(bytes)
            .map_err(|_| CertificateError::Untrusted("its issuer's file holds no certificate"));
    }
    Ok(CertificateDer::from(bytes.to_vec()))
}

/// RSA with PKCS #1 v1.5, as SNS signs. SHA-1 is none of the algorithms that certificates may be signed with.
#[derive(Debug)]
struct Rsa {
    parameters: &'static RsaParameters,
    id: AlgorithmIdentifier,
}

impl Rsa {
    const WITH_SHA1: Self = Self {
        parameters: &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        // sha1WithRSAEncryption and its empty parameters, in DER.
        id: AlgorithmIdentifier::from_slice(&[
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
        ]),
    };
    const WITH_SHA256: Self = Self { parameters: &RSA_PKCS1_2048_8192_SHA256, id: alg_id::RSA_PKCS1_SHA256 };
}

impl SignatureVerificationAlgorithm for Rsa {
    fn verify_signature(&self, key: &[u8], bytes: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.parameters, key).verify(bytes, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}
