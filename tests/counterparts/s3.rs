//! Revisions in S3 servers that we did not write: moto, ministack and s3s-fs. Each catches what the others let pass:
//! moto refuses small parts, ministack and s3s-fs compare checksums, ministack keeps versions, s3s-fs checks signatures.

use std::fs;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use landfall::clients::aws::{Account, Aws};
use landfall::domain::{BundleFormat, CommitSha, Location, RevisionsSpec, TargetName};
use landfall::revisions::{ObjectKey, RevisionError, Store, Stores};
use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;
const REGION: &str = "us-east-1";
const PEERS: [&str; 3] = ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_S3SFS", "LANDFALL_TEST_MOTO"];

fn url(peer: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "`tests/run` says where the counterparts are")]
    std::env::var(peer)
        .unwrap_or_else(|_| panic!("`{peer}` is not set: `tests/run` starts the counterparts and sets it"))
}

/// A server, and a bucket of its own for the test.
struct Peer {
    url: String,
    bucket: String,
    admin: Client,
}

impl Peer {
    async fn new(variable: &str, test: &str) -> Self {
        let (url, bucket) = (url(variable), format!("{test}-{}", std::process::id()));
        let account = Account { region: REGION.into(), endpoint_url: Some(url.clone()), ..Account::default() };
        let admin = Aws::with_keys("A", "S").s3(&account, true).await;
        admin.create_bucket().bucket(&bucket).send().await.unwrap();
        Self { url, bucket, admin }
    }

    fn store_with(&self, secret: &str, bucket: &str) -> Store {
        let spec = RevisionsSpec::S3 {
            bucket: bucket.into(),
            prefix: "shop".into(),
            region: REGION.into(),
            endpoint_url: Some(self.url.clone()),
            force_path_style: true,
        };
        Stores::new(Aws::with_keys("A", secret)).of(&spec).unwrap()
    }

    fn store(&self) -> Store {
        self.store_with("S", &self.bucket)
    }

    async fn unfinished(&self) -> usize {
        self.admin.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap().uploads().len()
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn key(rules: &str) -> ObjectKey {
    ObjectKey {
        target: TargetName::parse("blog").unwrap(),
        commit: CommitSha::parse("0123456789abcdef0123456789abcdef01234567").unwrap(),
        rules: rules.into(),
        format: BundleFormat::Tgz,
    }
}

async fn put(store: &Store, rules: &str, data: &[u8]) -> Result<Location, RevisionError> {
    let mut upload = store.begin(&key(rules));
    for piece in data.chunks(64 * 1024) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    upload.finish(&sha256(data)).await
}

#[tokio::test]
async fn every_server_takes_revisions_of_every_size_and_gives_them_back() {
    let home = tempfile::tempdir().unwrap();
    for variable in PEERS {
        let peer = Peer::new(variable, "sizes").await;
        let store = peer.store();
        for (rules, length) in
            [("empty", 0), ("small", 4321), ("part", 8 * MIB), ("parts", 8 * MIB + 1), ("many", 27 * MIB)]
        {
            let data = bytes(length);
            let location =
                put(&store, rules, &data).await.unwrap_or_else(|error| panic!("{variable} {rules}: {error}"));
            let Location::S3 { key, etag: Some(etag), .. } = &location else { panic!("{variable} {location:?}") };
            assert!(!etag.contains('"'), "{variable} {etag}");
            let head = peer.admin.head_object().bucket(&peer.bucket).key(key).send().await.unwrap();
            assert_eq!(head.content_length(), Some(length as i64), "{variable} {rules}");
            assert_eq!(head.e_tag().unwrap().trim_matches('"'), etag, "{variable} {rules}");
            assert!(store.holds(&location).await.unwrap(), "{variable} {rules}");
            let copy = home.path().join(rules);
            store
                .fetch(&location, &sha256(&data), &copy)
                .await
                .unwrap_or_else(|error| panic!("{variable} {rules}: {error}"));
            assert!(fs::read(&copy).unwrap() == data, "{variable} {rules}");
        }
    }
}

#[tokio::test]
async fn another_object_in_its_place_is_seen() {
    let home = tempfile::tempdir().unwrap();
    for variable in PEERS {
        let peer = Peer::new(variable, "replaced").await;
        let store = peer.store();
        let location = put(&store, "r", b"first").await.unwrap();
        let Location::S3 { key, .. } = &location else { panic!("{location:?}") };
        peer.admin.put_object().bucket(&peer.bucket).key(key).body(b"other".to_vec().into()).send().await.unwrap();
        assert!(!store.holds(&location).await.unwrap(), "{variable}");
        let error = store.fetch(&location, &sha256(b"first"), &home.path().join("b")).await.unwrap_err();
        assert_eq!(error.failure().code, "revisions/replaced", "{variable}: {error}");
        peer.admin.delete_object().bucket(&peer.bucket).key(key).send().await.unwrap();
        assert!(!store.holds(&location).await.unwrap(), "{variable}");
        let error = store.fetch(&location, &sha256(b"first"), &home.path().join("b")).await.unwrap_err();
        assert_eq!(error.failure().code, "revisions/gone", "{variable}: {error}");
    }
}

#[tokio::test]
async fn a_version_is_pinned_where_the_bucket_keeps_them() {
    let home = tempfile::tempdir().unwrap();
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "versions").await;
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        peer.admin.put_bucket_versioning().bucket(&peer.bucket).versioning_configuration(on).send().await.unwrap();
        let store = peer.store();
        for (rules, length) in [("small", 5), ("large", 9 * MIB)] {
            let first = put(&store, rules, &bytes(length)).await.unwrap();
            let second = put(&store, rules, &bytes(length + 1)).await.unwrap();
            let versions: Vec<_> = [&first, &second]
                .map(|it| match it {
                    Location::S3 { version, .. } => version.clone().unwrap_or_else(|| panic!("{variable} {it:?}")),
                    Location::File { .. } => unreachable!("an S3 store"),
                })
                .into();
            assert_ne!(versions[0], versions[1], "{variable}");
            assert!(store.holds(&first).await.unwrap(), "{variable} {rules}");
            let copy = home.path().join("copy");
            store.fetch(&first, &sha256(&bytes(length)), &copy).await.unwrap();
            store.fetch(&second, &sha256(&bytes(length + 1)), &copy).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "aborted").await;
        let mut upload = peer.store().begin(&key("a"));
        upload.write(Bytes::from(bytes(17 * MIB))).await.unwrap();
        assert_eq!(peer.unfinished().await, 1, "{variable}");
        upload.abort().await;
        assert_eq!(peer.unfinished().await, 0, "{variable}");
        let listed = peer.admin.list_objects_v2().bucket(&peer.bucket).send().await.unwrap();
        assert_eq!(listed.contents().len(), 0, "{variable}");
    }
}

#[tokio::test]
async fn refusals_are_told_by_their_cause() {
    // s3s-fs makes the bucket instead.
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "refused").await;
        let elsewhere = peer.store_with("S", "there-is-no-such-bucket");
        for length in [5, 9 * MIB] {
            let error = put(&elsewhere, "x", &bytes(length)).await.unwrap_err();
            assert_eq!(error.failure().code, "revisions/no-such-bucket", "{variable} {length}: {error}");
        }
    }
    // The only one of the three that looks at signatures.
    let peer = Peer::new("LANDFALL_TEST_S3SFS", "signed").await;
    let stranger = peer.store_with("another secret", &peer.bucket);
    for length in [5, 9 * MIB] {
        let error = put(&stranger, "x", &bytes(length)).await.unwrap_err();
        assert_eq!(error.failure().code, "revisions/credentials", "{length}: {error}");
    }
}
