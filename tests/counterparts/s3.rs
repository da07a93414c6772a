//! Revisions in S3 servers that we did not write: moto, ministack and s3s-fs. Each catches what the others let pass:
//! moto refuses small parts, ministack and s3s-fs compare checksums, ministack keeps versions, s3s-fs checks signatures.

use std::fs;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, ServerSideEncryption, VersioningConfiguration};
use bytes::Bytes;
use landfall::clients::aws::{Account, Aws};
use landfall::domain::{BundleFormat, CommitSha, Encryption, Location, RevisionsSpec, S3Spec, TargetName};
use landfall::revisions::{ObjectKey, Recorded, Removed, RevisionError, Store, Stores};
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

    fn spec(&self, bucket: &str) -> S3Spec {
        S3Spec {
            bucket: bucket.into(),
            prefix: "shop".into(),
            region: REGION.into(),
            endpoint_url: Some(self.url.clone()),
            force_path_style: true,
            ..S3Spec::default()
        }
    }

    fn store_with(&self, secret: &str, bucket: &str) -> Store {
        Stores::new(Aws::with_keys("A", secret)).of(&RevisionsSpec::S3(self.spec(bucket))).unwrap()
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

/// Row 16 and the guide's section 5.4: what we say of an object is what the server keeps of it.
#[tokio::test]
async fn objects_are_encrypted_and_tagged_as_configured() {
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "encrypted").await;
        let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let spec = S3Spec {
            sse: Some(Encryption::Kms),
            kms_key: Some(key.into()),
            bucket_key: true,
            tags: [("team".to_owned(), "web shop".to_owned())].into(),
            tag_for_codedeploy: true,
            ..peer.spec(&peer.bucket)
        };
        let store = Stores::new(Aws::with_keys("A", "S")).of(&RevisionsSpec::S3(spec)).unwrap();
        for (rules, length) in [("small", 5), ("large", 9 * MIB)] {
            let location = put(&store, rules, &bytes(length)).await.unwrap();
            assert!(store.holds(&location).await.unwrap(), "{variable} {rules}");
            let Location::S3 { key: object, .. } = &location else { panic!("{location:?}") };
            let head = peer.admin.head_object().bucket(&peer.bucket).key(object).send().await.unwrap();
            assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms), "{variable} {rules}");
            assert_eq!(head.ssekms_key_id(), Some(key), "{variable} {rules}");
            // ministack forgets the tags of a multipart upload.
            if variable == "LANDFALL_TEST_MINISTACK" && rules == "large" {
                continue;
            }
            let tags = peer.admin.get_object_tagging().bucket(&peer.bucket).key(object).send().await.unwrap();
            let mut tags: Vec<_> =
                tags.tag_set().iter().map(|it| (it.key().to_owned(), it.value().to_owned())).collect();
            tags.sort();
            let expected = [("UseWithCodeDeploy", "true"), ("team", "web shop")].map(|(a, b)| (a.into(), b.into()));
            assert_eq!(tags, expected, "{variable} {rules}");
        }
    }
}

#[tokio::test]
async fn uploads_that_nobody_will_end_are_swept() {
    let blog = TargetName::parse("blog").unwrap();
    let long_after = "2099-01-01T00:00:00Z".parse().unwrap();
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "swept").await;
        let (store, rules) = (peer.store(), "00112233aabbccdd");
        let ours = format!("shop/{}", key(rules).path());
        for name in [ours.as_str(), "shop/blog/backup.tgz", "elsewhere/x"] {
            peer.admin.create_multipart_upload().bucket(&peer.bucket).key(name).send().await.unwrap();
        }
        let mut open = store.begin(&key(rules));
        open.write(Bytes::from(bytes(17 * MIB))).await.unwrap();
        assert_eq!(peer.unfinished().await, 4, "{variable}");
        // moto says of every upload that it began in 2010.
        assert_eq!(store.sweep(&blog, "2001-01-01T00:00:00Z".parse().unwrap()).await.unwrap(), Vec::<String>::new());
        assert_eq!(store.sweep(&blog, long_after).await.unwrap(), [ours], "{variable}");
        assert_eq!(peer.unfinished().await, 3, "{variable}");
        open.finish(&sha256(&bytes(17 * MIB))).await.unwrap();
    }
}

fn recorded(data: &[u8]) -> (String, u64) {
    (sha256(data), data.len() as u64)
}

async fn remove(store: &Store, location: &Location, data: &[u8]) -> Removed {
    let (sha256, bytes) = recorded(data);
    store.remove(location, Recorded { sha256: &sha256, bytes }).await.unwrap()
}

/// Row 25: what is deleted is gone, what is not ours stays, and deleting twice is harmless.
#[tokio::test]
async fn a_revision_is_deleted_once_and_nobody_elses() {
    for variable in PEERS {
        let peer = Peer::new(variable, "removed").await;
        let store = peer.store();
        for (rules, length) in [("small", 5), ("large", 9 * MIB)] {
            let data = bytes(length);
            let (mine, other) = (put(&store, rules, &data).await.unwrap(), format!("{rules}-theirs"));
            let theirs = put(&store, &other, &data).await.unwrap();
            let Location::S3 { key, .. } = &theirs else { panic!("{theirs:?}") };
            peer.admin.put_object().bucket(&peer.bucket).key(key).body(b"other".to_vec().into()).send().await.unwrap();
            assert_eq!(remove(&store, &theirs, &data).await, Removed::Foreign, "{variable} {rules}");
            assert_eq!(remove(&store, &mine, &data).await, Removed::Deleted, "{variable} {rules}");
            assert!(!store.holds(&mine).await.unwrap(), "{variable} {rules}");
            assert_eq!(remove(&store, &mine, &data).await, Removed::Gone, "{variable} {rules}");
            peer.admin.head_object().bucket(&peer.bucket).key(key).send().await.unwrap();
        }
    }
}

/// Row 25: where the bucket keeps versions the very one is deleted, the newer stays, and no delete marker is left.
#[tokio::test]
async fn the_very_version_is_deleted() {
    for variable in ["LANDFALL_TEST_MINISTACK", "LANDFALL_TEST_MOTO"] {
        let peer = Peer::new(variable, "pruned").await;
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        peer.admin.put_bucket_versioning().bucket(&peer.bucket).versioning_configuration(on).send().await.unwrap();
        let store = peer.store();
        let (first, second) = (put(&store, "r", b"first").await.unwrap(), put(&store, "r", b"second!").await.unwrap());
        assert_eq!(remove(&store, &first, b"first").await, Removed::Deleted, "{variable}");
        assert!(!store.holds(&first).await.unwrap(), "{variable}");
        assert!(store.holds(&second).await.unwrap(), "{variable}");
        assert_eq!(remove(&store, &first, b"first").await, Removed::Gone, "{variable}");
        let listed = peer.admin.list_object_versions().bucket(&peer.bucket).send().await.unwrap();
        assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 0), "{variable}");
        assert_eq!(remove(&store, &second, b"second!").await, Removed::Deleted, "{variable}");
        let listed = peer.admin.list_object_versions().bucket(&peer.bucket).send().await.unwrap();
        assert_eq!((listed.versions().len(), listed.delete_markers().len()), (0, 0), "{variable}");
    }
}

/// Row 16: the first look at a bucket.
#[tokio::test]
async fn a_bucket_that_is_not_there_is_known_before_anything_is_sent() {
    for variable in PEERS {
        let peer = Peer::new(variable, "looked").await;
        peer.store().first_look().await.unwrap_or_else(|error| panic!("{variable}: {error}"));
        let error = peer.store_with("S", "there-is-no-such-bucket-either").first_look().await.unwrap_err();
        assert_eq!(error.failure().code, "revisions/no-such-bucket", "{variable}: {error}");
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
