//! The catalogue of errors: what a person reads for each fault of an AppSpec, with its place and what to do.

use landfall::appspec::parse;

use super::HEAD;

/// Checks that one finding of `text` stands there and says all of these words, help included.
#[track_caller]
fn says(id: &str, text: &str, place: &str, words: &[&str]) {
    let findings = parse(text, "appspec.yml").1;
    let fits = findings.0.iter().map(ToString::to_string).any(|told| {
        told.starts_with(&format!("appspec.yml:{place}: ")) && words.iter().all(|word| told.contains(word))
    });
    assert!(fits, "{id}: no finding at {place} says {words:?}:\n{findings}");
}

#[track_caller]
fn body_says(id: &str, body: &str, place: &str, words: &[&str]) {
    says(id, &format!("{HEAD}{body}"), place, words);
}

#[test]
fn faults_of_the_text() {
    says("E02", "", "1:1", &["the file is empty", "`version: 0.0` and `os: linux`"]);
    body_says("E03", "files:\n\t- source: x\n", "4:1", &["a tab in the indentation", "2 spaces"]);
    says("E04", "\u{feff}version: 0.0\n", "1:1", &["byte-order mark (EF BB BF)", "UTF-8 without BOM", "`os`"]);
    says("E05", "version: 0.0\nos: “linux”\n", "2:5", &["U+201C `“`", "typographic", "an editor replaced it"]);
    says("E05", "version: 0.0\nos:\u{a0}linux\n", "2:4", &["U+00A0", "an ordinary space"]);
    says("E05", "version: 0.0\nos: li\u{200b}nux\n", "2:7", &["U+200B"]);
    body_says("E05", "files:\n  – source: x\n", "4:3", &["U+2013", "write `-`"]);
    body_says(
        "E06",
        "hooks:\n  AfterInstall:\n    - location: a\n    timeout: 3\n",
        "6:5",
        &["`timeout` begins in column 5", "`- location` item in line 5 in column 7", "add 2 spaces"],
    );
    body_says(
        "E06",
        "files:\n  - source: x\n      destination: /d\n",
        "5:18",
        &["`destination` begins in column 7", "in line 4 in column 5", "remove 2 spaces"],
    );
    says("E07", "version:0.0\nos: linux\n", "1:1", &["no space after the colon", "write `version: 0.0`"]);
    body_says("E07", "files:\n  - source: a: b\n    destination: /d\n", "4:14", &["quote the value"]);
    let pattern = |line: &str| format!("permissions:\n  - object: /x\n    {line}\n");
    body_says("E08", &pattern("pattern: **"), "5:5", &["`pattern: \"**\"`", "a bare `*` begins a YAML alias"]);
    body_says("E08", &pattern("pattern: *.txt"), "5:5", &["`pattern: \"*.txt\"`"]);
    body_says("E08", &pattern("except: [a, *.txt]"), "5:5", &["`except: [\"*.txt\"]`"]);
    body_says("E08", &pattern("except:\n      - *.txt"), "6:9", &["write `\"*.txt\"`"]);
}

#[test]
fn what_the_agent_passes_over() {
    body_says(
        "E09",
        "hooks:\nAfterInstall:\n  - location: a\n",
        "4:1",
        &["outside `hooks`", "nothing of it would run", "2 spaces"],
    );
    body_says("E09", "Hooks:\n  AfterInstall:\n    - location: a\n", "3:1", &["`Hooks`", "did you mean `hooks`?"]);
    let twice = "hooks:\n  AfterInstall:\n    - location: a\n  AfterInstall:\n    - location: b\n";
    body_says(
        "E10",
        twice,
        "6:3",
        &["`AfterInstall` stands here and in line 4", "keeps only one", "put both into one"],
    );
    body_says("E11", "files:\n  - source: x\n  - destination: /y\n", "5:5", &["source in line 4", "dash"]);
    says("E12", "version: \"0.0\"\nos: linux\n", "1:10", &["quotation marks", "AWS's agent refuses", "`version: 0.0`"]);
    says("E13", "os: linux\n", "1:1", &["there is no `version`", "add `version: 0.0`"]);
    body_says("E15", "file_exists_behavior: overwrite\n", "3:23", &["DISALLOW, OVERWRITE or RETAIN", "OVERWRITE`"]);
    let nested = "files:\n  - source: x\n    destination: /d\n    file_exists_behavior: RETAIN\n";
    body_says("E16", nested, "6:5", &["inside an item of `files`", "passes over it", "the beginning of a line"]);
    body_says("E16", "file_exists_behaviour: RETAIN\n", "3:1", &["did you mean `file_exists_behavior`?"]);
    body_says("E32", "permissions:\n  - object: /x\n    acl: []\n", "5:5", &["did you mean `acls`?"]);
    body_says("E33", "file: []\n", "3:1", &["unknown key `file`", "did you mean `files`?"]);
    body_says("E33", "files:\n  - source: x\n    dest: /d\n", "5:5", &["unknown key `dest`", "source, destination"]);
}

#[test]
fn forms_hooks_and_times() {
    body_says("E17", "permissions:\n  - object: /x\n    type: file\n", "5:11", &["must be a list", "`type: [file]`"]);
    body_says("E17", "hooks:\n  - AfterInstall: a\n", "4:3", &["must be a map", "the Lambda and ECS form"]);
    body_says("E17", "files:\n  source: x\n", "4:3", &["`files` must be a list", "`- source: …`"]);
    body_says("E17", "hooks:\n  AfterInstall: a.sh\n", "4:17", &["`AfterInstall` must be a list", "`- location: …`"]);
    let script = |lines: &str| format!("hooks:\n  AfterInstall:\n    - {lines}\n");
    body_says("E18", &script("Location: a.sh"), "5:7", &["script 1 of `AfterInstall` has no `location`"]);
    body_says("E18", &script("Location: a.sh"), "5:7", &["did you mean `location`?"]);
    body_says("E18", &script("location:"), "5:7", &["`location` of script 1 of `AfterInstall` is blank"]);
    body_says("E19", &script("location: a\n      timeout: 60s"), "6:16", &["whole seconds from 1 to 3600", "`60s`"]);
    let long = "location: a\n      timeout: 2000\n    - location: b\n      timeout: 2000";
    body_says("E20", &script(long), "5:5", &["`AfterInstall` add up to 4000 s", "3600 s"]);
    body_says("E21", "hooks:\n  Install: []\n", "4:3", &["belongs to the engine", "`AfterInstall`"]);
    body_says("E21", "hooks:\n  AfterInstal: []\n", "4:3", &["did you mean `AfterInstall`?"]);
    body_says(
        "E60",
        &script("location: service nginx stop"),
        "5:17",
        &["is a command", "put the command into a script"],
    );
    says(
        "E30",
        "version: 0.0\nos: windows\npermissions:\n  - object: /x\n",
        "4:3",
        &["works on Linux only", "remove the section"],
    );
}

#[test]
fn permissions() {
    let with = |line: &str| format!("permissions:\n  - object: /x\n    {line}\n");
    body_says("E22", "permissions:\n  - owner: u\n", "4:5", &["item 1 of `permissions` has no `object`"]);
    body_says("E23", &with("mode: 0755"), "5:11", &["YAML reads as decimal 493", "`mode: 755` or `mode: \"0755\"`"]);
    body_says("E23", &with("mode: 0644"), "5:11", &["decimal 420"]);
    body_says("E24", &with("mode: u+x"), "5:11", &["octal digits", "symbolic modes are not known"]);
    body_says("E25", &with("type: [files]"), "5:11", &["knows file and directory", "did you mean `file`?"]);
    body_says("E27", &with("acls: [\"u::rw\"]"), "5:12", &["`u::rw`", "use `mode`"]);
    body_says("E28", &with("acls: [\"d:u:bob:rw\"]"), "5:12", &["only directories have", "`type: [directory]`"]);
    body_says("E29", &with("context: {user: u}"), "5:14", &["`context` has no `type`"]);
    body_says("E29", &with("context: {type: t, range: x}"), "5:31", &["s0 or s0-s1:c0.c3,c5"]);
    body_says("E29", &with("context: {type: t, role: r}"), "5:24", &["`role`", "remove it"]);
}

#[test]
fn two_entries_that_surely_clash() {
    let files = "files:\n  - source: x\n    destination: /x\n";
    let two = |one: &str, other: &str| format!("{files}permissions:\n  - {{{one}}}\n  - {{{other}}}\n");
    let clash = |one: &str, other: &str| {
        let findings = parse(&format!("{HEAD}{}", two(one, other)), "appspec.yml").1;
        findings.0.iter().any(|it| it.code == "appspec/permission-overlap")
    };
    body_says(
        "E31 P22",
        &two("object: /x, mode: 600", "object: /x, mode: 644"),
        "8:5",
        &["items 1 and 2 of `permissions` both set the mode of everything in `/x`", "`except`"],
    );
    assert!(clash("object: /x, owner: a", "object: /x/, owner: a, mode: 600"));
    assert!(!clash("object: /x, owner: a", "object: /x, mode: 600"), "R81: other attributes");
    assert!(!clash("object: /x, mode: 600, type: [file]", "object: /x, mode: 700, type: [directory]"));
    assert!(!clash("object: /x, mode: 600, except: [a]", "object: /x, mode: 700"), "what is excepted decides");
}

#[test]
fn serverless() {
    let torn = "version: 0.0\nResources:\n  - TargetService:\n    Type: AWS::ECS::Service\n";
    says("E34", torn, "4:5", &["`Type` stands beside `TargetService`", "under `TargetService`"]);
    says("E34", "{\"version\": 0.0,\n \"Resources\": [}\n", "2:16", &["not YAML"]);
}
