//! A mail server on loopback: takes messages as RFC 5321 has it, refuses what that refuses, and answers as a test says. It
//! speaks no TLS and keeps what it took.

use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What it took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// The message, as it came.
    pub(crate) message: String,
}

/// How a line is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Says(&'static str),
    /// The connection ends.
    HangsUp,
    /// Nothing comes any more.
    Hangs,
}

#[derive(Default)]
struct State {
    /// What begins so is answered so; an empty beginning is that of the connection.
    answers: Vec<(&'static str, Answer)>,
    /// Name and password, where it wants them.
    login: Option<(&'static str, &'static str)>,
    taken: Vec<Taken>,
    /// Every line that was said to it.
    heard: Vec<String>,
    /// What broke the rules.
    wrong: Vec<String>,
}

/// A running server. It ends when dropped.
pub(crate) struct Post {
    state: Arc<Mutex<State>>,
    port: u16,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Post {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Post {
    /// On a thread of its own.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (told, hear) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap().port()).unwrap();
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = ended => {}
                }
            });
        });
        Self { state, port: hear.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Lines that begin so are answered so from now on.
    pub(crate) fn answers(&self, line: &'static str, answer: Answer) {
        self.state().answers.insert(0, (line, answer));
    }

    /// It answers as it would by itself again.
    pub(crate) fn calms(&self) {
        self.state().answers.clear();
    }

    /// It takes mail of this person alone.
    pub(crate) fn wants(&self, name: &'static str, password: &'static str) {
        self.state().login = Some((name, password));
    }

    /// What was taken since the last time, oldest first. Nothing may have broken the rules.
    pub(crate) fn take(&self) -> Vec<Taken> {
        let mut state = self.state();
        assert!(state.wrong.is_empty(), "{}", state.wrong.join("\n"));
        std::mem::take(&mut state.taken)
    }

    /// What was said since the last time, line by line, messages apart.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.state().heard)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let talk = Talk { stream: BufReader::new(stream), state, knows: false, from: None, to: Vec::new() };
            let _ = talk.go_on().await;
        });
    }
}

fn goes_on(said: &str) -> bool {
    !said.is_empty() && !said.starts_with("421")
}

struct Talk {
    stream: BufReader<TcpStream>,
    state: Arc<Mutex<State>>,
    /// Whether the client has logged in, or need not.
    knows: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl Talk {
    async fn go_on(mut self) -> std::io::Result<()> {
        self.knows = self.state.lock().unwrap().login.is_none();
        if !goes_on(&self.answer("", "220 post.example ESMTP").await?) {
            return Ok(());
        }
        loop {
            let Some(line) = self.line().await? else { return Ok(()) };
            self.state.lock().unwrap().heard.push(line.clone());
            let reply = self.reply(&line);
            let said = self.answer(&line, &reply).await?;
            if !goes_on(&said) || line == "QUIT" {
                return Ok(());
            }
            if said.starts_with("354") {
                let message = self.message().await?;
                let (from, to) = (self.from.take().unwrap(), std::mem::take(&mut self.to));
                let said = self.answer("\r\n.\r\n", "250 2.0.0 kept").await?;
                if said.starts_with('2') {
                    self.state.lock().unwrap().taken.push(Taken { from, to, message });
                }
                if !goes_on(&said) {
                    return Ok(());
                }
            }
        }
    }

    /// What it says by itself.
    fn reply(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_at(line.find([' ', ':']).unwrap_or(line.len()));
        let path = |it: &str| it.strip_suffix('>')?.split_once(":<").map(|(_, it)| it.to_owned());
        match verb {
            "EHLO" if rest.len() > 1 => "250-post.example\r\n250-SIZE 1000000\r\n250 AUTH PLAIN LOGIN".into(),
            "AUTH" if self.logs_in(rest) => "235 2.7.0 welcome".into(),
            "AUTH" => "535 5.7.8 Authentication credentials invalid".into(),
            "QUIT" => "221 2.0.0 bye".into(),
            "MAIL" if !self.knows => "530 5.7.0 Authentication required".into(),
            "MAIL" if self.from.is_none() && path(rest).is_some() => {
                self.from = path(rest);
                "250 2.1.0 ok".into()
            }
            "RCPT" if self.from.is_some() && path(rest).is_some() => "250 2.1.5 ok".into(),
            "DATA" if !self.to.is_empty() => "354 go on".into(),
            _ => self.breaks(format!("503 5.5.1 not now: {line}")),
        }
    }

    fn logs_in(&mut self, rest: &str) -> bool {
        let said = rest.trim().strip_prefix("PLAIN ").and_then(|it| STANDARD.decode(it).ok()).unwrap_or_default();
        let state = self.state.lock().unwrap();
        self.knows = state.login.is_some_and(|(name, password)| said == format!("\0{name}\0{password}").into_bytes());
        self.knows
    }

    fn breaks(&self, why: String) -> String {
        self.state.lock().unwrap().wrong.push(why.clone());
        why
    }

    /// Says what the test has it say, or this. Gives what was said; nothing where it hangs up.
    async fn answer(&mut self, line: &str, reply: &str) -> std::io::Result<String> {
        let answers = self.state.lock().unwrap().answers.clone();
        let told = answers.iter().find(|(start, _)| line.starts_with(start) && start.is_empty() == line.is_empty());
        let reply = match told {
            Some((_, Answer::Says(it))) => it,
            Some((_, Answer::HangsUp)) => return Ok(String::new()),
            Some((_, Answer::Hangs)) => std::future::pending().await,
            None => reply,
        };
        if let Some(to) = line.strip_prefix("RCPT TO:<").filter(|_| reply.starts_with('2')) {
            self.to.push(to.trim_end_matches('>').to_owned());
        }
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        Ok(reply.to_owned())
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if !line.ends_with("\r\n") || line.len() > 512 || !line.is_ascii() {
            self.breaks(format!("no line of a command: {line:?}"));
        }
        Ok(Some(line.trim_end().to_owned()))
    }

    /// The message, without the dots that were put before its dots.
    async fn message(&mut self) -> std::io::Result<String> {
        let mut message = String::new();
        loop {
            let mut line = Vec::new();
            (&mut self.stream).take(10_000).read_until(b'\n', &mut line).await?;
            if line == b".\r\n" {
                return Ok(message);
            }
            // «4.5.3.1.6 Text Line», «2.3.8 Lines», and 7 bits where no more was agreed upon.
            let text = String::from_utf8_lossy(&line).into_owned();
            let is_right = text.ends_with("\r\n") && text.len() <= 1000 && text.is_ascii();
            if !is_right || text.trim_end_matches("\r\n").contains(['\r', '\n', '\0']) {
                self.breaks(format!("no line of a message: {text:?}"));
            }
            if line.is_empty() {
                return Ok(message);
            }
            message.push_str(text.strip_prefix('.').unwrap_or(&text));
        }
    }
}
