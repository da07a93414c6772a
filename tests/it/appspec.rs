//! AppSpecs as people write them, right and wrong, and what the reader says of them.

mod bounds;
mod catalogue;
mod examples;
mod filled;
mod serverless;

use landfall::appspec::{AppSpec, parse};

const HEAD: &str = "version: 0.0\nos: linux\n";

/// The findings of `text`, one a line: severity, code, line and column.
fn told(text: &str) -> Vec<String> {
    let (spec, findings) = parse(text, "appspec.yml");
    assert_eq!(spec.is_none(), findings.refuse(), "a specification exactly when nothing refuses: {findings}");
    findings
        .0
        .iter()
        .map(|it| {
            let place = it.place.as_ref().expect("every finding of an AppSpec has a place");
            assert_eq!(place.file, "appspec.yml");
            let code = it.code.strip_prefix("appspec/").unwrap();
            format!("{:?} {code} {}:{}", it.severity, place.line, place.column)
        })
        .collect()
}

#[track_caller]
fn check(id: &str, text: &str, expected: &[&str]) {
    assert_eq!(told(text), expected, "{id}: {}", parse(text, "appspec.yml").1);
}

#[track_caller]
fn check_body(id: &str, body: &str, expected: &[&str]) {
    check(id, &format!("{HEAD}{body}"), expected);
}

#[track_caller]
fn help(text: &str) -> String {
    parse(text, "appspec.yml").1.0[0].help.clone().unwrap_or_default()
}

#[test]
fn the_first_two_keys_are_checked_letter_by_letter() {
    check("V01", "", &["Error empty 1:1"]);
    check("V01", "# nothing\n\n", &["Error empty 1:1"]);
    check("1.2 whitespace only", " \n\n  \n", &["Error empty 1:1"]);
    check("1.2 whitespace only", "---\n", &["Error empty 1:1"]);
    check("V02", "files: []\n", &["Error version 1:1", "Error os 1:1"]);
    for other in ["1.0", "0", "0.00", "00.0", "0.0.0", "\"1.0\"", "[0.0]", "{0.0: x}"] {
        check("V03", &format!("version: {other}\nos: linux\n"), &["Error version 1:10"]);
    }
    check("V04", "version: \"0.0\"\nos: linux\n", &["Portability version 1:10"]);
    check("V05", "version: 0.0\nos: Linux\n", &["Error os 2:5"]);
    assert_eq!(help("version: 0.0\nos: Linux\n"), "write `os: linux`");
    check("D10", HEAD, &[]);
    check(
        "windows",
        "version: 0.0\nos: windows\nfiles:\n  - source: \\index.html\n    destination: c:\\inetpub\n",
        &[],
    );
}

#[test]
fn faults_of_the_text_are_told_in_words() {
    check("V06", "version: 0.0\nos: linux\nfiles:\n\t- source: x\n", &["Error tab 4:1"]);
    check("V07", "\u{feff}version: 0.0\nos: linux\n", &["Error byte-order-mark 1:1"]);
    check("V08", "version: 0.0\nos: “linux”\n", &["Error look-alike 2:5", "Error os 2:5", "Error look-alike 2:11"]);
    check("V09", "version: 0.0\nos:\u{a0}linux\n", &["Error no-space 2:1", "Error look-alike 2:4"]);
    check("V10", "version:0.0\nos: linux\n", &["Error no-space 1:1"]);
    check_body("CRLF", "hooks: {}\r\n", &["Warning line-ends 3:1"]);
    check_body(
        "V15",
        "hooks:\n  AfterInstall:\n    - location: a\n  AfterInstall:\n    - location: b\n",
        &["Error duplicate-key 6:3"],
    );
    check_body("V18", "hooks:\n  AfterInstall:\n    - location: a\n    timeout: 3\n", &["Error not-yaml 6:5"]);
    check_body("two documents", "---\nos: windows\n", &["Warning second-document 4:1"]);
    check_body(
        "alias",
        "files:\n  - source: &a x\n    destination: /d\n  - source: *a\n    destination: /e\n",
        &["Portability alias 6:13"],
    );
    check("JSON", r#"{"version": 0.0, "os": "linux"}"#, &["Portability json 1:1"]);
}

#[test]
fn keys_that_the_agent_would_pass_over_are_errors() {
    check_body("V12", "Hooks:\n  AfterInstall:\n    - location: a\n", &["Error unknown-key 3:1"]);
    assert_eq!(help(&format!("{HEAD}Hooks: {{}}\n")), "did you mean `hooks`?");
    assert_eq!(help(&format!("{HEAD}file: []\n")), "did you mean `files`?");
    assert_eq!(help(&format!("{HEAD}file_exists_behaviour: RETAIN\n")), "did you mean `file_exists_behavior`?");
    check_body("V24", "permissions:\n  - object: /x\n    acl: [m::r]\n", &["Error unknown-key 5:5"]);
    assert_eq!(help(&format!("{HEAD}permissions:\n  - object: /x\n    acl: [m::r]\n")), "did you mean `acls`?");
    check_body(
        "V11",
        "hooks:\nAfterInstall:\n  - location: a\n",
        &["Warning blank 3:1", "Error event-outside-hooks 4:1"],
    );
}

#[test]
fn files_are_checked() {
    check_body("V26", "files:\n  source: x\n", &["Error wrong-form 4:3"]);
    check_body("F20", "files:\n  - source: \"*.txt\"\n    destination: /d\n", &["Error wildcard 4:13"]);
    check_body("F20", "files:\n  - source: *.txt\n    destination: /d\n", &["Error unquoted-star 4:5"]);
    check_body("F21", "files:\n  - source: ../../x\n    destination: /d\n", &["Error escape 4:13"]);
    check_body("F22", "files:\n  - source: x\n    destination: rel/dir\n", &["Error relative-destination 5:18"]);
    check_body("..", "files:\n  - source: x\n    destination: /d/../e\n", &["Error destination 5:18"]);
    check_body("F14", "files:\n  - source: \"\"\n    destination: /d\n", &["Warning blank 4:13"]);
    check_body("V16", "files:\n  - source: x\n  - destination: /y\n", &["Error torn-item 5:5"]);
    check_body("missing", "files:\n  - source: x\n", &["Error missing 4:5"]);
    check_body("X07", "file_exists_behavior: overwrite\n", &["Error file-exists-behavior 3:23"]);
    check_body(
        "X10",
        "files:\n  - source: x\n    destination: /d\n    file_exists_behavior: RETAIN\n",
        &["Error file-exists-behavior 6:5"],
    );
    check_body("blank", "files:\n", &["Warning blank 3:1"]);
    check_body("F14", "files:\n  - source: .\n    destination: /d\n  - source: ./\n    destination: /e\n", &[]);
    check_body("5.1 11", "files:\n  - source: x\n    destination: ~/x\n", &["Error relative-destination 5:18"]);
    check_body("backslash", "files:\n  - source: a\\b\n    destination: /d\n", &["Warning backslash 4:13"]);
    check(
        "F40",
        "version: 0.0\nos: windows\nfiles:\n  - source: \\index.html\n    destination: c:\\inetpub\\wwwroot\n",
        &[],
    );
    check(
        "1.3 windows",
        "version: 0.0\nos: windows\nfiles:\n  - source: x\n    destination: /inetpub\n",
        &["Error relative-destination 5:18"],
    );
    check_body("broad", "files:\n  - source: /\n    destination: /etc\n", &["Warning broad-destination 4:5"]);
}

#[test]
fn hooks_are_checked() {
    let one = |script: &str| format!("hooks:\n  AfterInstall:\n    - location: a.sh\n{script}");
    check_body("H04", "hooks:\n  AfterInstall:\n", &["Warning blank 4:3"]);
    check_body("H06", "hooks:\n  AfterInstall:\n    - location: service nginx stop\n", &["Error command 5:17"]);
    check_body("H35", "hooks:\n  AfterInstall:\n    - location: a b.sh\n", &["Portability space 5:17"]);
    check_body("H36", "hooks:\n  AfterInstall:\n    - location: ../../x.sh\n", &["Error escape 5:17"]);
    check_body("H41", &one("      sudo: true\n"), &["Warning sudo 6:7"]);
    check_body("H17", &one("      timeout: 2000\n    - location: b.sh\n      timeout: 2000\n"), &["Error timeout 5:5"]);
    check_body("H18", &one("    - location: b.sh\n"), &[]);
    for wrong in ["0", "-1", "foo", "60s", "1:30", "010", "1.9", "3601", "1e3", "0x10"] {
        check_body("V19 V20", &one(&format!("      timeout: {wrong}\n")), &["Error timeout 6:16"]);
    }
    check_body("V21", &one("      timeout: \"30\"\n"), &["Warning quoted 6:16"]);
    check_body("V13", "hooks:\n  AfterInstal:\n    - location: a\n", &["Error unknown-event 4:3"]);
    assert_eq!(help(&format!("{HEAD}hooks:\n  AfterInstal: []\n")), "did you mean `AfterInstall`?");
    check_body("V14", "hooks:\n  Install:\n    - location: a\n", &["Error reserved-event 4:3"]);
    check_body("V17", &one("    - timeout: 3\n"), &["Error torn-item 6:7"]);
    check_body("outdented", &one("  timeout: 3\n"), &["Error torn-item 6:3"]);
    check_body("1.4", "hooks:\n  AfterAllowTestTraffic:\n    - location: a\n", &["Error unknown-event 4:3"]);
    for reserved in ["Start", "DownloadBundle", "Install", "BlockTraffic", "AllowTraffic", "End"] {
        check_body("1.4", &format!("hooks:\n  {reserved}:\n    - location: a\n"), &["Error reserved-event 4:3"]);
    }
    for event in ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"] {
        check_body("1.4", &format!("hooks:\n  {event}:\n    - location: a\n"), &[]);
    }
    for event in ["BeforeBlockTraffic", "AfterBlockTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"] {
        check_body("D26", &format!("hooks:\n  {event}:\n    - location: a\n"), &["Warning traffic-hooks 4:3"]);
    }
    check_body("E69", &one("      runas: www-data\n"), &["Portability runas-shell 6:14"]);
    check_body("trimmed", "hooks:\n  AfterInstall:\n    - location: \" a.sh \"\n", &[]);
    check_body("V25", "hooks:\n  - AfterInstall: a\n", &["Error wrong-form 4:3"]);
    check_body("script", "hooks:\n  AfterInstall: a.sh\n", &["Error wrong-form 4:17"]);
    check(
        "V27",
        "version: 0.0\nos: windows\nhooks:\n  AfterInstall:\n    - location: a.bat\n      runas: x\n",
        &["Error linux-only 6:7"],
    );
}

#[test]
fn permissions_are_checked() {
    let with =
        |rest: &str| format!("files:\n  - source: x\n    destination: /x\npermissions:\n  - object: /x\n    {rest}\n");
    check_body("V22", &with("type: file"), &["Error wrong-form 8:11"]);
    check_body("V22", &with("except: x"), &["Error wrong-form 8:13"]);
    check_body("V22", &with("acls: x"), &["Error wrong-form 8:11"]);
    check_body("V23", &with("pattern: **"), &["Error unquoted-star 8:5"]);
    check_body("P25", &with("mode: \"0644\""), &[]);
    check_body("P25", &with("mode: 644"), &[]);
    for wrong in ["0644", "0755", "04755", "u+x", "888", "12345", "\"04755\""] {
        check_body("P26-P29", &with(&format!("mode: {wrong}")), &["Error mode 8:11"]);
    }
    check_body("P30", &with("mode: 44"), &["Warning mode 8:11"]);
    for wrong in ["u::rw", "g::rw", "o::rw", "m:bob:rw", "d:u:bob:rw", "u:bob:rwq"] {
        check_body("P32-P34", &with(&format!("acls: [\"{wrong}\"]")), &["Error acl 8:12"]);
    }
    check_body("P34", &with("type: [directory]\n    pattern: \"**\"\n    acls: [\"d:u:bob:rw\"]"), &[]);
    check_body("P35", &with("mode: 640\n    acls: [\"u:x:rw\"]"), &["Warning acl-mask 9:11"]);
    check_body("P35", &with("mode: 640\n    acls: [\"u:x:r\"]"), &[]);
    check_body("P08", &with("mode: 644\n    acls: [\"u:x:rw\", \"m::rw\"]"), &[]);
    check_body("P36 D13", &with("context: {user: u, type: t, range: s0}"), &["Portability context-user 8:15"]);
    check_body("P37", &with("context: {name: u}"), &["Error missing 8:14"]);
    check_body("P38", &with("pattern: \"a?\""), &["Warning pattern 8:14"]);
    check_body("no object", "permissions:\n  - owner: u\n", &["Error missing 4:5"]);
    check("P39", "version: 0.0\nos: windows\npermissions:\n  - object: /x\n", &["Error linux-only 4:3"]);
    let (spec, _) = parse(&format!("{HEAD}{}", with("mode: 7")), "appspec.yml");
    assert_eq!(spec.unwrap().server().unwrap().permissions[0].mode, Some(7));
}

#[test]
fn permissions_that_surprise_are_told() {
    let with = |object: &str, rest: &str| {
        format!("files:\n  - source: x\n    destination: /srv/x\npermissions:\n  - object: {object}\n    {rest}\n")
    };
    check_body("1.5 object", &with("/srv", "mode: 755"), &[]);
    check_body("1.5 object", &with("/srv/x/y", "mode: 755"), &[]);
    check_body("1.5 object", &with("/srv/xy", "mode: 755"), &["Warning unmatched-object 7:5"]);
    check_body("1.5 setuid B:309", &with("/srv/x", "mode: 4755\n    type: [file]"), &["Warning special-bits 8:11"]);
    check_body(
        "P24 D23",
        &with("/srv/x", "mode: 4755\n    owner: daemon\n    pattern: \"*.bin\"\n    type: [file]"),
        &["Portability special-bits-lost 8:11"],
    );
    check_body("P23", &with("/srv/x", "mode: 4750\n    pattern: \"**\"\n    type: [directory]"), &[]);
    check_body("P13 D2", &with("/srv/x", "mode: 700\n    type: [directory]"), &["Portability object-itself 7:5"]);
    check_body("P15 D5", &with("/srv/x", "except: [d/b.txt]"), &["Portability except-path 8:13"]);
    check_body("numeric owner", &with("/srv/x", "owner: 1000"), &["Portability numeric-id 8:12"]);
    for (range, fits) in
        [("s0", true), ("s0-s1:c0.c3,c5", true), ("s0:c1024", false), ("c0", false), ("s0:", false), ("s16", false)]
    {
        let expected: &[&str] = if fits { &[] } else { &["Error context-range 8:31"] };
        check_body("1.3 range", &with("/srv/x", &format!("context: {{type: t, range: \"{range}\"}}")), expected);
    }
    check_body("1.3 role", &with("/srv/x", "context: {type: t, role: r}"), &["Error context-role 8:24"]);
}

#[test]
fn style_is_told_once_and_refuses_nothing() {
    let four =
        "files:\n    -   source: x\n        destination: /d\nhooks:\n    AfterInstall:\n        -   location: a.sh\n";
    check_body("V30", four, &["Style indentation 4:9"]);
    check_body("V29", "files:\n  - source: x\n    destination: /d\n", &[]);
    check_body("flush", "files:\n- source: x\n  destination: /d\n", &["Style indentation 4:3"]);
    check_body("in braces", "files:\n  - {source: x, destination: /d}\n", &[]);
    check_body("in brackets", "files: [{source: x, destination: /d}]\n", &[]);
    check_body("quotes", "files:\n  - source: \"x\"\n    destination: '/d'\n", &["Style quotation-marks 4:13"]);
    for needed in ["a: b", "yes", "0x", "a #b", "*"] {
        let text = format!("files:\n  - source: \"{needed}\"\n    destination: /d\n");
        assert!(told(&format!("{HEAD}{text}")).iter().all(|it| !it.contains("Style")), "{needed}");
    }
    let (spec, findings) = parse(&format!("{HEAD}{four}"), "appspec.yml");
    assert!(spec.is_some() && !findings.refuse());
}

#[test]
fn every_blank_field_of_a_template_is_named() {
    check_body(
        "V28",
        "files:\n  - source:\n    destination:\n  - source:\n    destination:\npermissions:\n  - object:\n    owner:\nhooks:\n  AfterInstall:\n    - location:\n      timeout:\n",
        &[
            "Error missing 4:5",
            "Error missing 5:5",
            "Error missing 6:5",
            "Error missing 7:5",
            "Error missing 9:5",
            "Warning blank 10:5",
            "Error missing 13:7",
            "Warning blank 14:7",
        ],
    );
}

/// The specification's ids of what can be seen in an AppSpec or its bundle, each of which some test names.
#[test]
fn every_case_of_the_validator_is_tested() {
    let tests = [
        include_str!("appspec.rs"),
        include_str!("appspec/catalogue.rs"),
        include_str!("appspec/examples.rs"),
        include_str!("appspec/serverless.rs"),
        include_str!("bundle/contents.rs"),
        include_str!("check.rs"),
    ]
    .concat();
    let named = |id: &str| {
        let ends = |at: usize| tests[at + id.len()..].starts_with([' ', '"', '-']);
        tests.match_indices(id).any(|(at, _)| tests[..at].ends_with(['"', ' ']) && ends(at))
    };
    // E14 asks for the host's own system, which the engine does.
    let ids =
        (1..=40).map(|at| format!("V{at:02}")).chain((1..=34).filter(|at| *at != 14).map(|at| format!("E{at:02}")));
    let missing: Vec<String> = ids.filter(|id| !named(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_right_one_is_read_whole() {
    let text = "version: 0.0\nos: linux\nfiles:\n    -   source: Config/config.txt\n        destination: /webapps/Config\n    -   source: /\n        destination: /webapps/myApp\nhooks:\n    BeforeInstall:\n        -   location: ./Scripts/UnzipResourceBundle.sh\n    AfterInstall:\n        -   location: /Scripts/RunResourceTests.sh\n            timeout: 180\n            runas: ec2-user\n";
    check("V30", text, &["Style indentation 4:9"]);
    let Some(AppSpec::Server(spec)) = parse(text, "appspec.yml").0 else { panic!("a server AppSpec") };
    assert_eq!(spec.sources(), ["Config/config.txt", ""]);
    assert_eq!(spec.scripts(), ["Scripts/UnzipResourceBundle.sh", "Scripts/RunResourceTests.sh"]);
    let script = &spec.scripts_of("AfterInstall")[0];
    assert_eq!((script.timeout.unwrap().as_secs(), script.runas.as_deref()), (180, Some("ec2-user")));
}
