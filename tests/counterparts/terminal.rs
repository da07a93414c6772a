//! The live views in a real terminal: what tmux shows of the shipped program, key by key.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use landfall::clients::process::blocking_program;

use crate::shipped::Shipped;

/// A shell in a terminal of tmux's, in the bot's directory. It is ended when the test is over.
struct Terminal(PathBuf);

impl Terminal {
    fn open(bot: &Shipped, width: &str) -> Self {
        let this = Self(bot.path("."));
        this.tmux(&["new-session", "-d", "-x", width, "-y", "24", "env PS1='$ ' sh"]);
        this.types(&format!("export LANDFALL_URL={} LANDFALL_TOKEN={}; clear", bot.url(), bot.token()));
        this
    }

    fn tmux(&self, words: &[&str]) -> String {
        let ran = blocking_program("tmux")
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.0)
            .env("LC_ALL", "C.UTF-8")
            .args(["-u", "-S", "tmux"])
            .args(words)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// A line, and Enter.
    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.presses("Enter");
    }

    fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until this stands on the screen, and gives all of it.
    #[expect(clippy::disallowed_methods, reason = "a deadline in a test is of the machine's own time")]
    fn shows(&self, what: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if screen.contains(what) {
                return screen;
            }
            assert!(Instant::now() < deadline, "not within 60 s: `{what}`\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A bot with one commit that its target has seen, whose check waits until it is let go.
fn bot() -> Shipped {
    let mut bot = Shipped::new();
    let go = bot.path("go");
    let check = format!("#!/bin/sh\necho waiting for a sign\nuntil [ -e {} ]; do sleep 0.05; done\n", go.display());
    bot.repo.write("check.sh", &check, 0o755);
    bot.repo.commit_and_push("The first page", &[("index.html", "one\n")]);
    bot.serve();
    bot
}

fn let_go(bot: &Shipped) {
    fs::write(bot.path("go"), "").unwrap();
}

#[test]
fn deploy_is_followed_in_place_to_its_end() {
    let bot = bot();
    let terminal = Terminal::open(&bot, "80");
    terminal.types("./landfall deploy site; echo code=$?");
    let screen = terminal.shows("│ waiting for a sign");
    for part in ["✓ weigh", "✓ prepare", "✓ release", "▸ run", "▸ ValidateService", "check.sh", "· verify"] {
        assert!(screen.contains(part), "`{part}`\n{screen}");
    }
    terminal.shows("▸ run      2 s");
    let_go(&bot);
    let screen = terminal.shows("code=0");
    assert!(screen.contains("✓ ValidateService") && screen.contains("✓ verify"), "{screen}");
    assert!(screen.contains("site succeeded") && !screen.contains("waiting for a sign"), "{screen}");
    assert_eq!(screen.matches("weigh").count(), 1, "drawn in place\n{screen}");
}

#[test]
fn a_failure_ends_with_the_last_lines_the_reason_and_what_to_do() {
    let bot = bot();
    bot.repo.write("check.sh", "#!/bin/sh\necho no page >&2\nexit 7\n", 0o755);
    bot.repo.commit_and_push("A page that fails", &[("index.html", "two\n")]);
    let terminal = Terminal::open(&bot, "80");
    terminal.types("NO_COLOR=1 ./landfall deploy site; echo code=$?");
    let screen = terminal.shows("code=1");
    for part in ["✗ ValidateService", "no page", "site failed: ", "help: ", "landfall rollback site"] {
        assert!(screen.replace('\n', "").contains(part), "`{part}`\n{screen}");
    }
}

#[test]
fn init_asks_what_it_has_to_know_and_says_what_is_next() {
    let bot = bot();
    let terminal = Terminal::open(&bot, "100");
    terminal.types("./landfall init new; echo code=$?");
    terminal.shows("Which repository: OWNER/NAME at GitHub, or the path of a bare one on this machine?");
    terminal.types("shop");
    terminal.shows("a repository of your own is named by its path");
    terminal.types("acme/shop");
    terminal.shows("Which branch goes live?");
    terminal.types("live");
    terminal.shows("[host]");
    terminal.types("ssh");
    terminal.shows("`ssh` is neither `host` nor `codedeploy`");
    terminal.presses("Enter");
    terminal.shows("At which address");
    terminal.presses("Enter");
    let screen = terminal.shows("code=0");
    assert!(screen.contains("✓ configuration") && screen.contains("next: "), "{screen}");
    let text = fs::read_to_string(bot.path("new/landfall.toml")).unwrap();
    for line in ["repository = \"acme/shop\"", "branches = [\"live\"]", "name = \"shop\""] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("ssh"), "{text}");
}

#[test]
fn ctrl_c_detaches_and_leaves_the_terminal_as_it_was() {
    let bot = bot();
    let terminal = Terminal::open(&bot, "80");
    terminal.types("stty -g > before; ./landfall deploy site; echo code=$?; stty -g > after");
    terminal.shows("│ waiting for a sign");
    terminal.presses("C-c");
    let screen = terminal.shows("code=130");
    let id = bot.asked(&["status"])["targets"][0]["running"].as_str().unwrap().to_owned();
    for part in [format!("{id} goes on"), format!("status --watch {id}"), "landfall stop".into()] {
        assert!(screen.replace('\n', "").contains(&part), "`{part}`\n{screen}");
    }
    bot.waits("the state of the terminal", |it| it.path("after").exists());
    let state = |name| fs::read_to_string(bot.path(name)).unwrap();
    assert_eq!(state("before"), state("after"));
    assert_eq!(terminal.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]).trim(), "1 0");
    // Who comes back sees it end.
    terminal.types(&format!("clear; ./landfall status -w {id}; echo code=$?"));
    terminal.shows("│ waiting for a sign");
    let_go(&bot);
    terminal.shows("code=0");
}

#[test]
fn status_is_redrawn_in_place_and_survives_a_bot_that_is_away() {
    let mut bot = bot();
    let_go(&bot);
    let terminal = Terminal::open(&bot, "60");
    terminal.types("./landfall status -w; echo code=$?");
    terminal.shows("TARGET");
    let sha = bot.push("A second page with a title that is longer than this terminal is wide");
    let screen = terminal.shows(&format!("  {}  ", &sha[..7]));
    assert!(screen.contains("A second") && screen.contains('…'), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() < 60), "{screen}");
    assert_eq!(screen.matches("TARGET").count(), 1, "drawn in place\n{screen}");
    terminal.tmux(&["resize-window", "-x", "100"]);
    terminal.shows("A second page with a title that is longer");
    terminal.tmux(&["resize-window", "-x", "50"]);
    terminal.shows("…");
    assert_eq!(bot.ends(), Some(0));
    terminal.shows("connection lost");
    bot.serve();
    let screen = terminal.shows("connected again");
    assert_eq!(screen.matches("TARGET").count(), 1, "drawn in place\n{screen}");
    terminal.presses("C-c");
    terminal.shows("code=0");
}
