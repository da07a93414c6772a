//! In whose name GitHub is asked, as the configuration says it.

use expect_test::expect;

use super::{HEAD, check_all, parse, place};

#[test]
fn apps_are_asked_for_in_their_order_and_the_one_for_all_last() {
    let dir = place();
    let app = |id: u32| format!("id = {id}\nprivate_key = {{ file = \"webhook-secret\" }}\n");
    let text = format!(
        "{HEAD}[github.app]\n{}[[github.apps]]\nrepositories = [\"Acme/*\"]\n{}installation = 7\n",
        app(1),
        app(2)
    );
    let github = parse(dir.path(), &text).unwrap().github;
    let told: Vec<_> = github.apps.iter().map(|it| (it.id, it.repositories.join(" "), it.installation)).collect();
    assert_eq!(told, [(2, "acme/*".into(), Some(7)), (1, "*/*".into(), None)]);
    assert!(github.apps[0].speaks_for("ACME/shop") && !github.apps[0].speaks_for("other/shop"));
    assert!(github.apps[1].speaks_for("other/shop"));
    check_all(
        "data_dir = \"d\"\n[github]\nwebhook_secrets = [{ file = \"webhook-secret\" }]\n[github.app]\n\
         private_key = \"-----BEGIN\"\n[[github.apps]]\nid = 5\nprivate_key = { file = \"gone\" }\n",
        0,
        expect![[r#"
            4:1+12 Error config/missing-key: `github.app.id` is missing
                add `id = NUMBER`: the App's settings on GitHub say which
            5:15+12 Error config/inline-secret: `github.app.private_key` holds a secret itself, expected where to find it
                put it into a file with mode 0600 and write `{ file = "path" }`, or `{ env = "NAME" }`
            6:1+15 Error config/missing-key: `github.apps.repositories` is missing
                add `repositories = ["owner/*"]`
            8:24+6 Error config/secret-unreadable: the secret file `DIR/gone` cannot be read: no such file or directory
                create it with mode 0600, owned by the user that landfall runs as
            Warning config/no-target: no target is configured: nothing will be deployed
                add a `[[target]]`; `landfall config docs` shows one
        "#]],
    );
}
