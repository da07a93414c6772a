//! The README's section on one's own server, followed to the letter: a bare repository with a hook, the shipped program,
//! a push. Only the machine's own directories and its port lie elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use landfall::clients::process::blocking_program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::worlds::readme::blocks;

const SECTION: &str = "The same on your own server, with no account anywhere";
const WITH_THE_SECRET: &str = "Five minutes to a first real target: AWS CodeDeploy";

#[test]
fn the_readmes_own_server_deploys() {
    let machine = Machine::new();
    let [configuration, hook, start, appspec] = &blocks(SECTION)[..] else {
        panic!("the README's section has other steps: follow them here too");
    };
    let secret = blocks(WITH_THE_SECRET).into_iter().find(|it| it.contains("> webhook-secret")).expect("it makes one");
    machine.types("etc/landfall", &secret);
    machine.writes("etc/landfall/landfall.toml", configuration, 0o644);
    machine.types("srv/git", "git init --quiet --bare --initial-branch=main blog.git");
    machine.writes("srv/git/blog.git/hooks/post-receive", hook, 0o755);
    let mut bot = machine.starts(start);

    machine.types("home", "git clone --quiet /srv/git/blog.git && cd blog && git switch --quiet --create main");
    machine.writes("home/blog/appspec.yml", appspec, 0o644);
    machine.writes("home/blog/deploy/check.sh", "#!/bin/sh\ngrep hello /srv/blog/index.html\n", 0o755);
    for page in ["hello\n", "hello again\n"] {
        machine.writes("home/blog/public/index.html", page, 0o644);
        let told = machine.types(
            "home/blog",
            "git add --all && git commit --quiet --message page && git push --quiet origin main 2>&1",
        );
        assert!(told.contains("remote: delivered main") && told.contains("blog: deployment "), "{told}");
        machine.waits("the page to be live", || {
            let live = fs::read_to_string(machine.path("srv/blog/index.html")).is_ok_and(|found| found == page);
            live && machine.types("home/blog", "landfall why $(git rev-parse HEAD)").contains("succeeded")
        });
    }
    let status = machine.types("/", "landfall status -c /etc/landfall/landfall.toml");
    let head = machine.types("home/blog", "git rev-parse --short=7 HEAD");
    assert!(status.contains(head.trim()), "{head}{status}");

    kill(Pid::from_raw(bot.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(bot.0.wait().unwrap().code(), Some(0), "{}", machine.log());
}

/// A machine of one's own, in a directory.
struct Machine {
    root: TempDir,
    address: String,
}

/// The bot, ended by its id when the test ends early.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for folder in ["bin", "etc/landfall", "srv/git", "var/lib", "home"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_landfall"), root.path().join("bin/landfall")).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { root, address: free.to_string() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name.trim_start_matches('/'))
    }

    /// The text with the machine's own places in it.
    fn here(&self, text: &str) -> String {
        let root = self.root.path().display();
        let places = ["/srv/", "/etc/landfall", "/var/lib/"];
        let text = places.iter().fold(text.to_owned(), |text, place| text.replace(place, &format!("{root}{place}")));
        text.replace("127.0.0.1:8080", &self.address)
    }

    fn writes(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, self.here(text)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn shell(&self, folder: &str, text: &str) -> Command {
        let mut shell = blocking_program("sh");
        let path = std::env::join_paths([self.path("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
        shell.args(["-euc", &self.here(text)]).current_dir(self.path(folder)).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).env("HOME", self.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        shell.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")]);
        shell.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
        shell.env("LANDFALL_LISTEN", &self.address);
        shell.env("LANDFALL_CONFIG", self.path("etc/landfall/landfall.toml"));
        shell
    }

    /// Types it there, and sees it succeed. What it printed.
    fn types(&self, folder: &str, text: &str) -> String {
        let output = self.shell(folder, text).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{out}{err}\n{}", self.log());
        out.into_owned()
    }

    /// Types it into another window, where it goes on; waits until it is ready.
    fn starts(&self, text: &str) -> Bot {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut shell = self.shell("home", &format!("exec {text}"));
        let bot = Bot(shell.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        self.waits("the bot to be ready", || self.log().contains("is ready"));
        bot
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "a deadline in a test is of the machine's own time")]
    fn waits(&self, what: &str, mut there: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !there() {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
