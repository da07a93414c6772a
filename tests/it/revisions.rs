//! Revisions in a directory and in S3, with the store behaving and misbehaving.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use landfall::clients::aws::Aws;
use landfall::domain::{BundleFormat, CommitSha, Location, RevisionsSpec, TargetName};
use landfall::revisions::{ObjectKey, RevisionError, Store, Stores};
use sha2::{Digest, Sha256};

use crate::worlds::s3::{Buckets, store_at};

mod bucket;

const MIB: usize = 1 << 20;
const KEY: &str = "blog/0123456789abcdef0123456789abcdef01234567-00112233aabbccdd.tgz";

fn key() -> ObjectKey {
    ObjectKey {
        target: TargetName::parse("blog").unwrap(),
        commit: CommitSha::parse("0123456789abcdef0123456789abcdef01234567").unwrap(),
        rules: "00112233aabbccdd".into(),
        format: BundleFormat::Tgz,
    }
}

fn directory(path: &Path) -> Store {
    Stores::new(Aws::new()).of(&RevisionsSpec::Directory { path: path.to_owned() }).unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

async fn store(store: &Store, data: &[u8]) -> Result<Location, RevisionError> {
    let mut upload = store.begin(&key());
    for piece in data.chunks(64 * 1024 + 1) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    upload.finish(&sha256(data)).await
}

/// Every file below `root`, relative to it.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_directory_holds_a_revision_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("revisions");
    let here = directory(&root);
    let data = bytes(200_000);
    let location = store(&here, &data).await.unwrap();
    assert_eq!(location, Location::File { path: root.join(KEY) });
    assert!(here.holds(&location).await.unwrap());
    let copy = home.path().join("run/bundle.tar");
    here.fetch(&location, &sha256(&data), &copy).await.unwrap();
    assert_eq!(fs::read(&copy).unwrap(), data);

    let mut aborted = here.begin(&key());
    aborted.write(Bytes::from_static(b"half")).await.unwrap();
    aborted.abort().await;
    let mut dropped = here.begin(&key());
    dropped.write(Bytes::from_static(b"half")).await.unwrap();
    drop(dropped);
    let mut other = here.begin(&key());
    other.write(Bytes::from_static(b"not what it says")).await.unwrap();
    let error = other.finish(&sha256(b"what it says")).await.unwrap_err();
    assert_eq!(error.failure().code, "revisions/replaced");
    assert_eq!(files(&root), [KEY]);
    assert_eq!(fs::read(root.join(KEY)).unwrap(), data);
}

#[tokio::test]
async fn a_file_that_changed_or_went_is_not_fetched() {
    let home = tempfile::tempdir().unwrap();
    let here = directory(home.path());
    let location = store(&here, b"first").await.unwrap();
    let copy = home.path().join("copy");
    fs::write(home.path().join(KEY), "other").unwrap();
    let error = here.fetch(&location, &sha256(b"first"), &copy).await.unwrap_err();
    assert_eq!(error.failure().code, "revisions/replaced");
    fs::remove_file(home.path().join(KEY)).unwrap();
    let error = here.fetch(&location, &sha256(b"first"), &copy).await.unwrap_err();
    assert_eq!(error.failure().code, "revisions/gone");
    assert!(!here.holds(&location).await.unwrap());
    assert_eq!(files(home.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_at_the_next_start_only() {
    let home = tempfile::tempdir().unwrap();
    let left = home.path().join("blog/.abc.partial");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "half").unwrap();
    let spec = RevisionsSpec::Directory { path: home.path().to_owned() };
    let stores = Stores::new(Aws::new());
    let mut upload = stores.of(&spec).unwrap().begin(&key());
    assert!(!left.exists());
    upload.write(Bytes::from_static(b"whole")).await.unwrap();
    stores.of(&spec).unwrap();
    upload.finish(&sha256(b"whole")).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_cannot_be_reached_is_said_plainly() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let failure = store(&store_at(&format!("http://127.0.0.1:{port}")), b"data").await.unwrap_err().failure();
    assert_eq!((failure.code.as_str(), failure.passing), ("revisions/unavailable", true));
    assert!(failure.message.contains("connection refused"), "{failure}");
    assert!(!failure.message.contains("os error"), "{failure}");
}

#[tokio::test]
async fn a_small_revision_is_one_request() {
    let s3 = Buckets::start();
    let here = s3.store();
    let data = bytes(8 * MIB);
    let location = store(&here, &data).await.unwrap();
    let Location::S3 { bucket, key, region, version, etag } = &location else { panic!("{location:?}") };
    assert_eq!((bucket.as_str(), key.as_str(), region.as_str()), ("revisions", &*format!("shop/{KEY}"), "eu-west-1"));
    assert_eq!((version.as_deref(), etag.as_deref()), (Some("v1"), Some("etag-8388608")));
    assert!(here.holds(&location).await.unwrap());
    assert_eq!(s3.calls(), [format!("put {key}"), format!("head {key}")]);
    assert_eq!(s3.header(0, "x-amz-meta-landfall-sha256"), sha256(&data));
}

#[tokio::test]
async fn a_large_revision_goes_in_parts_and_comes_back_whole() {
    let s3 = Buckets::start();
    let here = s3.store();
    let data = bytes(20 * MIB);
    let location = store(&here, &data).await.unwrap();
    let mut calls = s3.calls();
    calls.sort();
    assert_eq!(calls, ["begin", "complete", "part 1", "part 2", "part 3"].map(|it| format!("{it} shop/{KEY}")));
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("bundle");
    here.fetch(&location, &sha256(&data), &copy).await.unwrap();
    assert!(fs::read(&copy).unwrap() == data);
    assert!(here.holds(&location).await.unwrap());

    s3.replace(&format!("shop/{KEY}"), b"by somebody else");
    assert!(!here.holds(&location).await.unwrap());
    let error = here.fetch(&location, &sha256(&data), &copy).await.unwrap_err();
    assert_eq!(error.failure().code, "revisions/replaced");
    assert_eq!(files(home.path()), ["bundle"]);
}

#[tokio::test]
async fn an_upload_that_is_refused_or_dropped_is_aborted() {
    let s3 = Buckets::start();
    let here = s3.store();
    let data = Bytes::from(bytes(18 * MIB));
    let mut upload = here.begin(&key());
    upload.write(data.clone()).await.unwrap();
    upload.abort().await;
    assert_eq!(s3.calls().last().unwrap(), &format!("abort shop/{KEY}"));
    assert_eq!(s3.unfinished(), 0);

    let mut upload = here.begin(&key());
    upload.write(data).await.unwrap();
    assert_eq!(s3.unfinished(), 1);
    drop(upload);
    for _ in 0..500 {
        if s3.unfinished() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(s3.unfinished(), 0, "{:?}", s3.calls());
}

#[tokio::test]
async fn a_store_that_stumbles_is_asked_again() {
    let s3 = Buckets::start();
    s3.fails("begin", 503, "SlowDown", 1);
    s3.fails("part 2", 500, "InternalError", 1);
    s3.fails("complete", 503, "ServiceUnavailable", 1);
    let data = bytes(17 * MIB);
    store(&s3.store(), &data).await.unwrap();
    assert_eq!(s3.object(&format!("shop/{KEY}")), data);
}

#[tokio::test]
async fn a_part_that_is_never_taken_ends_the_upload_and_leaves_nothing() {
    let s3 = Buckets::start();
    s3.fails("part 2", 503, "SlowDown", 9);
    let error = store(&s3.store(), &bytes(40 * MIB)).await.unwrap_err();
    let failure = error.failure();
    assert_eq!((failure.code.as_str(), failure.passing), ("revisions/unavailable", true));
    for _ in 0..500 {
        if s3.unfinished() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(s3.unfinished(), 0);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (status, code, expected) in [
        (
            403,
            "AccessDenied",
            "bucket `revisions` refused `s3:PutObject` on `shop/KEY`: AccessDenied: a test says so (revisions/access-denied): \
             give the bot's role s3:PutObject on arn:aws:s3:::revisions/shop/KEY (`landfall aws policy` prints the statement), \
             and look for a Deny in the bucket's policy",
        ),
        (
            404,
            "NoSuchBucket",
            "there is no bucket `revisions` (revisions/no-such-bucket): create the bucket, or correct `s3.bucket` in \
             [target.revisions]",
        ),
        (
            301,
            "PermanentRedirect",
            "bucket `revisions` is not in eu-west-1, but in us-east-2 (revisions/wrong-region): set `s3.region` in \
             [target.revisions] to us-east-2; CodeDeploy's agents must be there too",
        ),
        (
            403,
            "InvalidAccessKeyId",
            "AWS credentials do not work: InvalidAccessKeyId: a test says so (revisions/credentials): give the bot a role \
             (instance profile, container role) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
    ] {
        for (call, length) in [("put", 9), ("begin", 9 * MIB)] {
            let s3 = Buckets::start();
            s3.fails(call, status, code, 1);
            let failure = store(&s3.store(), &bytes(length)).await.unwrap_err().failure();
            let told = format!("{failure}: {}", failure.help.as_deref().unwrap_or("no help")).replace(KEY, "KEY");
            assert_eq!(told, expected);
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_passing_failure() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let here = store_at(&format!("http://{gone}"));
    let failure = store(&here, b"x").await.unwrap_err().failure();
    assert_eq!((failure.code.as_str(), failure.passing), ("revisions/unavailable", true), "{failure}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_not_landed() {
    let s3 = Buckets::start();
    let here = s3.store();
    let data = bytes(3 * MIB);
    let location = store(&here, &data).await.unwrap();
    s3.fails("get", 200, "cut", 1);
    let home = tempfile::tempdir().unwrap();
    let failure = here.fetch(&location, &sha256(&data), &home.path().join("b")).await.unwrap_err().failure();
    assert_eq!((failure.code.as_str(), failure.passing), ("revisions/unavailable", true), "{failure}");
    assert_eq!(files(home.path()), Vec::<String>::new());
}
