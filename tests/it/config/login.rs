//! Who may sign in with GitHub, as the configuration says it.

use expect_test::expect;
use landfall::config::Config;
use landfall::domain::Role;

use super::{HEAD, check_all, parse, place};

const TARGET: &str = "[[target]]\nname = \"shop-production\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n[target.engine]\nkind = \"host\"\n";
const LOGIN: &str = "[login]\nclient_id = \"Iv1.x\"\nclient_secret = { env = \"TOKEN\" }\n";

fn config(url: &str, login: &str) -> Result<Config, landfall::domain::Findings> {
    parse(
        place().path(),
        &format!(
            "public_url = \"{url}\"\n{}{TARGET}{login}",
            HEAD.replace("file = \"webhook-secret\"", "env = \"TOKEN\"")
        ),
    )
}

#[test]
fn rules_are_read_in_their_order() {
    let rules = "[[login.allow]]\nrole = \"admin\"\nteams = [\"acme/operators\"]\n[[login.allow]]\nrole = \"deploy\"\n\
                 targets = [\"shop-*\"]\npeople = [\"ada\"]\norganizations = [\"acme\"]\n";
    let login = config("https://deploy.example.com/", &format!("{LOGIN}{rules}")).unwrap().login.unwrap();
    assert_eq!(login.callback, "https://deploy.example.com/login/github");
    let [admins, others] = &login.allow[..] else { panic!("{:?}", login.allow) };
    assert!(admins.role == Role::Admin && admins.teams[0].to_string() == "acme/operators" && admins.asks());
    assert!(others.role == Role::Deploy && others.names("Ada") && others.takes_all_of("acme"));
    assert_eq!(others.targets, ["shop-*".into()]);
    assert!(
        config("https://deploy.example.com", "").unwrap().login.is_none(),
        "nobody signs in with it unless asked for"
    );
}

#[test]
fn what_keeps_people_out_or_lets_too_many_in_is_found() {
    check_all(
        &format!("{HEAD}{TARGET}[login]\n"),
        0,
        expect![[r#"
        11:1+7 Error config/missing-key: `login` is there, and `public_url` is missing
            add `public_url = "https://…"` at the top: GitHub sends people back to it
        11:1+7 Error config/missing-key: `login.client_id` is missing
            add `client_id = "…"`
        11:1+7 Error config/missing-key: `login.client_secret` is missing
            add `client_secret = { env = "GITHUB_CLIENT_SECRET" }`: the App's settings at GitHub make one
        11:1+7 Error config/missing-key: `login.allow` is missing
            add `[[login.allow]]` with `role = "read"` and `teams`, `organizations` or `people`
    "#]],
    );
    let rules = "[[login.allow]]\nrole = \"reader\"\npeople = [\"ada\"]\n[[login.allow]]\nrole = \"read\"\n\
                 [[login.allow]]\nrole = \"read\"\ntargets = [\"shop-*\"]\nteams = [\"operators\"]\norganizations = [\"acme\", \"a b\"]\n\
                 [[login.allow]]\nrole = \"deploy\"\ntargets = [\"shpo-*\"]\nteams = [\"Acme/operators\"]\n";
    let text = format!("public_url = \"http://deploy.example.com\"\n{HEAD}{TARGET}{LOGIN}{rules}");
    check_all(
        &text,
        0,
        expect![[r#"
            12:1+7 Warning config/login-unencrypted: people who sign in are sent back to http://deploy.example.com/ unencrypted
                put a reverse proxy with TLS in front, and let `public_url` begin with `https://`
            16:8+8 Error config/bad-value: `login.allow.role` cannot be `reader`
                did you mean `read`?
            18:1+15 Error config/bad-value: `login.allow` lets nobody in
                add `teams`, `organizations` or `people`
            22:11+10 Error config/bad-value: `login.allow.targets` holds nobody of the role `read`
                take it out, or write `role = "deploy"`: who may read, may read everything
            23:10+11 Error config/bad-value: `login.allow.teams`: `operators` is not an organisation and the slug of a team of its, such as `acme/deployers`
            24:26+5 Error config/bad-value: `login.allow.organizations` is `a b`, which is no login at GitHub
                write the login alone, as in `octocat`
            27:12+8 Warning config/unknown-target: no target is `shpo-*`
                name a `[[target]]`, or several by a glob
            28:10+16 Warning config/unused: `Acme/operators` is let in by an earlier rule, and the first that fits counts
                take it out, or put this `[[login.allow]]` before the other
        "#]],
    );
}

#[test]
fn plain_http_is_for_this_machine_and_private_networks() {
    let rule = "[[login.allow]]\nrole = \"read\"\npeople = [\"ada\"]\n";
    let found = |url: &str| {
        let config = config(url, &format!("{LOGIN}{rule}")).unwrap();
        config.warnings.0.iter().any(|it| it.code == "config/login-unencrypted")
    };
    for near in
        ["http://localhost:8080", "http://127.0.0.1:8080", "http://192.168.1.5", "http://[::1]", "https://x.example"]
    {
        assert!(!found(near), "{near}");
    }
    for far in ["http://deploy.example.com", "http://203.0.113.7", "http://[2001:db8::1]"] {
        assert!(found(far), "{far}");
    }
}

/// Whoever signs in with GitHub is known by their login: nobody has to be named for approvals.
#[test]
fn approvals_need_no_names_where_people_sign_in() {
    let target = TARGET.replace("branches", "approvals = 2\nbranches");
    let with = |login: &str| {
        parse(
            place().path(),
            &format!(
                "public_url = \"https://x.example\"\n{}{target}{login}",
                HEAD.replace("file = \"webhook-secret\"", "env = \"TOKEN\"")
            ),
        )
    };
    let told = with("").unwrap_err().to_string();
    assert!(told.contains("`[people]` names 0"), "{told}");
    with(&format!("{LOGIN}[[login.allow]]\nrole = \"deploy\"\norganizations = [\"acme\"]\n")).unwrap();
}
