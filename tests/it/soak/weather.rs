//! What goes wrong outside: GitHub, S3 and CodeDeploy answer with nonsense, throttle, hang, break off, and go away for a
//! while. It stands between the worlds and the bot, and knows neither.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::apply::things::Dice;
use crate::crash::storm::Stage;
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::proxy::{Break, Head, Proxy};

/// Proxies before the three worlds.
pub(super) struct Weather<'a> {
    github: Proxy,
    s3: Proxy,
    codedeploy: Proxy,
    world: &'a GitHubWorld,
    dice: Mutex<Dice>,
    _runtime: Runtime,
}

/// All requests are one to it.
fn any(_: &Head<'_>) -> String {
    "any".into()
}

impl<'a> Weather<'a> {
    /// Stands between a stage's worlds and whoever is started on it from now on.
    pub(super) fn between(stage: &'a Stage) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let path = stage.dir.join("landfall.toml");
        let mut text = fs::read_to_string(&path).unwrap();
        let mut before = |world: &str| {
            let proxy = Proxy::start(&runtime, world, any);
            text = text.replace(world.trim_end_matches('/'), &proxy.url());
            proxy
        };
        let api = stage.github.config().api_url;
        let github = before(api.strip_suffix("/api/v3").unwrap());
        let (s3, codedeploy) = (before(stage.s3.url()), before(&stage.codedeploy.url()));
        fs::write(path, text).unwrap();
        Self { github, s3, codedeploy, world: &stage.github, dice: Mutex::new(Dice(7)), _runtime: runtime }
    }

    /// Something goes wrong, and then nothing for a moment.
    pub(super) fn changes(&self, over: &AtomicBool) {
        let mut dice = self.dice.lock().unwrap();
        let (who, throttled) = match dice.below(4) {
            0 => (&self.s3, Self::answer(503, "application/xml", "<Error><Code>SlowDown</Code></Error>")),
            1 => (&self.codedeploy, {
                Self::answer(400, "application/x-amz-json-1.1", r#"{"__type":"ThrottlingException","message":"later"}"#)
            }),
            _ => (&self.github, Self::answer(503, "application/json", r#"{"message":"later"}"#)),
        };
        let times = usize::try_from(1 + dice.below(4)).unwrap();
        match dice.below(9) {
            0 => who.script("any", vec![throttled; times]),
            1 => who.script("any", vec![Self::answer(502, "text/html", "<h1>Bad gateway</h1>"); times]),
            2 => who.script("any", vec![Break::CutBefore; times]),
            3 => who.script("any", [Break::CutAfter]),
            4 => who.script("any", [Break::Slow(Duration::from_millis(dice.below(20_000)))]),
            5 => who.script("any", [Break::RefusedAfterwards(Duration::from_millis(dice.below(3_000)))]),
            6 => who.refuse_for(Duration::from_millis(dice.below(8_000))),
            // It asks for a second's rest; without a word of how long, the bot would keep still for minutes.
            7 => self.world.script(Route::Ref, [Trouble::RateLimited { retry_after: 1 }]),
            _ => who.script("any", [Self::answer(200, "application/json", "{\"what\":")]),
        }
        let until = dice.below(40);
        drop(dice);
        for _ in 0..until {
            if !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Nothing more goes wrong.
    pub(super) fn clears(&self) {
        for proxy in [&self.github, &self.s3, &self.codedeploy] {
            proxy.forget("any");
            proxy.open();
        }
    }

    fn answer(status: u16, content_type: &'static str, body: &str) -> Break {
        Break::Answer { status, content_type, body: body.into() }
    }
}
