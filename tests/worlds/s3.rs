//! An S3 with one bucket, that does as it is told: fails, forgets, cuts. It checks no signatures. Real servers check it in `tests/counterparts`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use landfall::clients::aws::Aws;
use landfall::domain::RevisionsSpec;
use landfall::revisions::{Store, Stores};
use sha2::{Digest, Sha256};

#[derive(Default)]
struct State {
    calls: Vec<(String, BTreeMap<String, String>)>,
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    faults: Vec<(String, u16, String, u32)>,
    begun: usize,
    kept: usize,
    keeps_no_versions: bool,
}

impl State {
    /// Puts an object, and gives its version.
    fn keep(&mut self, key: &str, bytes: Vec<u8>) -> String {
        self.objects.insert(key.into(), bytes);
        self.kept += 1;
        format!("v{}", self.kept)
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
    let spec = RevisionsSpec::S3 {
        bucket: "revisions".into(),
        prefix: "shop".into(),
        region: "eu-west-1".into(),
        endpoint_url: Some(url.into()),
        force_path_style: true,
    };
    Stores::new(Aws::with_keys("A", "S")).of(&spec).unwrap()
}

impl Buckets {
    /// On a thread of its own, so that it outlives whatever the test does to its clients.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let (told, hear) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(web::PayloadConfig::new(64 << 20))
                        .app_data(web::Data::from(Arc::clone(&shared)))
                        .default_service(web::to(answer))
                });
                let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
                let url = format!("http://{}", server.addrs()[0]);
                let running = server.run();
                told.send((url, running.handle())).unwrap();
                running.await.unwrap();
            });
        });
        let (url, server) = hear.recv().unwrap();
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

    /// Lets the next `times` calls of this kind fail.
    pub(crate) fn fails(&self, call: &str, status: u16, code: &str, times: u32) {
        self.state().faults.push((call.into(), status, code.into(), times));
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
        self.state().objects[key].clone()
    }

    /// Puts something else in an object's place.
    pub(crate) fn replace(&self, key: &str, bytes: &[u8]) {
        self.state().objects.insert(key.into(), bytes.to_vec());
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<Mutex<State>>) -> HttpResponse {
    let mut state = state.lock().unwrap();
    let key = request.path().trim_start_matches("/revisions/").to_owned();
    let query: BTreeMap<String, String> =
        web::Query::<BTreeMap<String, String>>::from_query(request.query_string()).unwrap().into_inner();
    let number = query.get("partNumber");
    let upload = query.get("uploadId").cloned().unwrap_or_default();
    let of_bucket = matches!(key.as_str(), "" | "/revisions");
    let call = match (request.method(), number, query.contains_key("uploads"), upload.is_empty()) {
        (&Method::HEAD, ..) if of_bucket => "head bucket".into(),
        (&Method::GET, ..) if query.contains_key("versioning") => "versioning".into(),
        (&Method::GET, ..) if query.contains_key("encryption") => "encryption".into(),
        (&Method::DELETE, None, _, true) => "delete".into(),
        (&Method::PUT, Some(number), ..) => format!("part {number}"),
        (&Method::PUT, None, ..) => "put".into(),
        (&Method::POST, None, true, _) => "begin".into(),
        (&Method::POST, None, false, _) => "complete".into(),
        (&Method::DELETE, None, _, false) => "abort".into(),
        (&Method::HEAD, ..) => "head".into(),
        (&Method::GET, ..) => "get".into(),
        other => panic!("nobody should ask for {other:?}"),
    };
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    state.calls.push((format!("{call} {key}"), headers));
    let fault = state.faults.iter_mut().find(|(kind, _, _, times)| *kind == call && *times > 0);
    if let Some((_, status, code, times)) = fault {
        *times -= 1;
        let (status, code) = (*status, code.clone());
        return fail(&state, &key, status, &code);
    }
    let checksum = request.headers().get("x-amz-checksum-sha256").map(|it| it.to_str().unwrap().to_owned());
    if checksum.is_some_and(|it| it != base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body))) {
        return fail(&state, &key, 400, "BadDigest");
    }
    carry_out(&mut state, &call, &key, &upload, body, &request)
}

fn fail(state: &State, key: &str, status: u16, code: &str) -> HttpResponse {
    if code == "cut" {
        let half = web::Bytes::copy_from_slice(&state.objects[key][..state.objects[key].len() / 2]);
        let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
        return HttpResponse::Ok().insert_header(("etag", etag(&state.objects[key]))).streaming(broken);
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap())
        .insert_header(("x-amz-bucket-region", if status == 301 { "us-east-2" } else { "eu-west-1" }))
        .content_type("application/xml")
        .body(format!("<Error><Code>{code}</Code><Message>a test says so</Message></Error>"))
}

fn carry_out(
    state: &mut State,
    call: &str,
    key: &str,
    upload: &str,
    body: web::Bytes,
    request: &HttpRequest,
) -> HttpResponse {
    match call {
        "head bucket" => HttpResponse::Ok().insert_header(("x-amz-bucket-region", "eu-west-1")).finish(),
        "versioning" => {
            let status = if state.keeps_no_versions { "" } else { "<Status>Enabled</Status>" };
            let xml = format!("<VersioningConfiguration>{status}</VersioningConfiguration>");
            HttpResponse::Ok().content_type("application/xml").body(xml)
        }
        "encryption" => {
            let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                        </ApplyServerSideEncryptionByDefault>";
            let xml =
                format!("<ServerSideEncryptionConfiguration><Rule>{rule}</Rule></ServerSideEncryptionConfiguration>");
            HttpResponse::Ok().content_type("application/xml").body(xml)
        }
        "delete" => {
            state.objects.remove(key);
            HttpResponse::NoContent().finish()
        }
        "put" => {
            let version = state.keep(key, body.to_vec());
            let tag = ("etag", etag(&body));
            HttpResponse::Ok().insert_header(tag).insert_header(("x-amz-version-id", version)).finish()
        }
        "begin" => {
            state.begun += 1;
            let id = format!("upload-{}", state.begun);
            state.uploads.insert(id.clone(), BTreeMap::new());
            let xml =
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
            HttpResponse::Ok().content_type("application/xml").body(xml)
        }
        "complete" => {
            let Some(parts) = state.uploads.remove(upload) else { return fail(state, key, 404, "NoSuchUpload") };
            let listed = String::from_utf8(body.to_vec()).unwrap().matches("<PartNumber>").count();
            assert_eq!(parts.len(), listed);
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            let tag = etag(&whole);
            let version = ("x-amz-version-id", state.keep(key, whole));
            let xml = format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>");
            HttpResponse::Ok().insert_header(version).content_type("application/xml").body(xml)
        }
        "abort" => {
            state.uploads.remove(upload);
            HttpResponse::NoContent().finish()
        }
        "head" | "get" => {
            let Some(object) = state.objects.get(key) else { return fail(state, key, 404, "NoSuchKey") };
            let wanted = request.headers().get("if-match").map(|it| it.to_str().unwrap());
            if wanted.is_some_and(|wanted| wanted != etag(object)) {
                return fail(state, key, 412, "PreconditionFailed");
            }
            HttpResponse::Ok().insert_header(("etag", etag(object))).body(object.clone())
        }
        part => {
            let number: u32 = part.trim_start_matches("part ").parse().unwrap();
            let tag = etag(&body);
            // One that was on its way when its upload was aborted.
            let Some(parts) = state.uploads.get_mut(upload) else { return fail(state, key, 404, "NoSuchUpload") };
            parts.insert(number, body.to_vec());
            HttpResponse::Ok().insert_header(("etag", tag)).finish()
        }
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"etag-{}\"", bytes.len())
}
