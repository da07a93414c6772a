//! An S3 with one bucket, that does as it is told: fails, forgets, cuts. It checks no signatures. Real servers check it in `tests/counterparts`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use landfall::clients::aws::Aws;
use landfall::domain::{RevisionsSpec, S3Spec};
use landfall::revisions::{Store, Stores};
use sha2::{Digest, Sha256};

use super::thread;

#[derive(Default)]
struct State {
    calls: Vec<(String, BTreeMap<String, String>)>,
    objects: BTreeMap<String, Vec<Stored>>,
    uploads: BTreeMap<String, Begun>,
    faults: Vec<Fault>,
    kept: usize,
    begun: usize,
    keeps_no_versions: bool,
    /// The account that owns the bucket.
    owner: String,
}

/// One version of an object.
struct Stored {
    version: String,
    bytes: Vec<u8>,
    etag: String,
    class: Option<String>,
}

/// A multipart upload that is not over.
#[derive(Default)]
struct Begun {
    key: String,
    at: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

struct Fault {
    call: String,
    status: u16,
    code: String,
    says: String,
    times: u32,
}

impl State {
    /// Puts an object, and gives its version.
    fn keep(&mut self, key: &str, bytes: Vec<u8>, etag: String) -> String {
        self.kept += 1;
        let version = format!("v{}", self.kept);
        let stored = Stored { version: version.clone(), bytes, etag, class: None };
        self.objects.entry(key.into()).or_default().push(stored);
        version
    }

    /// The version that a request means.
    fn found(&self, key: &str, version: Option<&String>) -> Option<&Stored> {
        let versions = self.objects.get(key)?;
        version.map_or_else(|| versions.last(), |version| versions.iter().find(|it| it.version == *version))
    }
}

/// The bucket `revisions`.
pub(crate) struct Buckets {
    state: Arc<Mutex<State>>,
    url: String,
    server: actix_web::dev::ServerHandle,
}

impl Drop for Buckets {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

/// A store whose bucket is at this address.
pub(crate) fn store_at(url: &str) -> Store {
    store_of(&spec_at(url))
}

/// A store as described.
pub(crate) fn store_of(spec: &S3Spec) -> Store {
    Stores::new(Aws::with_keys("A", "S")).of(&RevisionsSpec::S3(spec.clone())).unwrap()
}

/// The bucket at this address.
pub(crate) fn spec_at(url: &str) -> S3Spec {
    S3Spec {
        bucket: "revisions".into(),
        prefix: "shop".into(),
        region: "eu-west-1".into(),
        endpoint_url: Some(url.into()),
        force_path_style: true,
        ..S3Spec::default()
    }
}

impl Buckets {
    /// On a thread of its own, so that it outlives whatever the test does to its clients.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (url, server) = thread::serve(Arc::clone(&state), |it| {
            it.app_data(web::PayloadConfig::new(64 << 20)).default_service(web::to(answer));
        });
        Self { state, url, server }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn store(&self) -> Store {
        store_at(&self.url)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The calls so far, `what key`.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.iter().map(|(call, _)| call.clone()).collect()
    }

    /// A header of the call at `at`.
    pub(crate) fn header(&self, at: usize, name: &str) -> String {
        self.state().calls[at].1[name].clone()
    }

    /// The headers of the first call of this kind: `put`, `begin`, `part 1`.
    pub(crate) fn headers(&self, call: &str) -> BTreeMap<String, String> {
        let state = self.state();
        let found = state.calls.iter().find(|(it, _)| it.strip_prefix(call).is_some_and(|rest| rest.starts_with(' ')));
        found.unwrap_or_else(|| panic!("no {call}")).1.clone()
    }

    /// As whom the calls were signed, each once: access key and session token.
    pub(crate) fn signers(&self) -> Vec<(String, String)> {
        let of = |headers: &BTreeMap<String, String>| {
            let signed = headers["authorization"].split_once("Credential=").unwrap().1;
            let key = signed.split('/').next().unwrap().to_owned();
            (key, headers.get("x-amz-security-token").cloned().unwrap_or_default())
        };
        let mut signers: Vec<_> = self.state().calls.iter().map(|(_, headers)| of(headers)).collect();
        signers.sort();
        signers.dedup();
        signers
    }

    /// Lets the next `times` calls of this kind fail.
    pub(crate) fn fails(&self, call: &str, status: u16, code: &str, times: u32) {
        let says = "<Message>a test says so</Message>".into();
        self.state().faults.push(Fault { call: call.into(), status, code: code.into(), says, times });
    }

    /// Lets the next call of this kind fail with an error that holds this besides its code.
    pub(crate) fn fails_saying(&self, call: &str, status: u16, code: &str, says: &str) {
        self.state().faults.push(Fault { call: call.into(), status, code: code.into(), says: says.into(), times: 1 });
    }

    /// Gives the bucket to an account.
    pub(crate) fn belongs_to(&self, owner: &str) {
        self.state().owner = owner.into();
    }

    /// Plants a multipart upload that somebody began and left.
    pub(crate) fn left_unfinished(&self, key: &str, at: &str) {
        let mut state = self.state();
        let id = format!("left-{}", state.uploads.len());
        state.uploads.insert(id, Begun { key: key.into(), at: at.into(), ..Begun::default() });
    }

    /// The keys of the uploads that are not over.
    pub(crate) fn unfinished_keys(&self) -> Vec<String> {
        self.state().uploads.values().map(|it| it.key.clone()).collect()
    }

    /// Moves an object to a storage class.
    pub(crate) fn moves(&self, key: &str, class: &str) {
        self.state().objects.get_mut(key).unwrap().last_mut().unwrap().class = Some(class.into());
    }

    /// How many multipart uploads were begun and not ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.state().uploads.len()
    }

    /// The bucket's versioning is off.
    pub(crate) fn keep_no_versions(&self) {
        self.state().keeps_no_versions = true;
    }

    /// The keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// An object's bytes.
    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        self.state().found(key, None).unwrap().bytes.clone()
    }

    /// Puts something else in an object's place, under the version that it has; or an object where none is.
    pub(crate) fn replace(&self, key: &str, bytes: &[u8]) {
        let mut state = self.state();
        match state.objects.get_mut(key).and_then(|versions| versions.last_mut()) {
            Some(last) => (last.bytes, last.etag) = (bytes.to_vec(), etag(bytes)),
            None => drop(state.keep(key, bytes.to_vec(), etag(bytes))),
        }
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let mut state = state.lock().unwrap();
    let path = request.path().trim_start_matches("/revisions").trim_start_matches('/');
    let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string()).unwrap().into_inner();
    let upload = query.contains_key("uploadId");
    let call = match (request.method(), query.get("partNumber"), query.contains_key("uploads"), upload) {
        (&Method::HEAD, ..) if path.is_empty() => "head bucket".into(),
        (&Method::GET, ..) if query.contains_key("versioning") => "versioning".into(),
        (&Method::GET, ..) if query.contains_key("encryption") => "encryption".into(),
        (&Method::PUT, Some(number), ..) => format!("part {number}"),
        (&Method::PUT, None, ..) => "put".into(),
        (&Method::POST, None, true, _) => "begin".into(),
        (&Method::POST, None, false, _) => "complete".into(),
        (&Method::DELETE, None, _, true) => "abort".into(),
        (&Method::DELETE, None, _, false) => "delete".into(),
        (&Method::HEAD, ..) => "head".into(),
        (&Method::GET, _, true, _) => "uploads".into(),
        (&Method::GET, ..) => "get".into(),
        other => panic!("nobody should ask for {other:?}"),
    };
    // What is asked of the bucket is asked below a prefix.
    let key = if path.is_empty() { query.get("prefix").cloned().unwrap_or_default() } else { path.to_owned() };
    let headers = request.headers().iter();
    let headers: BTreeMap<_, _> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    state.calls.push((format!("{call} {key}"), headers.clone()));
    let fault = state.faults.iter_mut().find(|it| it.call == call && it.times > 0);
    if let Some(fault) = fault {
        fault.times -= 1;
        let (status, code, says) = (fault.status, fault.code.clone(), fault.says.clone());
        return if code == "cut" { cut(&state, &key) } else { fail(status, &code, &says) };
    }
    if headers.get("x-amz-expected-bucket-owner").is_some_and(|it| *it != state.owner) {
        return fail(403, "AccessDenied", "<Message>Access Denied</Message>");
    }
    let checksum = headers.get("x-amz-checksum-sha256");
    if checksum.is_some_and(|it| *it != base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body))) {
        return fail(400, "BadDigest", "");
    }
    match call.as_str() {
        "head" | "get" => read(&state, &key, &query, &headers),
        "uploads" => listed(&state, &query),
        "head bucket" | "versioning" | "encryption" => of_the_bucket(&state, &call),
        "delete" => {
            let versions = state.objects.entry(key.clone()).or_default();
            match query.get("versionId") {
                Some(version) => versions.retain(|it| it.version != *version),
                None => versions.clear(),
            }
            if versions.is_empty() {
                state.objects.remove(&key);
            }
            HttpResponse::NoContent().finish()
        }
        "put" => {
            let tag = etag(&body);
            let version = state.keep(&key, body.to_vec(), tag.clone());
            HttpResponse::Ok().insert_header(("etag", tag)).insert_header(("x-amz-version-id", version)).finish()
        }
        _ => in_parts(&mut state, &call, &key, query.get("uploadId").map_or("", String::as_str), &body),
    }
}

fn of_the_bucket(state: &State, call: &str) -> HttpResponse {
    let xml = match call {
        "head bucket" => return HttpResponse::Ok().insert_header(("x-amz-bucket-region", "eu-west-1")).finish(),
        "versioning" => {
            let status = if state.keeps_no_versions { "" } else { "<Status>Enabled</Status>" };
            format!("<VersioningConfiguration>{status}</VersioningConfiguration>")
        }
        _ => {
            let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                        </ApplyServerSideEncryptionByDefault>";
            format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>")
        }
    };
    HttpResponse::Ok().content_type("application/xml").body(xml)
}

/// An object whose body ends in the middle.
fn cut(state: &State, key: &str) -> HttpResponse {
    let Stored { bytes, etag, .. } = state.found(key, None).unwrap();
    let half = web::Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
    let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
    HttpResponse::Ok().insert_header(("etag", etag.clone())).streaming(broken)
}

fn fail(status: u16, code: &str, says: &str) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap())
        .insert_header(("x-amz-bucket-region", if status == 301 { "us-east-2" } else { "eu-west-1" }))
        .content_type("application/xml")
        .body(format!("<Error><Code>{code}</Code>{says}</Error>"))
}

fn read(
    state: &State,
    key: &str,
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
) -> HttpResponse {
    let Some(stored) = state.found(key, query.get("versionId")) else { return fail(404, "NoSuchKey", "") };
    if headers.get("if-match").is_some_and(|wanted| *wanted != stored.etag) {
        return fail(412, "PreconditionFailed", "");
    }
    let mut response = HttpResponse::Ok();
    response.insert_header(("etag", stored.etag.clone()));
    response.insert_header(("x-amz-version-id", stored.version.clone()));
    if let Some(class) = &stored.class {
        response.insert_header(("x-amz-storage-class", class.clone()));
    }
    response.body(stored.bytes.clone())
}

/// Two a page, so that whoever reads only the first is found out.
fn listed(state: &State, query: &BTreeMap<String, String>) -> HttpResponse {
    let below = |it: &Begun| it.key.starts_with(&query["prefix"]);
    let after = |id: &str| query.get("upload-id-marker").is_none_or(|marker| id > marker.as_str());
    let all: Vec<_> = state.uploads.iter().filter(|(id, it)| below(it) && after(id)).collect();
    let mut xml = String::from("<ListMultipartUploadsResult><Bucket>revisions</Bucket>");
    xml += &format!("<IsTruncated>{}</IsTruncated>", all.len() > 2);
    if let Some((id, begun)) = all.get(1) {
        xml += &format!("<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>", begun.key);
    }
    for (id, Begun { key, at, .. }) in all.iter().take(2) {
        xml += &format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{at}</Initiated></Upload>");
    }
    HttpResponse::Ok().content_type("application/xml").body(xml + "</ListMultipartUploadsResult>")
}

fn in_parts(state: &mut State, call: &str, key: &str, upload: &str, body: &[u8]) -> HttpResponse {
    match call {
        "begin" => {
            state.begun += 1;
            let id = format!("upload-{}", state.begun);
            let begun = Begun { key: key.into(), at: "2026-01-01T00:00:00Z".into(), ..Begun::default() };
            state.uploads.insert(id.clone(), begun);
            let xml =
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
            HttpResponse::Ok().content_type("application/xml").body(xml)
        }
        "complete" => {
            let Some(begun) = state.uploads.remove(upload) else { return fail(404, "NoSuchUpload", "") };
            let count = begun.parts.len();
            assert_eq!(count, std::str::from_utf8(body).unwrap().matches("<PartNumber>").count());
            let whole: Vec<u8> = begun.parts.into_values().flatten().collect();
            // As S3 has it: no digest of the whole, and a number of parts behind a dash.
            let tag = format!("\"etag-{}-{count}\"", whole.len());
            let version = ("x-amz-version-id", state.keep(key, whole, tag.clone()));
            let xml = format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>");
            HttpResponse::Ok().insert_header(version).content_type("application/xml").body(xml)
        }
        "abort" => match state.uploads.remove(upload) {
            Some(_) => HttpResponse::NoContent().finish(),
            None => fail(404, "NoSuchUpload", ""),
        },
        part => {
            let number: u32 = part.trim_start_matches("part ").parse().unwrap();
            // One that was on its way when its upload was aborted.
            let Some(begun) = state.uploads.get_mut(upload) else { return fail(404, "NoSuchUpload", "") };
            begun.parts.insert(number, body.to_vec());
            HttpResponse::Ok().insert_header(("etag", etag(body))).finish()
        }
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"etag-{}\"", bytes.len())
}
