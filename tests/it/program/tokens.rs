//! Letting others in, as an administrator does it at the terminal.

use super::{Place, Ran, says};

impl Place {
    fn with(&self, url: &str, token: &str, words: &[&str]) -> Ran {
        super::ran(self.program(words).env("LANDFALL_URL", url).env("LANDFALL_TOKEN", token))
    }
}

#[test]
fn a_token_is_made_used_and_revoked_and_the_trail_says_by_whom() {
    let place = Place::new();
    let server = place.serve();
    let admin = std::fs::read_to_string(place.path("data/token")).unwrap();
    let url = format!("http://{}", server.address);
    let words = ["token", "new", "mia", "--role", "deploy", "--target", "si*", "--for", "90d"];
    let made = place.with(&url, admin.trim(), &words);
    says(&made, 0, &["`mia` may use it", "It is not shown again"]);
    let token = made.out.trim().to_owned();
    assert!(token.starts_with("landfall_") && token.len() == 73, "the secret alone is on stdout: {token}");
    let read = place.with(&url, admin.trim(), &["token", "new", "wall", "--role", "read"]).out.trim().to_owned();

    says(&place.with(&url, &read, &["lock", "site"]), 2, &["`wall` has the role `read`, and this needs `deploy`"]);
    assert_eq!(place.with(&url, &token, &["lock", "site", "--reason", "fair"]).exit, 0);
    says(&place.with(&url, &token, &["upkeep"]), 2, &["this needs `admin`", "landfall token new"]);
    says(&place.with(&url, &token, &["token", "list"]), 2, &["this needs `admin`"]);

    let away: Vec<String> = server.log().lines().filter(|it| it.contains("turned away")).map(str::to_owned).collect();
    assert!(away.len() == 3 && away[0].contains("wall") && away[1].contains("mia"), "{away:?}");

    // It is known to the next process, too, and its secret is in nothing that was written.
    assert_eq!(server.terminate(), Some(0));
    let server = place.serve();
    let url = format!("http://{}", server.address);
    let status = place.with(&url, &token, &["status"]);
    assert!(status.exit == 0 && status.out.contains("locked by mia: fair"), "{}{}", status.out, status.talk);
    assert!(!server.log().contains(&token[9..]), "{}", server.log());
    let list = place.with(&url, admin.trim(), &["token", "list"]).out;
    let line = list.lines().find(|line| line.starts_with("mia")).unwrap();
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    assert_eq!(
        (words, line.contains("admin"), list.contains("the first start")),
        (vec!["mia", "deploy", "si*"], true, true),
        "{list}"
    );

    says(&place.with(&url, admin.trim(), &["token", "revoke", "mia"]), 0, &[]);
    says(&place.with(&url, &token, &["status"]), 3, &["does not know this token"]);
    let trail = place.with(&url, admin.trim(), &["audit"]).out;
    let told: Vec<&str> = trail.lines().skip(1).map(|line| line.split_once("  ").unwrap().1.trim()).collect();
    assert!(told[0].ends_with("revoked the token `mia`") && told[1].ends_with("asked to lock site"), "{trail}");
    assert!(told[3].contains("made the token `mia` with the role deploy for si* until"), "{trail}");
}
