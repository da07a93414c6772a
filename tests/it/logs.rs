//! The log of a deployment, read over HTTP while the real engine writes it, and afterwards.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use landfall::clients::process::blocking_program;
use landfall::domain::DeploymentId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bot::Bot;
use crate::cli::{Ran, landfall_with};

/// A bot whose script says something, waits for a file `go`, and goes on with these lines.
struct Place {
    bot: Bot,
}

impl Place {
    fn new(afterwards: &str) -> Self {
        let bot = Bot::new();
        let go = bot.dir.join("go");
        bot.write_site(&format!(
            "echo hello; sleep 0.2; echo oops >&2; until [ -e {} ]; do sleep 0.02; done\n{afterwards}",
            go.display()
        ));
        bot.deliver("d1", &bot.commit("one"));
        Self { bot }
    }

    fn id(&self) -> DeploymentId {
        self.bot.deployments()[0].id()
    }

    fn let_go(&self) {
        fs::write(self.bot.dir.join("go"), "").unwrap();
        self.bot.settle();
    }

    /// The status and the text of a path of this deployment's, with the token.
    fn get(&self, path: &str) -> (u16, String) {
        let token = fs::read_to_string(self.bot.dir.join("data/token")).unwrap();
        let url = format!("{}{}", self.bot.url(), path.replace("ID", &self.id().to_string()));
        let request = reqwest::Client::new().get(url).bearer_auth(token.trim());
        self.bot.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    fn log(&self, query: &str) -> Value {
        let (status, text) = self.get(&format!("/api/v1/deployments/ID/log{query}"));
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until the log has a line of this text.
    fn wait_for(&self, text: &str) {
        let said = |place: &Self| fs::read_to_string(place.run_dir().join("logs/scripts.log")).unwrap_or_default();
        self.bot.wait_for("the run", |bot| bot.deployments()[0].run().is_some());
        self.bot.wait_for(text, |_| said(self).lines().any(|it| it.ends_with(text)));
    }

    /// Runs a verb of the program against the bot.
    fn run(&self, words: &[&str]) -> Ran {
        let (url, token) = (self.bot.url(), fs::read_to_string(self.bot.dir.join("data/token")).unwrap());
        landfall_with(&self.bot.dir, words, &[("LANDFALL_URL", &url), ("LANDFALL_TOKEN", token.trim())])
    }

    fn run_dir(&self) -> std::path::PathBuf {
        let root = self.bot.dir.join("data/deployment-root");
        let groups = fs::read_dir(root).unwrap().map(|it| it.unwrap().path());
        let run = self.bot.deployments()[0].run().unwrap().to_string();
        groups.map(|it| it.join(&run)).find(|it| it.exists()).unwrap()
    }
}

/// The log of a deployment's page.
fn section(page: &str) -> &str {
    page.split_once("id=\"log\"").unwrap().1.split_once("</section>").unwrap().0
}

/// The lines of a page: `stream: text`, headings marked.
fn told(page: &Value) -> Vec<String> {
    let lines = page["lines"].as_array().unwrap().iter();
    let mark = |it: &Value| if it["heading"] == true { "#" } else { "" };
    lines
        .map(|it| format!("{}{}: {}", mark(it), it["stream"].as_str().unwrap(), it["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_log_is_read_while_its_script_speaks_and_goes_on_where_the_reader_was() {
    let place = Place::new("echo bye; echo hello again; exit 0");
    place.wait_for("oops");
    let first = place.log("");
    assert_eq!((&first["over"], first["cursor"].is_u64()), (&Value::Bool(false), true));
    let hello = first["lines"].as_array().unwrap().iter().find(|it| it["text"] == "hello").unwrap();
    assert_eq!((&hello["event"], &hello["script"]), (&"ValidateService".into(), &"scripts/validate.sh".into()));
    assert!(hello["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    place.let_go();
    let rest = place.log(&format!("?cursor={}", first["cursor"]));
    assert_eq!(told(&rest), ["stdout: bye", "stdout: hello again"]);
    assert_eq!((&rest["over"], &rest["cursor"]), (&Value::Bool(true), &Value::Null));

    let all = told(&place.log(""));
    assert_eq!([told(&first), told(&rest)].concat(), all);
    assert!(all.contains(&"#landfall: LifecycleEvent - ValidateService".to_owned()), "{all:?}");
    let (mut paged, mut path) = (vec![], "?limit=2".to_owned());
    loop {
        let page = place.log(&path);
        paged.extend(told(&page));
        let Some(cursor) = page["cursor"].as_u64() else { break };
        path = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(paged, all);
    let newest = place.log("?before=999999999&limit=1");
    assert_eq!(told(&newest), ["stdout: hello again"]);
    assert_eq!(told(&place.log(&format!("?before={}&limit=1", newest["before"]))), ["stdout: bye"]);

    assert_eq!(place.get("/api/v1/deployments/ID/log?cursor=x").0, 400);
    let (status, text) = place.get("/api/v1/deployments/01ARZ3NDEKTSV4RRFFQ69G5FAV/log");
    assert_eq!((status, text.contains("there is no deployment")), (404, true), "{text}");
}

#[test]
fn a_log_that_is_gone_is_said_to_be_and_its_last_lines_stay() {
    let place = Place::new("echo the end is near >&2; exit 7");
    place.wait_for("oops");
    place.let_go();
    assert_eq!(place.log("")["note"], Value::Null);
    fs::remove_dir_all(place.run_dir()).unwrap();
    let page = place.log("");
    assert!(page["note"].as_str().unwrap().contains("was deleted"), "{page}");
    assert_eq!(told(&page), ["stdout: hello", "stderr: oops", "stderr: the end is near"]);
    assert_eq!((&page["over"], &page["cursor"]), (&Value::Bool(true), &Value::Null));
}

#[test]
fn a_log_keeps_secrets_and_what_terminals_obey_to_itself() {
    let place = Place::new("echo the key is $(cat ../../../../../secret); printf '\\033[31mred\\033[0m\\n'");
    place.wait_for("oops");
    place.let_go();
    let told = told(&place.log(""));
    assert_eq!(told[told.len() - 2..], ["stdout: the key is [secret]", "stdout: [31mred[0m"]);
}

#[test]
fn the_page_has_the_log_without_a_script_and_finds_what_is_searched_for() {
    let place = Place::new("seq -f 'step %g of <b>many</b>' 500; sleep 0.3; echo 'No such <b>' >&2; exit 7");
    place.wait_for("oops");
    let (_, page) = place.get("/deployments/ID");
    for part in
        ["<span class=\"said\">hello</span>", "data-cursor=", "ValidateService <code>scripts/validate.sh</code>"]
    {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    place.let_go();
    let (_, page) = place.get("/deployments/ID");
    let [failing, log] = &page.split("id=\"log\"").collect::<Vec<_>>()[..] else { panic!("{page}") };
    assert!(failing.contains("ended with exit code 7") && failing.contains("No such &lt;b&gt;"), "{failing}");
    assert!(log.contains("step 500 of &lt;b&gt;many") && !log.contains("step 5 of") && !page.contains("data-cursor="));
    let older = log.split_once("href=\"?before=").unwrap().1.split_once("#log").unwrap().0;
    let (_, page) = place.get(&format!("/deployments/ID?before={older}"));
    let log = section(&page);
    assert!(log.contains("step 200 of") && log.contains("Newer lines") && !log.contains("step 400 of"), "{log}");

    let (_, page) = place.get("/deployments/ID?q=STEP+49");
    let log = section(&page);
    assert!(log.contains("11 lines have “STEP 49”"), "{log}");
    assert!(log.contains("<mark>step 49</mark>9 of &lt;b&gt;") && !log.contains("hello"), "{log}");
    let (_, page) = place.get("/deployments/ID?q=%3Cscript%3E");
    assert!(page.contains("0 lines have “&#60;script&#62;”"), "{page}");

    let (status, text) = place.get("/deployments/ID/log");
    assert_eq!(status, 200);
    let written = fs::read_to_string(place.run_dir().join("logs/scripts.log")).unwrap();
    assert_eq!(text, written);
}

#[test]
fn the_terminal_prints_a_log_beneath_its_scripts_and_follows_it_to_the_end() {
    let place = Place::new("echo bye; exit 7");
    place.wait_for("oops");
    let id = place.id().to_string();
    let ran = place.run(&["logs", "site"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let lines: Vec<&str> =
        ran.out.lines().map(|it| it.get(8..).filter(|_| it.starts_with(['0', '1', '2'])).unwrap_or(it)).collect();
    let from = lines.iter().position(|it| it.starts_with("ValidateService")).unwrap();
    let of_script: Vec<&str> = lines[from..].iter().copied().filter(|it| !it.starts_with(" # runs as ")).collect();
    assert_eq!(of_script, ["ValidateService  scripts/validate.sh", "   hello", " ! oops"]);
    assert!(ran.talk.contains(&format!("landfall logs -f {id}")), "{}", ran.talk);

    let (url, token) = (place.bot.url(), fs::read_to_string(place.bot.dir.join("data/token")).unwrap());
    let mut child = blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(["logs", "-f", &id, "--url", &url, "--token", token.trim()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|it| it.ends_with("! oops")));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let talk = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{talk}");
    assert!(talk.contains(&format!("come back with `landfall logs -f {id}`")), "{talk}");

    let ran = std::thread::scope(|scope| {
        let following = scope.spawn(|| place.run(&["logs", "--follow", "site", "--json"]));
        place.let_go();
        following.join().unwrap()
    });
    assert_eq!(ran.exit, 1, "{}", ran.talk);
    let texts: Vec<Value> =
        ran.out.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["text"].clone()).collect();
    assert!(texts.ends_with(&["`scripts/validate.sh` ended with exit code 7 in ValidateService".into()]), "{texts:?}");
    assert!(texts.contains(&"bye".into()), "{texts:?}");
    assert!(ran.talk.contains("site failed: "), "{}", ran.talk);
    let ran = place.run(&["logs", "sites"]);
    assert_eq!((ran.exit, ran.talk.contains("did you mean `site`?")), (2, true), "{}", ran.talk);
}

#[test]
fn a_search_that_does_not_get_its_turn_says_so_and_an_open_page_never_searches_again() {
    let place = Place::new("exit 0");
    place.wait_for("oops");
    place.let_go();
    let (_, found) = place.get("/deployments/ID?q=hello");
    let around = format!("data-stays=\"/deployments/{}\"", place.id());
    assert!(section(&found).contains(&around) && section(&found).contains("1 line has"), "{found}");
    // Whoever reads this waits for one who writes.
    let log = place.run_dir().join("logs/scripts.log");
    fs::remove_file(&log).unwrap();
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let late = std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        for tell in [tell.clone(), tell] {
            let place = &place;
            scope.spawn(move || tell.send(place.get("/deployments/ID?q=hello")));
        }
        let late = told.recv().unwrap();
        fs::File::options().write(true).open(&log).unwrap();
        late
    });
    assert_eq!(late.0, 200, "all but the search is shown");
    let told = section(&late.1);
    assert!(told.contains("other logs are being searched: search again in some seconds.</p>"), "{told}");
    assert!(told.contains(&around) && !told.contains("0 lines"), "{told}");
}

#[test]
fn who_follows_a_log_ends_quietly_once_its_reader_has_gone_although_nothing_is_said() {
    let place = Place::new("exit 0");
    place.wait_for("oops");
    let (url, token) = (place.bot.url(), fs::read_to_string(place.bot.dir.join("data/token")).unwrap());
    let mut child = blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(["logs", "-f", "site", "--url", &url, "--token", token.trim()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|it| it.ends_with("! oops")));
    drop(said);
    // The script waits, and so would whoever hears of the reader only when there is something to write.
    let child = RefCell::new(child);
    place.bot.wait_for("the end of `logs`", |_| child.borrow_mut().try_wait().unwrap().is_some());
    let ended = child.into_inner().wait_with_output().unwrap();
    let talk = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{talk}");
    assert!(!talk.contains("landfall") && !talk.contains("panicked"), "{talk}");
    place.let_go();
}

#[test]
fn the_page_says_which_commits_came_since_what_was_live_before() {
    let place = Place::new("exit 0");
    place.let_go();
    assert!(!place.get("/deployments/ID").1.contains("id=\"changes\""), "nothing was live before");
    for page in ["two", "three <b>"] {
        place.bot.commit(page);
    }
    place.bot.deliver("d2", &place.bot.commit("four"));
    place.bot.settle();
    let (_, page) = place.get("/deployments/ID");
    let changes = page.split_once("id=\"changes\"").unwrap().1;
    assert!(changes.contains("3 commits since"), "{changes}");
    let at = |text: &str| changes.find(text).unwrap_or_else(|| panic!("`{text}` is not in {changes}"));
    assert!(at("four") < at("three &#60;b&#62;") && at("three") < at("two"), "{changes}");
    // The answer is kept: the source is not asked again.
    fs::rename(place.bot.repo.bare(), place.bot.dir.join("away")).unwrap();
    assert!(place.get("/deployments/ID").1.contains("3 commits since"));
}

#[test]
fn what_was_live_before_is_what_was_when_the_release_began() {
    let place = Place::new("exit 0");
    place.let_go();
    let go = place.bot.dir.join("go");
    fs::remove_file(&go).unwrap();
    place.bot.deliver("d2", &place.bot.commit("two"));
    place.bot.wait_for("the second to run", |bot| bot.runs() == 2);
    place.bot.deliver("d3", &place.bot.commit("three"));
    place.bot.wait_for("the third to wait", |bot| bot.deployments()[0].state().name() == "held");
    assert!(place.get("/deployments/ID").1.contains("2 commits since"), "nothing else is live yet");
    place.let_go();
    let page = place.get("/deployments/ID").1;
    assert!(page.contains("1 commit since"), "{}", page.split_once("id=\"changes\"").unwrap().1);
}
