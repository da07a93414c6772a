//! What shells do with the words: completion at TAB, manual pages, tables in pipes.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::CommandFactory;
use landfall::clients::process::blocking_program;

use super::{Api, ID, landfall};

/// What bash offers where these words are typed, and TAB is pressed after the last one.
fn bash_offers(dir: &Path, words: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let script = format!(
        "set -eu\neval \"$({program} completions bash)\"\nfunction_of() {{ local it; it=$(complete -p landfall); \
         it=${{it#*-F }}; echo \"${{it%% *}}\"; }}\nCOMP_WORDS=({words}) COMP_CWORD={at} COMP_TYPE=9 COMPREPLY=()\n\
         $(function_of) landfall {last:?} ''\nprintf '%s\\n' ${{COMPREPLY[@]+\"${{COMPREPLY[@]}}\"}}\n",
        program = env!("CARGO_BIN_EXE_landfall"),
        words = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" "),
        at = words.len() - 1,
        last = words.last().unwrap(),
    );
    let ran = blocking_program("bash")
        .args(["--norc", "-c", &script])
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", dir)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "", "{words:?}: a word at TAB destroys what is typed");
    assert!(ran.status.success(), "{words:?}");
    String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).filter(|it| !it.is_empty()).collect()
}

#[test]
fn bash_completes_verbs_options_targets_and_ids() {
    let (api, dir) = (Api::start(), tempfile::tempdir().unwrap());
    let server = [("LANDFALL_URL", api.url.as_str()), ("LANDFALL_TOKEN", "t0ken")];
    let offers = |words: &[&str]| bash_offers(dir.path(), &[&["landfall"], words].concat(), &server);
    assert_eq!(offers(&["hist"]), ["history"]);
    assert!(!offers(&[""]).iter().any(|it| it == "exec-as"), "what is hidden stays so");
    assert_eq!(offers(&["deploy", ""])[..2], ["blog", "shop"]);
    assert_eq!(offers(&["lock", "sh"]), ["shop"]);
    assert_eq!(offers(&["redeploy", "01"]), [ID]);
    assert_eq!(offers(&["rollback", "blog", "--to", ""]), [ID]);
    assert_eq!(offers(&["status", ""])[..3], ["blog", "shop", ID]);
    assert_eq!(offers(&["history", "blog", "--state", "super"]), ["superseded"]);
    assert_eq!(offers(&["completions", "z"]), ["zsh"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a person waits is of the machine's own time")]
fn where_no_server_answers_the_configurations_targets_are_offered_at_once() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(landfall(dir.path(), &["init"]).exit, 0);
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for server in ["http://127.0.0.1:9", &url, "nonsense"] {
        let began = Instant::now();
        assert_eq!(bash_offers(dir.path(), &["landfall", "deploy", "s"], &[("LANDFALL_URL", server)]), ["site"]);
        assert!(began.elapsed() < Duration::from_secs(5), "{server}: {:?}", began.elapsed());
    }
    fs::write(dir.path().join("landfall.toml"), "this is no TOML").unwrap();
    assert_eq!(bash_offers(dir.path(), &["landfall", "deploy", "s"], &[]), Vec::<String>::new());
    let asked = landfall(dir.path(), &["completions", "csh"]);
    assert!(asked.exit == 2 && asked.talk.contains("[possible values: bash,"), "{}", asked.talk);
}

#[test]
fn every_verb_has_its_page_in_the_manual() {
    let dir = tempfile::tempdir().unwrap();
    let ran = landfall(dir.path(), &["man", "man1"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    for verb in landfall::cli::Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
        let page = dir.path().join(format!("man1/landfall-{}.1", verb.get_name()));
        let text = fs::read_to_string(&page).unwrap_or_else(|why| panic!("{}: {why}", page.display()));
        assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH OPTIONS"), "{}", page.display());
    }
    assert!(!dir.path().join("man1/landfall-exec-as.1").exists());
    let ran = landfall(dir.path(), &["man"]);
    assert!(ran.exit == 0 && ran.out.contains(".TH landfall 1"), "{}", ran.out);
    let ran = landfall(dir.path(), &["man", "/proc/nowhere"]);
    assert!(ran.exit == 3 && ran.talk.contains("help: name a directory"), "{}", ran.talk);
}
