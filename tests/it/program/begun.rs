//! From nothing to a page that answers, with only what `landfall init` writes and says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Place;
use crate::bot::MAIN;

#[test]
fn what_init_writes_for_a_repository_on_this_machine_takes_a_push_to_its_end() {
    let place = Place::new();
    let (bare, hook) = (place.repo.bare(), place.repo.bare().join("hooks/post-receive"));
    fs::remove_file(place.path("landfall.toml")).unwrap();
    let ran = place.run(&["init", "--repository", &bare.display().to_string(), "--branch", "main"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);

    let server = place.serve_as(place.program(&["serve", "--listen", "127.0.0.1:0"]));
    let token = fs::read_to_string(place.path("landfall-data/token")).unwrap();
    let url = format!("http://{}", server.address);
    let next = || {
        let mut command = place.program(&["init"]);
        let ran = super::ran(command.env("LANDFALL_URL", &url).env("LANDFALL_TOKEN", token.trim()));
        assert_eq!(ran.exit, 0, "{}", ran.talk);
        ran.out
    };
    let said = next();
    let copied = format!("next: cp ./post-receive {}/\n", hook.parent().unwrap().display());
    assert!(said.contains("✓ bot") && said.ends_with(&copied), "{said}");

    // As it was written, but for the port, which this test cannot have.
    let text = fs::read_to_string(place.path("post-receive")).unwrap();
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, text.replace("127.0.0.1:8080", &server.address)).unwrap();
    fs::set_permissions(&hook, fs::metadata(place.path("post-receive")).unwrap().permissions()).unwrap();
    assert_eq!(fs::metadata(&hook).unwrap().permissions().mode() & 0o777, 0o755);
    let said = next();
    assert!(said.contains("✓ hook") && said.contains("next: git push origin main"), "{said}");

    place.let_go();
    place.repo.commit("Begin", &[("index.html", "one")]);
    place.repo.push(MAIN);
    super::until("the page is there", || fs::read_to_string(place.path("www/index.html")).ok());
    super::until("init has nothing left to say", || next().contains("all is done").then_some(()));
    server.terminate();
}
