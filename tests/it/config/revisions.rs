//! `[target.revisions]`: where a bucket is, and how objects are written into it.

use expect_test::expect;

use super::check;

fn with_bucket(more: &str) -> String {
    format!(
        "[[target]]\nname = \"shop\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n[target.engine]\nkind = \
         \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"p\"\nregion = \"eu-west-1\"\n\
         [target.revisions.s3]\nbucket = \"acme\"\n{more}"
    )
}

/// Row 16: the agents of a group fetch from their own region alone.
#[test]
fn a_bucket_in_another_region_than_its_group_is_found_row_16() {
    check(
        &with_bucket("region = \"us-east-1\"\n"),
        expect![[r#"
        12:10+11 Error config/region-mismatch: the bucket is in us-east-1, but the deployment group in eu-west-1: its agents cannot fetch from there
            name a bucket in eu-west-1; each region needs a bucket and a target of its own
    "#]],
    );
    // A server that is not AWS's calls its regions as it likes.
    check(&with_bucket("region = \"us-east-1\"\nendpoint_url = \"http://127.0.0.1:9000\"\n"), expect![[r#""#]]);
}

#[test]
fn how_objects_are_encrypted_tagged_and_reached_is_checked_row_24() {
    check(
        &with_bucket(
            "region = \"eu-west-1\"\nsse = \"aes\"\nkms_key = \"my key\"\ntags = { team = \"web\", \"aws:x\" = \"1\" }\n\
             expected_bucket_owner = \"acme\"\nassume_role = \"deployer\"\n",
        ),
        expect![[r#"
            13:7+5 Error config/bad-value: `s3.sse` cannot be `aes`
                use one of `s3`, `kms`
            14:11+8 Error config/bad-value: `my key` is not the name of a KMS key
                write its ARN, as in `arn:aws:kms:eu-west-1:123456789012:key/…`, its id, or `alias/NAME`
            15:34+3 Error config/bad-value: `aws:x` is not the key of a tag
                write 1 to 128 characters that do not begin with `aws:`
            16:25+6 Error config/bad-value: `acme` is not an AWS account
                write the twelve digits of the account that owns the bucket
            17:15+10 Error config/bad-value: `deployer` is not the ARN of a role
                write it as in `arn:aws:iam::123456789012:role/revisions`
        "#]],
    );
    check(
        &with_bucket(
            "region = \"eu-west-1\"\nsse = \"s3\"\nkms_key = \"alias/x\"\nbucket_key = true\nexternal_id = \"x\"\n",
        ),
        expect![[r#"
            14:11+9 Error config/bad-value: `kms_key` has no effect without `sse = "kms"`
                add `sse = "kms"`, or take it out
            15:14+4 Error config/bad-value: `bucket_key` has no effect without `sse = "kms"`
                add `sse = "kms"`, or take it out
            16:15+3 Error config/bad-value: `external_id` without `assume_role` has no effect
                add `assume_role`, or take it out
        "#]],
    );
    let eleven: Vec<String> = (0..10).map(|it| format!("t{it} = \"x\"")).collect();
    check(
        &with_bucket(&format!(
            "region = \"eu-west-1\"\ntag_for_codedeploy = true\ntags = {{ {} }}\n",
            eleven.join(", ")
        )),
        expect![[r#"
            14:8+102 Error config/bad-value: an object takes 10 tags, and these are 11
                leave some out; `tag_for_codedeploy` counts as one
        "#]],
    );
    check(
        &with_bucket(
            "region = \"eu-west-1\"\nsse = \"kms\"\nkms_key = \"arn:aws:kms:eu-west-1:123456789012:key/k\"\nbucket_key = true\n\
             tags = { team = \"web\" }\ntag_for_codedeploy = true\nexpected_bucket_owner = \"123456789012\"\n\
             assume_role = \"arn:aws:iam::123456789012:role/r\"\nexternal_id = \"x\"\n",
        ),
        expect![[r#""#]],
    );
}
