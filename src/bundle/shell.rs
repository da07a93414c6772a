//! What a shell script's lines tell: failures that nobody would see, and programs that would be waited for. Pure, and
//! by line: it knows enough of the shell to warn, and refuses nothing.

use crate::domain::Finding;

/// Build tools that look for their file in the directory they are started in.
const BUILD_TOOLS: [&str; 9] = ["composer", "npm", "yarn", "pnpm", "bundle", "make", "grunt", "gulp", "mvn"];

/// A command line that a script may hold, joined where it was continued.
struct Line {
    /// Where it begins, from 1.
    number: usize,
    text: String,
}

/// What a person should know, each with its line.
pub(super) fn check(path: &str, text: &str) -> Vec<(usize, Finding)> {
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("#!") && !is_shell(first) {
        return Vec::new();
    }
    let lines = lines(text);
    let mut found = Vec::new();
    found.extend(background(path, &lines));
    found.extend(unheeded(path, first, &lines));
    found.extend(relative(path, &lines));
    found
}

/// `#!/bin/sh`, `#!/usr/bin/env bash`, and with options.
fn is_shell(first: &str) -> bool {
    let mut words = first.trim_start_matches("#!").split_whitespace();
    let names = words.by_ref().map(|word| word.rsplit('/').next().unwrap_or(word));
    let name = names.into_iter().find(|name| *name != "env" && !name.starts_with('-') && !name.contains('='));
    matches!(name, Some("sh" | "bash" | "dash" | "ash" | "ksh" | "zsh"))
}

/// The command lines without comments, here-documents and what is blank.
fn lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut until: Option<String> = None;
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(word) = &until {
            if line.trim() == word {
                until = None;
            }
            continue;
        }
        let line = without_comment(line).trim();
        if line.is_empty() {
            open = false;
            continue;
        }
        until = here_document(line);
        let continued = line.strip_suffix('\\');
        let part = continued.unwrap_or(line).trim_end();
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(part);
            }
            None => lines.push(Line { number: index + 1, text: part.to_owned() }),
        }
        open = continued.is_some();
    }
    lines
}

/// A `#` begins a comment at a word's beginning, outside quotation marks.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match quote {
            Some(mark) if letter == mark && before != '\\' => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'') && before != '\\' => quote = Some(letter),
            None if letter == '#' && (before.is_whitespace() || before == ';') => return &line[..at],
            None => {}
        }
        before = letter;
    }
    line
}

/// The word that ends the here-document that this line begins.
fn here_document(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("<<")?;
    let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start();
    if rest.starts_with(['<', '(']) {
        return None;
    }
    let word: String =
        rest.chars().take_while(|it| !it.is_whitespace() && !matches!(it, ';' | '|' | '&' | '>')).collect();
    let word = word.replace(['"', '\'', '\\'], "");
    word.starts_with(|it: char| it.is_alphabetic() || it == '_').then_some(word)
}

/// The first program that stays in the background and keeps the script's output open (R41).
fn background(path: &str, lines: &[Line]) -> Option<(usize, Finding)> {
    if lines.iter().any(|line| line.text.starts_with("exec >") || line.text.starts_with("exec &>")) {
        return None;
    }
    let (index, line) = lines.iter().enumerate().find(|(_, line)| {
        let text = &line.text;
        let trailing = text.ends_with('&') && !["&&", ";&", ">&", "<&", "|&"].iter().any(|end| text.ends_with(end));
        trailing && !is_redirected(text)
    })?;
    let waited = lines[index..].iter().any(|line| line.text.split([' ', ';']).any(|word| word == "wait"));
    if waited {
        return None;
    }
    let finding = Finding::warning(
        "bundle/script-background",
        format!(
            "`{path}` leaves `{}` in the background with its output open, and the event waits for it",
            shorten(&line.text)
        ),
    );
    Some((line.number, finding.help("end the line with `> /dev/null 2> /dev/null < /dev/null &`, or start a service")))
}

/// Whether standard output and standard error both go elsewhere: what reads nothing may keep its input.
fn is_redirected(text: &str) -> bool {
    let both = text.contains("&>") || text.contains(">&");
    let error = text.contains("2>");
    let output = text.match_indices('>').any(|(at, _)| !text[..at].ends_with(['2', '&', '>']));
    both && (output || text.contains("&>")) || error && output
}

/// Commands whose failure nobody sees: a `cd` that leads nowhere first, then whatever is not last.
fn unheeded(path: &str, first: &str, lines: &[Line]) -> Option<(usize, Finding)> {
    let heeds = |text: &str| {
        let mut words = text.split_whitespace();
        let set = words.next() == Some("set");
        let rest: Vec<&str> = words.collect();
        set && (rest.contains(&"errexit")
            || rest.iter().any(|it| it.starts_with('-') && !it.starts_with("--") && it.contains('e')))
    };
    let by_option = first.split_whitespace().skip(1).any(|it| it.starts_with('-') && it.contains('e'));
    if by_option
        || lines.iter().any(|line| heeds(&line.text) || line.text.starts_with("trap ") && line.text.contains("ERR"))
    {
        return None;
    }
    let commands: Vec<&Line> = lines.iter().filter(|line| is_command(&line.text)).collect();
    let (_, before) = commands.split_last()?;
    let lost = |line: &&&Line| !line.text.contains("||") && !line.text.ends_with("&&") && !line.text.ends_with('|');
    let cd = before.iter().find(|line| line.text.starts_with("cd ") && !line.text.contains("&&") && lost(line));
    if let Some(line) = cd {
        let text = shorten(&line.text);
        let message = format!("`{path}` goes on where `{text}` fails, and then works somewhere else");
        let finding = Finding::warning("bundle/script-cd", message);
        return Some((line.number, finding.help(format!("write `set -e` above it, or `{text} || exit 1`"))));
    }
    let line = before.iter().find(lost)?;
    let message = format!("`{path}` goes on where `{}` fails, and may end well all the same", shorten(&line.text));
    let finding = Finding::warning("bundle/script-unheeded", message);
    Some((line.number, finding.help("write `set -eu` near its top, so that a command that fails ends it")))
}

/// Whether a line runs something that can fail; what only structures or sets a variable cannot.
fn is_command(text: &str) -> bool {
    let word = text.split([' ', ';', '\t']).next().unwrap_or_default();
    let structure = [
        "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "{",
        "}", "(", ")", "echo", "printf", "set", "export", "local", "readonly", "unset", "return", "exit", "true", ":",
        "shift", "umask", "trap", "wait", "exec", "in", ";;",
    ];
    let assigns = word
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'))
        && !text.contains("$(")
        && !text.contains('`');
    !structure.contains(&word) && !assigns && !text.ends_with(')') && !text.ends_with("() {") && !text.ends_with("(){")
}

/// D15: where a script stands when it starts differs between the engines.
fn relative(path: &str, lines: &[Line]) -> Option<(usize, Finding)> {
    for line in lines.iter().filter(|line| is_command(&line.text)) {
        let mut words = line.text.split_whitespace();
        let command = words.next().unwrap_or_default();
        // Whoever changes the directory knows where they are.
        if matches!(command, "cd" | "pushd") {
            return None;
        }
        let elsewhere = line.text.contains("$(dirname") || line.text.contains(" -C ") || line.text.contains("--prefix");
        let by_path = command.starts_with("./") || command.starts_with("../");
        let by_word = words.any(|word| word.starts_with("./") || word.starts_with("../"));
        if !elsewhere && (by_path || by_word || BUILD_TOOLS.contains(&command)) {
            let message = format!(
                "`{}` in `{path}` depends on the directory it runs in: here the bundle's root, AWS's agent's own there",
                shorten(&line.text)
            );
            let finding = Finding::portability("bundle/script-directory", message);
            return Some((
                line.number,
                finding.help("write `cd \"$(dirname \"$0\")\"`, or `cd` to the destination, above it"),
            ));
        }
    }
    None
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let code =
            |(line, finding): (usize, Finding)| format!("{} {line}", finding.code.trim_start_matches("bundle/script-"));
        check("a.sh", text).into_iter().map(code).collect()
    }

    #[test]
    fn programs_that_keep_the_output_open_are_found() {
        let with = |line: &str| told(&format!("#!/bin/sh\nset -e\n{line}\n"));
        assert_eq!(with("node server.js &"), ["background 3"], "1.5 E68 G:18864");
        assert_eq!(with("nohup java -jar x.jar > /var/log/x &"), ["background 3"], "H13: standard error is open");
        assert_eq!(with("nohup java \\\n  -jar x.jar &"), ["background 3"]);
        for fine in [
            "x > /dev/null 2> /dev/null < /dev/null &",
            "x > /var/log/x 2>&1 &",
            "x &> /var/log/x &",
            "x >> /var/log/x 2>&1 < /dev/null &",
            "a && b",
            "a &\nwait",
            "# a &",
            "echo 'a &'",
            "cat <<END\na &\nEND",
            "exec > /dev/null 2>&1\nx &",
        ] {
            assert_eq!(with(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn failures_that_nobody_sees_are_found() {
        let with = |lines: &str| told(&format!("#!/bin/bash\n{lines}\n"));
        assert_eq!(with("cd /srv/app\ncomposer install\nrm -Rf node_modules"), ["cd 2"], "E76 B:583");
        assert_eq!(with("a\nb"), ["unheeded 2"], "1.5");
        assert_eq!(with("FOO=1\nif x; then\n  a\nfi\nb"), ["unheeded 4"]);
        for fine in [
            "a",
            "FOO=1\na",
            "set -e\ncd /x\na\nb",
            "set -euo pipefail\na\nb",
            "set -o errexit\na\nb",
            "cd /x || exit 1\na || exit 1\nb",
            "cd /x && a",
            "a ||\n  exit 1\nb",
            "echo one\nb",
        ] {
            assert_eq!(with(fine), Vec::<String>::new(), "{fine}");
        }
        assert_eq!(told("#!/bin/bash -e\na\nb\n"), Vec::<String>::new());
        assert_eq!(told("#!/usr/bin/env python3\na\nb\n"), Vec::<String>::new());
        assert_eq!(told("#!/usr/bin/env bash\na\nb\n"), ["unheeded 2"]);
    }

    #[test]
    fn what_depends_on_the_directory_is_told() {
        let with = |lines: &str| told(&format!("#!/bin/bash\nset -e\n{lines}\n"));
        assert_eq!(with("composer install"), ["directory 3"], "E72 D15 B:559");
        assert_eq!(with("./bin/migrate"), ["directory 3"]);
        assert_eq!(with("tar -xf ./x.tar"), ["directory 3"]);
        for fine in
            ["cd /srv/app\ncomposer install", "make -C /srv/app x", "\"$(dirname \"$0\")/x.sh\"", "systemctl restart x"]
        {
            assert_eq!(with(fine), Vec::<String>::new(), "{fine}");
        }
    }
}
