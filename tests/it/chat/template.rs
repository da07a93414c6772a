//! Templates of people: what they write is read by the service, and what a value brings is text, whatever the template does
//! with it.

use expect_test::expect;
use landfall::chat::Card;
use landfall::domain::News;
use serde_json::Value;

use super::{Place, bulletin};
use crate::cli::landfall_with;
use crate::worlds::chat::reading::Reading;
use crate::worlds::chat::{discord, mattermost, slack, teams};

/// Everything by which a template could take a value for more than text.
pub(super) const SLY: &str = r#"
title = "{{ place.target }} {{ commit.title | safe }}"
text = "{{ text }} {% set x %}{{ actor }}{% endset %}{{ x }} {% autoescape false %}{{ trouble.hint }}{% endautoescape %} {% filter lower %}{{ cause }}{% endfilter %} {{ changes.commits | map(attribute='title') | join(' ') }} {{ trouble.log ~ trouble.script }}"
"#;

type Read = fn(&Value) -> Reading;

fn of(kind: &str, ada: &str, words: &str) -> Place {
    Place::written(kind, ada, |_| format!("webhook = {{ file = \"hook\" }}\n{words}"))
}

fn places(words: &str) -> [(Place, Read); 4] {
    [
        (of("slack", "U1", words), slack::read),
        (of("discord", "1", words), discord::read),
        (of("mattermost", "ada", words), mattermost::read),
        (of("teams", "a@x.example", words), teams::read),
    ]
}

#[tokio::test]
async fn nothing_hostile_does_anything_in_a_template() {
    for (place, read) in places(SLY) {
        let (card, unsaid) = Card::worded(&bulletin(News::Failed), &place.chat);
        assert!(unsaid.is_none(), "{unsaid:?} {card:?}");
        place.stands_hostile_text(&[], read).await;
    }
}

#[tokio::test]
async fn what_the_template_writes_is_in_the_services_own_form() {
    let words = "title = \"<https://example.com|*{{ commit.title }}*>\"\ntext = \"\"\"\nBy **{{ actor }}** & _you_\n> {{ news }}\"\"\"";
    let mut told = String::new();
    for (place, _) in places(words) {
        let body = place.told(&bulletin(News::Started)).await;
        let (attachment, embed) = (&body["attachments"][0], &body["embeds"][0]);
        let lines = [
            &attachment["blocks"][0]["text"],
            &attachment["blocks"][1]["text"],
            &embed["title"],
            &embed["description"],
            &attachment["title"],
            &attachment["text"],
            &attachment["content"]["body"][0]["inlines"],
            &attachment["content"]["body"][1]["inlines"],
        ];
        lines.iter().filter(|it| !it.is_null()).for_each(|it| told += &format!("{it}\n").replace('\u{200b}', ""));
    }
    expect![[r#"
        {"text":"⏳ <https://example.com|*Fix rounding of ˋtotalˋ*>","type":"mrkdwn","verbatim":true}
        {"text":"By **ada** & _you_\n> started","type":"mrkdwn","verbatim":true}
        "⏳ <https://example.com|*Fix rounding of \\`total\\`*>"
        "By **ada** & _you_\n> started\n- [4f2c1e9](https://github.com/acme/shop/commit/4f2c1e9) Fix rounding of \\`total\\` · Ada Lovelace\n- [77aa001](https://github.com/acme/shop/commit/77aa001) Add \\*net\\* prices \\(\\#12\\) · Ada Lovelace\n- [and 3 more](https://github.com/acme/shop/compare/1...2)\n[Deployment](https://deploy.example.com/deployments/1) · [Engine](https://eu-central-1.console.aws.amazon.com/codedeploy/d-1)"
        "⏳ <https://example.com|*Fix rounding of \\`total\\`*>"
        "By **ada** & _you_\n> started\n\n- [4f2c1e9](https://github.com/acme/shop/commit/4f2c1e9) Fix rounding of \\`total\\` · Ada Lovelace\n- [77aa001](https://github.com/acme/shop/commit/77aa001) Add \\*net\\* prices \\(\\#12\\) · Ada Lovelace\n- [and 3 more](https://github.com/acme/shop/compare/1...2)\n\n[Deployment](https://deploy.example.com/deployments/1) · [Engine](https://eu-central-1.console.aws.amazon.com/codedeploy/d-1)"
        [{"color":"Accent","size":"Large","text":"⏳ ","type":"TextRun","weight":"Bolder"},{"color":"Accent","size":"Large","text":"<https://example.com|*","type":"TextRun","weight":"Bolder"},{"color":"Accent","size":"Large","text":"Fix rounding of `total`","type":"TextRun","weight":"Bolder"},{"color":"Accent","size":"Large","text":"*>","type":"TextRun","weight":"Bolder"}]
        [{"text":"By **","type":"TextRun"},{"text":"ada","type":"TextRun"},{"text":"** & _you_\n> ","type":"TextRun"},{"text":"started","type":"TextRun"}]
    "#]].assert_eq(&told);
}

#[test]
fn a_template_that_fails_leaves_the_usual_words() {
    let failing = [
        ("text = '{{ trouble.code }}'", "`trouble.code` is undefined"),
        (
            "text = '{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}'",
            "it takes too long",
        ),
        ("title = \"{{ 'x' * 1000000000 }}\"", "it takes too long"),
        ("title = ' {{ cause }} '", "it is empty"),
    ];
    let told = bulletin(News::Started);
    for (words, expected) in failing {
        let place = of("slack", "U1", words);
        let (card, unsaid) = Card::worded(&told, &place.chat);
        assert_eq!(unsaid.map(|it| it.message).as_deref(), Some(expected), "{words}");
        assert_eq!(card, Card::of(&told, &place.chat.people), "{words}");
    }
}

#[test]
fn check_says_where_a_template_is_wrong_and_what_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let check = |words: &str| {
        let text = format!(
            "data_dir = \"data\"\n[github]\nwebhook_secrets = [{{ env = \"X\" }}]\n[[chat]]\nname = \"ops\"\n{words}\n"
        );
        std::fs::write(dir.path().join("landfall.toml"), text).unwrap();
        let ran = landfall_with(dir.path(), &["check", "landfall.toml", "--format", "github"], &[("X", "x")]);
        let errors = ran.out.lines().filter(|it| it.starts_with("::error")).map(|it| format!("{it}\n"));
        errors.collect::<String>()
    };
    let slack = |words: &str| check(&format!("kind = \"slack\"\nwebhook = {{ env = \"X\" }}\n{words}"));
    let webhook = "kind = \"webhook\"\nwebhook = { env = \"X\" }\nsecret = { env = \"X\" }\ntitle = \"x\"";
    let told = [
        slack("title = \"{{ place.target }} {{ comit.short }}\""),
        slack("text = \"\"\"\n{{ text }}\n  {{ commit.titel }}\"\"\""),
        slack("text = \"{{ trouble.hint }}\""),
        slack("text = \"{{ text \""),
        slack("text = \"{{ text | shout }}\""),
        slack(
            "title = \"{{ place.target }} {{ news }}\"\ntext = \"{{ text }}{% if trouble %}: {{ trouble.hint }}{% endif %}\"",
        ),
        check(webhook),
    ];
    expect![[r#"
        ::error file=landfall.toml,line=8,col=32,title=chat/template::the template `chat.title` says nothing of `held`: `comit` is undefined%0Adid you mean `commit`?

        ::error file=landfall.toml,line=10,col=6,title=chat/template::the template `chat.text` says nothing of `held`: `commit.titel` is undefined%0Adid you mean `title`?

        ::error file=landfall.toml,line=8,col=12,title=chat/template::the template `chat.text` says nothing of `held`: `trouble.hint` is undefined%0Aask first whether it is there: `{%25 if trouble %25}…{%25 endif %25}`

        ::error file=landfall.toml,line=8,col=12,title=chat/template::the template `chat.text` says nothing of `held`: unexpected end of input, expected end of variable block

        ::error file=landfall.toml,line=8,col=19,title=chat/template::the template `chat.text` says nothing of `held`: filter shout is unknown


        ::error file=landfall.toml,line=9,col=9,title=config/bad-value::`chat.title` is for what people read, and a webhook is sent data%0Atake it out, or make the sentence where the data arrives
    "#]].assert_eq(&told.join("\n"));
}
