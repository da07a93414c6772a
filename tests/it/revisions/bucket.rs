//! What a bucket is told of encryption, tags and its owner, what its answers mean, and what is swept from it.

use bytes::Bytes;
use landfall::domain::{Encryption, Location, S3Spec, TargetName};

use super::{KEY, MIB, bytes, key, sha256, store};
use crate::worlds::s3::{Buckets, spec_at, store_of};

/// What every write says about encryption, tags and the bucket's owner; parts say the owner alone.
#[tokio::test]
async fn an_object_is_encrypted_and_tagged_as_configured_and_every_call_names_the_owner_row_16() {
    let s3 = Buckets::start();
    s3.belongs_to("123456789012");
    let spec = S3Spec {
        sse: Some(Encryption::Kms),
        kms_key: Some("alias/revisions".into()),
        bucket_key: true,
        tags: [("team".to_owned(), "web & shop+".to_owned())].into(),
        tag_for_codedeploy: true,
        expected_bucket_owner: Some("123456789012".into()),
        ..spec_at(s3.url())
    };
    let here = store_of(&spec);
    let home = tempfile::tempdir().unwrap();
    for length in [9, 17 * MIB] {
        let location = store(&here, &bytes(length)).await.unwrap();
        assert!(here.holds(&location).await.unwrap());
        here.fetch(&location, &sha256(&bytes(length)), &home.path().join("copy")).await.unwrap();
    }
    let mut dropped = here.begin(&key());
    dropped.write(Bytes::from(bytes(17 * MIB))).await.unwrap();
    dropped.abort().await;
    for call in ["put", "begin"] {
        let headers = s3.headers(call);
        assert_eq!(headers["x-amz-server-side-encryption"], "aws:kms", "{call}");
        assert_eq!(headers["x-amz-server-side-encryption-aws-kms-key-id"], "alias/revisions", "{call}");
        assert_eq!(headers["x-amz-server-side-encryption-bucket-key-enabled"], "true", "{call}");
        assert_eq!(headers["x-amz-tagging"], "UseWithCodeDeploy=true&team=web%20%26%20shop%2B", "{call}");
    }
    for call in ["put", "begin", "part 1", "part 2", "complete", "head", "get", "abort"] {
        assert_eq!(s3.headers(call)["x-amz-expected-bucket-owner"], "123456789012", "{call}");
    }
    assert!(!s3.headers("part 1").contains_key("x-amz-server-side-encryption"), "S3 refuses it on a part");
}

#[tokio::test]
async fn what_is_not_configured_is_not_sent() {
    let s3 = Buckets::start();
    store(&s3.store(), b"x").await.unwrap();
    let headers = s3.headers("put");
    let sent: Vec<_> = headers.keys().filter(|it| it.contains("encryption") || it.contains("tagging")).collect();
    assert!(sent.is_empty() && !headers.contains_key("x-amz-expected-bucket-owner"), "{headers:?}");
    let s3 = Buckets::start();
    store(&store_of(&S3Spec { sse: Some(Encryption::S3), ..spec_at(s3.url()) }), b"x").await.unwrap();
    assert_eq!(s3.headers("put")["x-amz-server-side-encryption"], "AES256");
}

#[tokio::test]
async fn a_bucket_of_another_owner_is_refused_and_the_setting_named() {
    let s3 = Buckets::start();
    s3.belongs_to("999999999999");
    let spec = S3Spec { expected_bucket_owner: Some("123456789012".into()), ..spec_at(s3.url()) };
    let failure = store(&store_of(&spec), b"x").await.unwrap_err().failure();
    assert_eq!(failure.code, "revisions/access-denied");
    assert!(
        failure.help.as_ref().unwrap().contains("belongs to 123456789012 as `expected_bucket_owner`"),
        "{failure:?}"
    );
    assert_eq!(s3.keys(), Vec::<String>::new());
}

/// Row 17: what is pinned is what CodeDeploy is given: no quotes, whatever the eTag means.
#[tokio::test]
async fn an_etag_is_pinned_without_quotes_and_never_taken_for_a_digest_row_17() {
    let s3 = Buckets::start();
    let here = s3.store();
    let location = store(&here, &bytes(9 * MIB)).await.unwrap();
    let Location::S3 { etag, version, .. } = &location else { panic!("{location:?}") };
    assert_eq!((etag.as_deref(), version.as_deref()), (Some("etag-9437184-2"), Some("v1")));
    let second = store(&here, &bytes(9 * MIB + 1)).await.unwrap();
    // The version is pinned, too: the first is still there beside the second.
    assert!(here.holds(&location).await.unwrap() && here.holds(&second).await.unwrap());
    let home = tempfile::tempdir().unwrap();
    here.fetch(&location, &sha256(&bytes(9 * MIB)), &home.path().join("copy")).await.unwrap();
}

#[tokio::test]
async fn an_object_in_an_archive_counts_as_not_there_and_says_why_it_cannot_be_read() {
    let s3 = Buckets::start();
    let here = s3.store();
    let location = store(&here, b"data").await.unwrap();
    s3.moves(&format!("shop/{KEY}"), "GLACIER");
    assert!(!here.holds(&location).await.unwrap());
    s3.fails("get", 403, "InvalidObjectState", 1);
    let home = tempfile::tempdir().unwrap();
    let failure = here.fetch(&location, &sha256(b"data"), &home.path().join("copy")).await.unwrap_err().failure();
    assert_eq!(failure.code, "revisions/archived");
    assert!(failure.message.contains("was moved to an archive (Glacier)"), "{failure}");
    s3.moves(&format!("shop/{KEY}"), "STANDARD_IA");
    assert!(here.holds(&location).await.unwrap());
}

/// S3's wrong answers, told for the person who has to act.
#[tokio::test]
async fn wrong_answers_are_told_well() {
    let denied = "<Message>User: arn:aws:sts::1:assumed-role/bot/i is not authorized to perform: kms:Decrypt on resource: \
                  arn:aws:kms:eu-west-1:1:key/k</Message>";
    let skewed = "<Message>too skewed</Message><RequestTime>20261121T100000Z</RequestTime>\
                  <ServerTime>2026-11-21T11:00:00Z</ServerTime>";
    let malformed = "<Message>the region is wrong</Message><Region>us-west-2</Region>";
    for (status, code, says, expected, passing, message, help) in [
        (
            403,
            "AccessDenied",
            denied,
            "revisions/kms-denied",
            false,
            "the key of bucket `revisions` refused `kms:Decrypt` for `shop/",
            "kms:GenerateDataKey and kms:Decrypt",
        ),
        (
            400,
            "KMS.DisabledException",
            "<Message>disabled</Message>",
            "revisions/kms-unusable",
            false,
            "cannot be used: KMS.DisabledException: disabled",
            "enable the key",
        ),
        (
            403,
            "RequestTimeTooSkewed",
            skewed,
            "revisions/clock-skew",
            true,
            "it said 20261121T100000Z when the server's said 2026-11-21T11:00:00Z",
            "timedatectl",
        ),
        (
            403,
            "RequestTimeTooSkewed",
            "<Message>skew</Message>",
            "revisions/clock-skew",
            true,
            "clock is wrong: RequestTimeTooSkewed: skew",
            "timedatectl",
        ),
        (
            400,
            "AuthorizationHeaderMalformed",
            malformed,
            "revisions/wrong-region",
            false,
            "`revisions` is not in eu-west-1, but in us-west-2",
            "set `s3.region` in [target.revisions] to us-west-2",
        ),
        (
            400,
            "EntityTooLarge",
            "<Message>too large</Message>",
            "revisions/too-large",
            false,
            "is larger than its bucket takes",
            "`exclude`",
        ),
        (400, "ExpiredToken", "<Message>expired</Message>", "revisions/credentials-expired", true, "ran out", "renew"),
        (503, "SlowDown", "<Message>slow down</Message>", "revisions/unavailable", true, "SlowDown: slow down", ""),
    ] {
        for (call, length) in [("put", 9), ("begin", 9 * MIB)] {
            let s3 = Buckets::start();
            // The SDK itself asks again three times in all.
            (0..3).for_each(|_| s3.fails_saying(call, status, code, says));
            let failure = store(&s3.store(), &bytes(length)).await.unwrap_err().failure();
            assert_eq!((failure.code.as_str(), failure.passing), (expected, passing), "{code}: {failure}");
            assert!(failure.message.contains(message), "{code}: {failure}");
            assert!(failure.help.unwrap_or_default().contains(help), "{code}");
            assert_eq!((s3.keys().len(), s3.unfinished()), (0, 0));
        }
    }
}

#[tokio::test]
async fn uploads_that_nobody_will_end_are_swept_and_no_others() {
    let s3 = Buckets::start();
    let here = s3.store();
    let old = "2026-01-01T00:00:00Z";
    for number in 0..5 {
        s3.left_unfinished(
            &format!("shop/blog/{number}123456789abcdef0123456789abcdef01234567-00112233aabbccdd.tgz"),
            old,
        );
    }
    // Young, another target's, another program's, and one outside of the prefix.
    s3.left_unfinished(&format!("shop/{KEY}"), "2026-01-02T00:00:01Z");
    let others = [
        "shop/blog-two/0123456789abcdef0123456789abcdef01234567-00112233aabbccdd.tgz",
        "shop/blog/backup.tgz",
        "shop/blog/0123456789abcdef0123456789abcdef01234567-notours.tgz",
        "blog/0123456789abcdef0123456789abcdef01234567-00112233aabbccdd.tgz",
    ];
    others.iter().for_each(|key| s3.left_unfinished(key, old));
    // This world calls every upload begun long ago: ours is known by its id.
    let mut open = here.begin(&key());
    open.write(Bytes::from(bytes(17 * MIB))).await.unwrap();
    let before = "2026-01-02T00:00:00Z".parse().unwrap();
    let swept = here.sweep(&TargetName::parse("blog").unwrap(), before).await.unwrap();
    assert_eq!(swept.len(), 5, "{swept:?}");
    let mut left = s3.unfinished_keys();
    left.sort();
    let mut expected = others.map(str::to_owned).to_vec();
    expected.extend([format!("shop/{KEY}"), format!("shop/{KEY}")]);
    expected.sort();
    assert_eq!(left, expected);
    open.finish(&sha256(&bytes(17 * MIB))).await.unwrap();
    assert!(s3.calls().iter().all(|it| !it.starts_with("uploads ") || it == "uploads shop/blog/"));
}

#[tokio::test]
async fn a_sweep_that_is_not_allowed_names_the_action_and_the_bucket() {
    let s3 = Buckets::start();
    s3.fails("uploads", 403, "AccessDenied", 1);
    let swept = s3.store().sweep(&TargetName::parse("blog").unwrap(), "2026-01-02T00:00:00Z".parse().unwrap()).await;
    let failure = swept.unwrap_err().failure();
    assert_eq!(failure.code, "revisions/access-denied");
    let help = failure.help.unwrap();
    assert!(
        help.starts_with("give the bot's role s3:ListBucketMultipartUploads on arn:aws:s3:::revisions ("),
        "{help}"
    );
}
