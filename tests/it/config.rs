//! The configuration as files have it: what is meant, and what is found.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

mod codedeploy;
mod gates;
mod github;
mod login;
mod on_github;
mod promotions;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use landfall::config::{Config, Environment, SecretRef};
use landfall::domain::{EngineSpec, RevisionsSpec, SourceSpec};
use tempfile::TempDir;

/// A directory with a webhook secret in it.
fn place() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webhook-secret");
    fs::write(&path, "it's a secret\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    dir
}

fn parse(dir: &Path, text: &str) -> Result<Config, landfall::domain::Findings> {
    Config::parse(text, dir.join("landfall.toml"), &Environment::of([("TOKEN", "t")]))
}

mod revisions;

const HEAD: &str =
    "data_dir = \"data\"\n[github]\ntoken = { env = \"TOKEN\" }\nwebhook_secrets = [{ file = \"webhook-secret\" }]\n";

/// Checks what is found in `rest`, below a head that is fine. Lines are counted from the first of `rest`.
fn check(rest: &str, expected: Expect) {
    check_all(&format!("{HEAD}{rest}"), 4, expected);
}

fn check_all(text: &str, skipped: u32, expected: Expect) {
    let dir = place();
    let findings = match parse(dir.path(), text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    let mut told = String::new();
    for finding in findings.0 {
        if let Some(place) = &finding.place {
            told += &format!("{}:{}+{} ", place.line - skipped, place.column, place.length);
        }
        told += &format!("{:?} {}: {}", finding.severity, finding.code, finding.message);
        told += &finding.help.map(|help| format!("\n    {help}")).unwrap_or_default();
        told += "\n";
    }
    let told = told.replace(dir.path().to_str().unwrap(), "DIR");
    expected.assert_eq(&told);
}

#[test]
fn the_least_configuration_deploys_to_this_machine() {
    let dir = place();
    let text = include_str!("../../config/landfall.min.toml");
    let config = Config::parse(text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
    assert_eq!(config.data_dir, dir.path().join("landfall-data"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.github.api_url, "https://api.github.com");
    assert_eq!(config.github.webhook_secrets, [SecretRef::File(dir.path().join("webhook-secret"))]);
    assert_eq!(config.github.webhook_secrets[0].read().unwrap().expose(), "it's a secret");
    assert_eq!(config.catch_up_every, Duration::from_secs(300));
    let target = &config.targets[0];
    assert_eq!(target.environment, "blog");
    assert_eq!(target.source, SourceSpec::GitHub);
    assert!(target.allow_forced && !target.deploy_on_start);
    assert_eq!(target.give_up_after(), Duration::from_secs(7200));
    assert_eq!(target.revisions, RevisionsSpec::Directory { path: config.data_dir.join("revisions") });
    let EngineSpec::Host(host) = &target.engine else { panic!("{target:?}") };
    assert_eq!((host.application.as_str(), host.deployment_group.as_str()), ("blog", "blog"));
    assert_eq!(host.root, config.data_dir.join("deployment-root"));
    assert_eq!(host.max_revisions, 5);
    let codes: Vec<&str> = config.warnings.0.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["config/no-token"]);
}

#[test]
fn an_enterprise_server_may_be_told_faster() {
    let dir = place();
    let least = include_str!("../../config/landfall.min.toml");
    let parse = |text: &str| Config::parse(text, dir.path().join("landfall.toml"), &Environment::default());
    assert_eq!(parse(least).unwrap().github.between_writes, None);
    let with = |value: &str| least.replacen("[github]", &format!("[github]\nbetween_writes = \"{value}\""), 1);
    assert_eq!(parse(&with("250ms")).unwrap().github.between_writes, Some(Duration::from_millis(250)));
    assert_eq!(parse(&with("0s")).unwrap().github.between_writes, Some(Duration::ZERO));
    let said = parse(&with("fast")).unwrap_err().to_string();
    assert!(said.contains("between_writes") && said.contains("fast"), "{said}");
}

#[test]
fn the_ledger_keeps_everything_unless_days_are_written() {
    let dir = place();
    let least = include_str!("../../config/landfall.min.toml");
    let with = |ledger: &str| {
        let text = least.replacen("[github]", &format!("[ledger]\n{ledger}\n[github]"), 1);
        Config::parse(&text, dir.path().join("landfall.toml"), &Environment::default())
    };
    assert_eq!(with("").unwrap().ledger.keep_days, None);
    assert_eq!(with("keep_days = 730").unwrap().ledger.keep_days, Some(730));
    let said = with("keep_days = 0").unwrap_err().to_string();
    assert!(said.contains("`ledger.keep_days` is 0"), "{said}");
}

#[test]
fn the_example_is_a_whole_configuration() {
    let dir = place();
    let secret = dir.path().join("webhook-secret").display().to_string();
    let text = landfall::config::EXAMPLE.replace("/etc/landfall/webhook-secret", &secret);
    let environment = Environment::of([("GITHUB_TOKEN", "t"), ("SLACK_WEBHOOK", "https://hooks.example.com/x")]);
    let config = Config::parse(&text, "landfall.toml", &environment).unwrap();
    assert!(config.warnings.0.is_empty(), "{}", config.warnings);
    assert_eq!(config.targets.len(), 2);
    let RevisionsSpec::S3(s3) = &config.targets[0].revisions else { panic!() };
    assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("acme-revisions", "shop"));
}

/// With every setting that is off turned on, the example has each key that there is, and none that there is not.
#[test]
fn the_example_names_every_key() {
    let mut shown = BTreeSet::new();
    for alternatives in [false, true] {
        let text = turned_on(landfall::config::EXAMPLE, alternatives);
        let table: toml::Table = toml::from_str(&text).unwrap();
        let instances = table["target"][0]["engine"]["target_instances"].to_string();
        assert_eq!(instances.contains("tag_groups"), alternatives, "{instances}");
        walk("", &toml::Value::Table(table), &mut shown);
    }
    let known: BTreeSet<String> = Config::keys().into_iter().collect();
    let missing: Vec<_> = known.difference(&shown).collect();
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the example: {missing:?}; not a key: {unknown:?}");
}

/// The example with what is off turned on; with the settings that a line `# or: …` gives instead of the one above, or
/// without.
fn turned_on(example: &str, alternatives: bool) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in example.lines() {
        match (line.strip_prefix("# or: "), line.strip_prefix('#')) {
            (Some(other), _) if alternatives => {
                let before = lines.pop().unwrap_or_default();
                assert_eq!(before.split(' ').next(), other.split(' ').next(), "one setting, said otherwise");
                lines.push(other);
            }
            (None, Some(setting)) if !setting.is_empty() && !setting.starts_with(' ') => lines.push(setting),
            (_, _) => lines.push(line),
        }
    }
    lines.join("\n")
}

fn walk(path: &str, value: &toml::Value, into: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) if !(table.contains_key("env") || table.contains_key("file")) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                // The names of people, of variables and of tags are a person's own.
                if !path.ends_with("people") && !path.ends_with(".variables") && !path.ends_with(".s3.tags") {
                    walk(&path, value, into);
                }
                into.insert(path);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| walk(path, item, into)),
        toml::Value::Table(_) | toml::Value::String(_) | toml::Value::Integer(_) => {}
        toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {}
    }
}

#[test]
fn everything_wrong_is_found_at_once_and_where() {
    check(
        r#"
[server]

listen = "8080"
[ledger]
reserve = "lots"
segment = "1kB"
[[target]]
name = "a b"
brnches = ["main"]
repository = "blog"
branches = ["re[lease", "refs/heads/main"]
on_new_push = "queue-lates"
give_up_after = "2 weeks"
notify = ["ops"]
[target.bundle]
root = "../x"
format = "rar"
[target.engine]
kind = "hosts"
[[target]]
name = "x"
repository = "acme/x"
source = { git = "ext::sh -c x" }
[target.engine]
kind = "host"
region = "eu-west-1"
max_revisions = 0
"#,
        expect![[r#"
            4:10+6 Error config/bad-value: `server.listen`: `8080` is not an address with its port, such as `127.0.0.1:8080` or `[::]:8080`
            6:11+6 Error config/bad-value: `ledger.reserve`: `lots` is not a size such as `256MiB`, `1GB` or a number of bytes
            7:11+5 Error config/bad-value: `ledger.segment` is under 64KiB
                leave it out, or write at least `64KiB`
            9:8+5 Error config/bad-value: `target.name`: `a b` is not a target name of 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit
            10:1+7 Error config/unknown-key: unknown key `target.brnches`
                did you mean `branches`?
            11:14+6 Error config/bad-value: `target.repository`: `blog` is not a repository as `owner/name`
            12:13+10 Error config/bad-glob: `re[lease` is not a pattern: unclosed character class; missing ']'
                `*` stands for anything up to a slash, `**` for anything, `[ab]` and `{a,b}` for one of them
            12:25+17 Error config/bad-glob: `refs/heads/main` never matches: names are matched without `refs/…`
                write `main`
            13:15+13 Error config/bad-value: `target.on_new_push` cannot be `queue-lates`
                did you mean `queue-latest`?
            14:17+9 Error config/bad-value: `target.give_up_after`: `2 weeks` is not a duration such as `90s`, `5min`, `2h` or `1h30m`
            15:11+5 Error config/unknown-chat: no chat is called `ops`
                add a `[[chat]]` with `name = "ops"`
            17:8+6 Error config/bad-value: `bundle.root` is `../x`, which is not a path within the repository
                write it relative to the repository, as in `web/site`
            18:10+5 Error config/bad-value: `bundle.format` cannot be `rar`
                did you mean `tar`?
            20:8+7 Error config/bad-value: `engine.kind` cannot be `hosts`
                did you mean `host`?
            21:1+10 Error config/no-rule: this target takes no push: it names neither branches nor tags
                add `branches = ["main"]` or `tags = ["v*"]`
            24:18+14 Error config/bad-value: `ext::sh -c x` is not the URL of a git repository
                write `source = { git = "file:///srv/git/blog.git" }`, or leave it out for GitHub
            27:10+11 Error config/unknown-key: `region` belongs to engines of kind `codedeploy`
                take it out, or change `kind`
            28:17+1 Error config/bad-value: `max_revisions` is 0
                write at least 1; the default is 5
        "#]],
    );
}

#[test]
fn topics_of_sns_are_checked_and_heard_with_what_sns_does_by_itself() {
    check(
        r#"
[sns]
topics = ["landfall", "arn:aws:sns:eu-west-1:123456789012:a.fifo", "arn:aws:sns:eu-west-1:123456789012:a", "arn:aws:sns:eu-west-1:123456789012:a"]
topic = "x"
allow_signature_v1 = "yes"
"#,
        expect![[r#"
            3:11+10 Error config/bad-value: `sns.topics`: `landfall` is not the address of an SNS topic, such as `arn:aws:sns:eu-west-1:123456789012:landfall`
            3:23+43 Error config/bad-value: `sns.topics`: `arn:aws:sns:eu-west-1:123456789012:a.fifo` is not a standard topic: SNS delivers no FIFO topic over HTTPS
            3:108+38 Error config/bad-value: `arn:aws:sns:eu-west-1:123456789012:a` is named twice
                name each topic once
            4:1+5 Error config/unknown-key: unknown key `sns.topic`
                did you mean `topics`?
            5:22+5 Error config/wrong-type: `sns.allow_signature_v1` is a string, expected `true` or `false`
            Warning config/no-target: no target is configured: nothing will be deployed
                add a `[[target]]`; `landfall config docs` shows one
        "#]],
    );
    let dir = place();
    let sns = |lines: &str| parse(dir.path(), &format!("{HEAD}{lines}"));
    assert_eq!(sns("").unwrap().sns.topics, []);
    let topics = "[sns]\ntopics = [\"arn:aws:sns:eu-west-1:123456789012:a\"]\n";
    let heard = sns(topics).unwrap().sns;
    assert!(heard.topics.len() == 1 && heard.allow_signature_v1 && heard.confirm, "{heard:?}");
    let strict = sns(&format!("{topics}allow_signature_v1 = false\nconfirm = false\n")).unwrap().sns;
    assert!(!strict.allow_signature_v1 && !strict.confirm, "{strict:?}");
}

#[test]
fn two_targets_may_share_neither_name_nor_destination() {
    let target = |name, engine| {
        format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"acme/blog\"\nbranches = [\"main\"]\n[target.engine]\n{engine}\n"
        )
    };
    let host = "kind = \"host\"\ndeployment_group = \"web\"";
    check(
        &(target("a", host) + &target("a", "kind = \"host\"")),
        expect![[r#"
        9:8+3 Error config/name-taken: a target `a` exists already
            give each target a name of its own
    "#]],
    );
    check(
        &(target("a", host) + &target("b", host)),
        expect![[r#"
        12:1+15 Error config/destination-taken: target `a` deploys to this place already: host DIR/data/deployment-root blog/web
            give each target a deployment group of its own, or one target both rules
    "#]],
    );
    // Whatever else is wrong with one of them, where it deploys to may be known.
    let named = "kind = \"host\"\napplication = \"blog\"\ndeployment_group = \"web\"";
    check(
        &(target("a", named).replace("acme/blog", "acme") + &target("b c", named)),
        expect![[r#"
        3:14+6 Error config/bad-value: `target.repository`: `acme` is not a repository as `owner/name`
        10:8+5 Error config/bad-value: `target.name`: `b c` is not a target name of 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit
        13:1+15 Error config/destination-taken: target `a` deploys to this place already: host DIR/data/deployment-root blog/web
            give each target a deployment group of its own, or one target both rules
    "#]],
    );
    let fleet = "kind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"p\"\nregion = \"eu-west-1\"";
    check(
        &(target("a", fleet) + &target("b", fleet)),
        expect![[r#"
        1:1+10 Error config/no-bucket: CodeDeploy fetches revisions from S3, and this target keeps none there
            add `[target.revisions]` with `s3 = { bucket = "…", region = "…" }`; for Lambda and ECS, whose revision is the AppSpec itself, write `platform = "lambda"` or `platform = "ecs"` under `[target.engine]`
        10:1+10 Error config/no-bucket: CodeDeploy fetches revisions from S3, and this target keeps none there
            add `[target.revisions]` with `s3 = { bucket = "…", region = "…" }`; for Lambda and ECS, whose revision is the AppSpec itself, write `platform = "lambda"` or `platform = "ecs"` under `[target.engine]`
        14:1+15 Error config/destination-taken: target `a` deploys to this place already: codedeploy eu-west-1 own account shop/p
            give each target a deployment group of its own, or one target both rules
    "#]],
    );
    // An address that cannot be read leaves it open which account is meant.
    let elsewhere = format!("{fleet}\nendpoint_url = \"nowhere\"");
    check(
        &(target("a", fleet) + &target("b", &elsewhere)),
        expect![[r#"
        1:1+10 Error config/no-bucket: CodeDeploy fetches revisions from S3, and this target keeps none there
            add `[target.revisions]` with `s3 = { bucket = "…", region = "…" }`; for Lambda and ECS, whose revision is the AppSpec itself, write `platform = "lambda"` or `platform = "ecs"` under `[target.engine]`
        10:1+10 Error config/no-bucket: CodeDeploy fetches revisions from S3, and this target keeps none there
            add `[target.revisions]` with `s3 = { bucket = "…", region = "…" }`; for Lambda and ECS, whose revision is the AppSpec itself, write `platform = "lambda"` or `platform = "ecs"` under `[target.engine]`
        19:16+9 Error config/bad-value: `engine.endpoint_url`: `nowhere` is not a web address such as `https://deploy.example.com`
    "#]],
    );
}

#[test]
fn codedeploy_needs_a_bucket_unless_the_appspec_is_all() {
    let target = |more: &str| {
        format!(
            "[[target]]\nname = \"shop\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n{more}\n[target.engine]\n\
             kind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"p\"\nregion = \"eu-west-1\"\n"
        )
    };
    check(
        &target(""),
        expect![[r#"
        1:1+10 Error config/no-bucket: CodeDeploy fetches revisions from S3, and this target keeps none there
            add `[target.revisions]` with `s3 = { bucket = "…", region = "…" }`; for Lambda and ECS, whose revision is the AppSpec itself, write `platform = "lambda"` or `platform = "ecs"` under `[target.engine]`
    "#]],
    );
    check(&target("revision = \"github\""), expect![[r#""#]]);
    check(&target("revision = \"appspec\""), expect![[r#""#]]);
    let of = |platform: &str| target("") + &format!("platform = \"{platform}\"\n");
    check(&of("lambda"), expect![[r#""#]]);
    check(&of("ecs"), expect![[r#""#]]);
    check(
        &target("[target.revisions]\ns3 = { bucket = \"s3://b\", region = \"eu-west-1\" }"),
        expect![[r#"
        6:17+8 Error config/bad-value: `s3://b` is not the name of a bucket
            write the bucket's name alone, without `s3://` and without a path
    "#]],
    );
    check(&target("[target.revisions]\ns3 = { bucket = \"acme\", region = \"eu-west-1\" }"), expect![[r#""#]]);
}

#[test]
fn secrets_are_references_and_must_be_there() {
    check_all(
        "",
        0,
        expect![[r#"
        Error config/missing-key: `data_dir` is missing
            add `data_dir = "/var/lib/landfall"` at the top: the ledger, revisions and tokens lie there
        Error config/no-webhook-secret: no webhook secret is configured: anyone could deploy, so landfall does not start
            make one with `openssl rand -hex 32 > webhook-secret`, give it to GitHub's webhook, and write `webhook_secrets = [{ file = "webhook-secret" }]` under `[github]`; or run `landfall init`
        Warning config/no-target: no target is configured: nothing will be deployed
            add a `[[target]]`; `landfall config docs` shows one
    "#]],
    );
    check_all(
        "data_dir = \"d\"\n[github]\nwebhook_secrets = []\n",
        0,
        expect![[r#"
        3:19+2 Error config/no-webhook-secret: no webhook secret is configured: anyone could deploy, so landfall does not start
            make one with `openssl rand -hex 32 > webhook-secret`, give it to GitHub's webhook, and write `webhook_secrets = [{ file = "webhook-secret" }]` under `[github]`; or run `landfall init`
        Warning config/no-target: no target is configured: nothing will be deployed
            add a `[[target]]`; `landfall config docs` shows one
    "#]],
    );
    check_all(
        "data_dir = \"d\"\n[github]\ntoken = \"ghp_x\"\nwebhook_secrets = [{ file = \"gone\" }, { env = \"GONE\" }, {}, { flie = \"x\" }]\n",
        0,
        expect![[r#"
            3:9+7 Error config/inline-secret: `github.token` holds a secret itself, expected where to find it
                put it into a file with mode 0600 and write `{ file = "path" }`, or `{ env = "NAME" }`
            4:29+6 Error config/secret-unreadable: the secret file `DIR/gone` cannot be read: no such file or directory
                create it with mode 0600, owned by the user that landfall runs as
            4:47+6 Error config/secret-unset: the environment variable `GONE` is not set
                set it in the environment of the service, or name a file instead: `{ file = "…" }`
            4:57+2 Error config/bad-value: a secret lies in one place, a file or a variable
                write `{ file = "path" }` or `{ env = "NAME" }`
            4:61+14 Error config/bad-value: a secret lies in one place, a file or a variable
                write `{ file = "path" }` or `{ env = "NAME" }`
            4:63+4 Error config/unknown-key: unknown key `github.webhook_secrets.flie`
                did you mean `file`?
            Warning config/no-target: no target is configured: nothing will be deployed
                add a `[[target]]`; `landfall config docs` shows one
        "#]],
    );
    check_all(
        "data_dir = \"d\"\n[[github.hooks]]\nrepositories = [\"acme/*\", \"acme\"]\nsecrets = [{ file = \"webhook-secret\" }]\n\
         [[target]]\nname = \"x\"\nrepository = \"other/x\"\nbranches = [\"main\"]\nengine = { kind = \"host\" }\n",
        0,
        expect![[r#"
            3:27+6 Error config/bad-value: `acme` is not a pattern for `owner/name`
                write it as `owner/name` or `owner/*`
            7:14+9 Warning config/no-secret-for-target: no webhook secret speaks for `other/x`: its pushes are refused
                add its name to a `[[github.hooks]]`, or a secret to `webhook_secrets`
            7:14+9 Warning config/no-token: without `github.token` or `[github.app]` no commit status is sent and private repositories cannot be read
                write `token = { env = "GITHUB_TOKEN" }` under `[github]`, or make a GitHub App
        "#]],
    );
}

#[test]
fn a_secret_that_everybody_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let dir = place();
    fs::set_permissions(dir.path().join("webhook-secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let config = parse(dir.path(), HEAD).unwrap();
    assert!(config.warnings.to_string().contains("every user of this machine can read"), "{}", config.warnings);
}

#[test]
fn broken_syntax_is_found_without_what_would_follow_from_it() {
    check_all(
        "data_dir = \"d\nlisten = 5\n[github\nx = \n",
        0,
        expect![[r#"
            1:14+1 Error config/syntax: invalid basic string, expected `"`
                see https://toml.io for how TOML is written
            3:8+1 Error config/syntax: unclosed table, expected `]`
                see https://toml.io for how TOML is written
        "#]],
    );
}

#[test]
fn a_chat_that_nobody_knows_is_told() {
    check(
        "[[chat]]\nname = \"ops\"\nkind = \"irc\"\nwebhook = { env = \"TOKEN\" }\n",
        expect![[r#"
            3:8+5 Error config/bad-value: `chat.kind` cannot be `irc`
                use one of `slack`, `discord`, `mattermost`, `teams`, `email`, `webhook`
            Warning config/no-target: no target is configured: nothing will be deployed
                add a `[[target]]`; `landfall config docs` shows one
        "#]],
    );
}

#[test]
fn variables_win_over_the_file_and_strange_ones_are_told() {
    let dir = place();
    let environment = Environment::of([
        ("TOKEN", "t"),
        ("LANDFALL_DATA_DIR", "/var/lib/elsewhere"),
        ("LANDFALL_LISTEN", "0.0.0.0:1"),
        ("LANDFALL_PUBLIC_URL", "https://x.example.com/"),
        ("LANDFALL_LITSEN", "0.0.0.0:2"),
        ("LANDFALL_TEST_SEAM", "x"),
        ("LANDFALL_PORT_8080_TCP", "kubernetes makes these"),
    ]);
    let config = Config::parse(HEAD, dir.path().join("landfall.toml"), &environment).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/elsewhere"));
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:1");
    assert_eq!(config.public_url.as_deref(), Some("https://x.example.com"));
    let told = config.warnings.to_string();
    assert!(
        told.contains("unknown environment variable `LANDFALL_LITSEN` (did you mean `LANDFALL_LISTEN`?)"),
        "{told}"
    );
    assert!(!told.contains("TEST_SEAM") && !told.contains("8080_TCP"), "{told}");
    let environment = Environment::of([("TOKEN", "t"), ("LANDFALL_LISTEN", "nowhere")]);
    let findings = Config::parse(HEAD, dir.path().join("landfall.toml"), &environment).unwrap_err();
    assert!(findings.to_string().contains("the variable `LANDFALL_LISTEN`: `nowhere` is not an address"), "{findings}");
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let findings = Config::load(Path::new("/nowhere/landfall.toml"), &Environment::default()).unwrap_err();
    let told = "the configuration `/nowhere/landfall.toml` cannot be read: no such file or directory \
                (name another file with `-c FILE`, or write one with `landfall init`)";
    assert_eq!(findings.to_string(), told);
}
