//! What a hostile AppSpec may cost: bounded memory, bounded depth, no more time than its length asks for.

use std::time::{Duration, Instant};

use landfall::appspec::{MOST_BYTES, parse, parse_bytes};

use super::{HEAD, check_body};

fn refused(text: &str) -> String {
    let (spec, findings) = parse(text, "appspec.yml");
    assert!(spec.is_none() && findings.refuse(), "{findings}");
    findings.errors().next().unwrap().message.clone()
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("version: 0.0\nos: linux\na0: &a0 [x]\n");
    for level in 1..40 {
        text += &format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\n", level - 1);
    }
    assert!(refused(&text).contains("more nesting or aliases"));
}

#[test]
fn nesting_is_bounded_however_it_is_written() {
    let deep = "[".repeat(100_000);
    assert!(refused(&format!("{HEAD}files: {deep}")).contains("not YAML"));
    let mut block = String::from(HEAD);
    (0..200).for_each(|level| block += &format!("{}a:\n", " ".repeat(level)));
    assert!(refused(&block).contains("more nesting or aliases"));
    let mut chained = String::from("a0: &a0 x\n");
    for level in 1..200 {
        chained += &format!("a{level}: &a{level} [[[[*a{}]]]]\n", level - 1);
    }
    assert!(refused(&chained).contains("more nesting or aliases"));
}

#[test]
fn lists_are_bounded() {
    let files = |count: usize| format!("{HEAD}files:\n{}", "  - source: x\n    destination: /d\n".repeat(count));
    assert!(parse(&files(2000), "appspec.yml").0.is_some());
    assert!(refused(&files(2001)).contains("`files` has 2001 items, and 2000 is the limit"));
}

#[test]
fn aliases_and_merges_are_read_and_told_as_not_portable() {
    check_body(
        "1.2 merge",
        "hooks:\n  AfterInstall:\n    - &a\n      location: a.sh\n      timeout: 5\n    - <<: *a\n      location: b.sh\n",
        &["Portability alias 8:11"],
    );
    let text = format!(
        "{HEAD}hooks:\n  AfterInstall:\n    - &a {{location: a.sh, timeout: 5}}\n    - {{<<: *a, location: b.sh}}\n"
    );
    let spec = parse(&text, "appspec.yml").0.unwrap();
    let scripts = spec.server().unwrap().scripts_of("AfterInstall");
    assert_eq!((scripts[1].location.as_str(), scripts[1].timeout), ("b.sh", Some(Duration::from_secs(5))));
}

#[test]
fn tags_are_told() {
    check_body("core tag", "hooks: !!map {}\n", &["Portability tag 3:8"]);
    check_body("local tag", "files:\n  - source: !Ref x\n    destination: /d\n", &["Error tag 4:13"]);
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    let told = |bytes: &[u8]| parse_bytes(bytes, "appspec.yml").1.to_string();
    assert_eq!(
        told(b"version: 0.0\nos: l\xe9nux\n"),
        "appspec.yml:2:6: the file is not UTF-8 text: byte 18 is 0xe9 (save it as UTF-8)"
    );
    assert!(told(b"\xff\xfev\0e\0").contains("the file is UTF-16"));
    assert!(parse_bytes(HEAD.as_bytes(), "appspec.yml").0.is_some());
}

/// Texts that grow with `n`, each of which some reader of YAML takes quadratic time for.
fn growing(n: usize) -> Vec<(&'static str, String)> {
    let lines = |make: &dyn Fn(usize) -> String| (0..n).map(make).collect::<String>();
    vec![
        ("other keys", HEAD.to_owned() + &lines(&|at| format!("k{at}: x\n"))),
        ("the same key", HEAD.to_owned() + &"version: 0.0\n".repeat(n)),
        ("files", format!("{HEAD}files:\n{}", "  - source: x\n    destination: /d\n".repeat(n))),
        ("torn items", format!("{HEAD}files:\n{}", "  - source: x\n".repeat(n))),
        ("events", format!("{HEAD}hooks:\n{}", lines(&|at| format!("  E{at}:\n    - location: a\n")))),
        ("objects", format!("{HEAD}permissions:\n{}", lines(&|at| format!("  - object: /x{at}\n    mode: 0644\n")))),
        ("tabs", format!("{HEAD}{}", "\t- x\n".repeat(n))),
        ("anchors", HEAD.to_owned() + &lines(&|at| format!("a{at}: &a{at} x\n"))),
        ("flow", format!("{HEAD}files: [{}]", "{source: x, destination: /d},".repeat(n))),
        ("open braces", "{".repeat(n)),
        ("open keys", "? ".repeat(n)),
        ("dashes", "- ".repeat(n)),
        ("colons", ": ".repeat(n)),
        ("one word", "x".repeat(8 * n)),
        ("one key", format!("{HEAD}{}: x\n", "x".repeat(8 * n))),
        ("one quoted line", format!("{HEAD}a: \"{}", "x\\n".repeat(n))),
        ("folded", format!("{HEAD}a: x\n{}", "  x\n".repeat(n))),
        ("block", format!("{HEAD}a: |\n{}", "  x\n".repeat(n))),
        ("blank lines", format!("{HEAD}a: x\n{}b: c\n", "\n".repeat(n))),
        ("comments", format!("{HEAD}{}", "# x\n".repeat(n))),
        ("documents", "---\n".repeat(n)),
        ("directives", "%TAG ! x\n".repeat(n)),
        ("stars", format!("{HEAD}files:\n{}", "  - source: *\n".repeat(n))),
        ("merges", format!("a: &a {{b: c}}\n{}", lines(&|at| format!("k{at}: {{<<: *a}}\n")))),
        ("Lambda hooks", format!("version: 0.0\nResources: []\nHooks:\n{}", "  - AfterAllowTraffic: x\n".repeat(n))),
    ]
}

#[test]
fn no_text_takes_more_time_than_its_length_asks_for() {
    for (name, text) in growing(20_000) {
        let began = clock();
        let (_, findings) = parse(&text, "appspec.yml");
        let took = began.elapsed();
        // Linear reading takes a few hundredths of a second in a debug build; a square of this size takes minutes.
        assert!(took < Duration::from_secs(8), "{name}: {took:?}");
        assert!(findings.0.len() <= 200, "{name}: {} findings", findings.0.len());
    }
    let large = format!("{HEAD}# {}\n", "x".repeat(MOST_BYTES));
    assert!(refused(&large).contains("KiB long"));
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn clock() -> Instant {
    Instant::now()
}
