//! What `landfall doctor` says of GitHub: permissions, webhooks, Apps and the clock.

use std::fs;

use jiff::SignedDuration;
use landfall::clients::Clock;
use serde_json::{Value, json};

use super::{Surroundings, complaints};
use crate::cli::landfall_with;
use crate::worlds::github::hooks::well;
use crate::worlds::github::oauth::{CLIENT, CLIENT_SECRET};

const DOOR: &str = "https://deploy.example.com/webhooks/github";
const SETTINGS: &str = "/acme/shop/settings/hooks/7";

/// Everything that is said of GitHub and is not well.
fn told(it: &Surroundings) -> Vec<String> {
    it.told(&[]).1
}

fn hook(change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = well(DOOR);
    change(&mut hook);
    hook
}

#[test]
fn a_webhook_that_will_bring_no_push_is_told_with_where_to_mend_it() {
    let it = Surroundings::well();
    for (hook, code, help) in [
        (hook(|it| it["active"] = json!(false)), "clients/hook-off", "tick Active at "),
        (hook(|it| it["events"] = json!(["issues"])), "clients/hook-without-pushes", "choose the event Push at "),
        (hook(|it| it["config"]["secret"] = Value::Null), "clients/hook-unsigned", "write one of the secrets here"),
        (hook(|it| it["config"]["insecure_ssl"] = json!("1")), "clients/hook-unchecked", "enable SSL verification at "),
        (well("https://old.example.com/webhooks/github"), "clients/hook-elsewhere", "correct it at "),
    ] {
        it.github.set_hook("acme/shop", hook);
        let told = told(&it);
        let [line] = &told[..] else { panic!("{told:?}") };
        assert!(line.contains(&format!("[{code}] | do: {help}")) && line.contains(SETTINGS), "{line}");
    }
    it.github.set_hook("acme/shop", well("https://other.example.com/ci"));
    let none = &told(&it)[0];
    assert!(none.contains(&format!("no webhook of `acme/shop` leads to {DOOR}")), "{none}");
    assert!(none.contains("[clients/no-hook] | do: add it at http://127.0.0.1:"), "{none}");
    assert!(none.contains("is seen with the permission Organization webhooks: read"), "{none}");
    it.github.set_hook("acme", hook(|it| it["active"] = json!(false)));
    let of_the_owner = &told(&it)[0];
    assert!(
        of_the_owner.contains("[clients/hook-off]") && of_the_owner.contains("/organizations/acme/settings/hooks/7")
    );
    it.github.set_hook("acme", well(DOOR));
    assert_eq!(told(&it), [""; 0], "an organisation's own will do");
    it.github.withhold("organization_hooks");
    assert!(told(&it)[0].contains("[clients/no-hook]"));
    it.github.set_hook("acme/shop", hook(|it| it["events"] = json!(["*"])));
    assert_eq!(told(&it), [""; 0], "all events are pushes too");
}

/// The secret itself is told to nobody; what the door answered says whether it fits.
#[test]
fn the_last_delivery_says_whether_the_secret_fits() {
    let it = Surroundings::well();
    it.github.set_delivery("acme/shop", 401, "Invalid HTTP Response: 401");
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (1, 1), "{told:?}");
    assert!(told[0].contains("(push at 2026-11-21T11:58:00Z) was refused: its secret is none of ours"), "{told:?}");
    assert!(told[0].contains("[clients/hook-secret] | do: write one of the secrets here into it at "), "{told:?}");
    it.github.set_delivery("acme/shop", 504, "timed out");
    let (exit, told) = it.told(&[]);
    assert_eq!(exit, 1);
    assert!(told[0].contains("was not taken: 504 timed out [clients/hook-unanswered] | do: see whether"), "{told:?}");
}

#[test]
fn a_token_that_may_not_look_at_webhooks_leaves_a_line_that_says_so() {
    let it = Surroundings::well();
    it.github.withhold("repository_hooks");
    let ran = it.doctor(&[]);
    assert_eq!((ran.exit, complaints(&ran.out)), (0, vec![]), "{}", ran.out);
    let line = "skip  webhook             whether `acme/shop` has one was not looked at: that takes the permission \
                Webhooks: read";
    assert!(ran.out.contains(line), "{}", ran.out);
}

#[test]
fn what_is_left_of_the_hours_requests_is_told() {
    let it = Surroundings::well();
    it.github.count(5_000, 4_000, Clock::system().now() + SignedDuration::from_hours(1));
    let ran = it.doctor(&[]);
    assert!(ran.exit == 0 && ran.out.contains("; 3999 of 5000 requests are left until 20"), "{}", ran.out);
}

#[test]
fn of_a_classic_token_the_scopes_are_told() {
    let it = Surroundings::well();
    it.github.set_scopes("repo, read:org");
    let ran = it.doctor(&[]);
    assert!(
        ran.out.contains("ok    permissions         the token has all it needs: `repo`, `read:org`"),
        "{}",
        ran.out
    );
    it.github.set_scopes("repo_deployment, read:repo_hook");
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (1, 2), "{told:?}");
    assert!(told[0].contains("the token lacks Contents: read for `acme/shop`"), "{told:?}");
    assert!(
        told[1].contains("lacks Commit statuses: write") && told[1].contains("| do: make a fine-grained"),
        "{told:?}"
    );
}

fn with_an_app(permissions: &[(&str, &str)]) -> Surroundings {
    let it = Surroundings::well();
    let key = it.github.app(4711);
    it.github.install(4711, "acme", permissions);
    it.edit("[[target]]", &format!("[github.app]\nid = 4711\nprivate_key = {{ file = {key:?} }}\n[[target]]"));
    it
}

#[test]
fn of_an_app_every_permission_is_known_and_its_own_webhook_serves_too() {
    let it = with_an_app(&[("contents", "read"), ("statuses", "write"), ("deployments", "write"), ("checks", "write")]);
    let ran = it.doctor(&[]);
    assert_eq!((ran.exit, complaints(&ran.out)), (0, vec![]), "{}", ran.out);
    for line in [
        "ok    GitHub App's key    the file ",
        "ok    GitHub              `acme/shop` (private) answers the App 4711",
        "ok    permissions         the App 4711 has all it needs: Contents: read, Commit statuses: write, Deployments: \
         write, Checks: write",
        "skip  webhook             whether `acme/shop` has one was not looked at",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    it.github.set_hook("4711", well(DOOR));
    let ran = it.doctor(&[]);
    assert!(ran.out.contains("ok    webhook             it leads here; nothing was sent yet"), "{}", ran.out);
    it.github.set_delivery("4711", 401, "Invalid HTTP Response: 401");
    let told = told(&it);
    assert!(told[0].contains("into it at https://github.com/apps/landfall-4711, and have"), "{told:?}");
}

#[test]
fn what_an_app_lacks_is_told_one_by_one() {
    let it = with_an_app(&[("contents", "read"), ("statuses", "read"), ("repository_hooks", "read")]);
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (0, 3), "its commits can be deployed even so: {told:?}");
    assert!(told[1].contains("lacks Deployments: write for `acme/shop`, and showing deployments takes it"), "{told:?}");
    assert!(told[2].contains("lacks Checks: write for `acme/shop`, and making check runs takes it"), "{told:?}");
    let text = "the App 4711 lacks Commit statuses: write for `acme/shop`, and setting commit statuses takes it \
                [clients/github-permission] | do: add it to the App's permissions";
    assert!(told[0].contains(text), "{told:?}");
}

#[test]
fn an_app_that_cannot_speak_is_told_with_what_to_do_and_without_any_secret() {
    let it = with_an_app(&[("contents", "read"), ("statuses", "write")]);
    let mut all = String::new();
    let mut fails_with = |code: &str| {
        let words = [("LANDFALL_LOG", "trace"), ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S")];
        let ran = landfall_with(it.dir.path(), &["doctor"], &words);
        assert!(ran.exit == 1 && ran.out.contains(&format!("[{code}]")), "{code}: {}", ran.out);
        all += &(ran.out + &ran.talk);
    };
    it.github.suspend(4711, "acme", true);
    fails_with("clients/github-app-suspended");
    it.github.suspend(4711, "acme", false);
    it.github.set_key(4711, 1);
    fails_with("clients/github-app-unknown");
    it.github.set_key(4711, 0);
    let ahead = Clock::system().now() + SignedDuration::from_mins(12);
    it.github.live_by(&Clock::manual(ahead));
    fails_with("clients/github-clock-skew");
    let clock = "[clients/clock-off]";
    assert!(it.doctor(&[]).out.lines().any(|line| line.contains(clock) && line.contains(" min behind GitHub's")));
    it.github.live_by(&Clock::system());
    it.github.uninstall(4711);
    fails_with("clients/github-app-not-installed");
    fs::write(it.github.app(4711), "no key\n").unwrap();
    fails_with("clients/github-app-key");
    for secret in it.github.secrets() {
        assert!(!all.contains(&secret), "a secret was told");
    }
}

/// Without a person GitHub says no more than whether the secret is right.
#[test]
fn the_secret_for_signing_in_is_shown_to_github() {
    let it = Surroundings::well();
    it.keep("client-secret", &format!("{CLIENT_SECRET}\n"));
    let rule = "[[login.allow]]\nrole = \"read\"\npeople = [\"ada\"]";
    it.configure(&format!(
        "[login]\nclient_id = \"{CLIENT}\"\nclient_secret = {{ file = \"client-secret\" }}\n{rule}\n"
    ));
    let ran = it.doctor(&[]);
    assert_eq!(complaints(&ran.out), [""; 0], "{}", ran.out);
    assert!(ran.out.contains("people come back to https://deploy.example.com/login/github"), "{}", ran.out);
    it.keep("client-secret", "another\n");
    let (exit, told) = it.told(&[]);
    assert_eq!((exit, told.len()), (1, 1), "{told:?}");
    assert!(told[0].contains(&format!("does not take the client id `{CLIENT}`")), "{told:?}");
    assert!(told[0].contains("[clients/login-credentials] | do: copy `client_id`"), "{told:?}");
    it.github.sign_in_is_down(true);
    assert!(it.told(&[]).1[0].contains("[clients/github-unavailable]"));
}
