//! Many bulletins in one message: what needs a person first, then the rest, and how many there are of each.

use std::collections::BTreeMap;

use super::bulletin::Bulletin;
use super::card::{Card, Link, Mood, Span, commit, mood, text_of, title, words};
use crate::domain::News;

/// Longer lists help nobody in chat: the dashboard has them all.
const MOST_LINES: usize = 15;

/// The message for several bulletins, the oldest first; nothing where there are none.
pub fn digest(bulletins: &[&Bulletin]) -> Option<Card> {
    let (oldest, newest) = (bulletins.first()?, bulletins.last()?);
    let mut sorted: Vec<&Bulletin> = bulletins.to_vec();
    // Of each kind the newest first, as everywhere.
    sorted.sort_by_key(|it| (rank(mood(it.news)), std::cmp::Reverse(it.at)));
    let worst = mood(sorted.first()?.news);
    let mut changes: Vec<Vec<Span>> = sorted.iter().take(MOST_LINES).map(|it| line(it)).collect();
    let dashboard = newest.links.dashboard.clone();
    if let Some(more) = sorted.len().checked_sub(MOST_LINES).filter(|it| *it > 0) {
        let text = format!("and {more} more");
        changes.push(vec![match &dashboard {
            Some(url) => Span::Link { text, url: url.clone() },
            None => Span::Plain(text),
        }]);
    }
    Some(Card {
        id: format!("digest-{}-{}-{}", oldest.deployment, newest.deployment, bulletins.len()),
        news: newest.news,
        mood: worst,
        title: vec![Span::Strong(format!("{} deployments", bulletins.len()))],
        text: vec![Span::Plain(counted(bulletins))],
        facts: vec![],
        changes,
        log: None,
        hint: None,
        links: dashboard.into_iter().map(|url| Link { text: "Dashboard", url }).collect(),
        acts: vec![],
        is_digest: true,
    })
}

fn rank(mood: Mood) -> u8 {
    match mood {
        Mood::Bad => 0,
        Mood::Waiting => 1,
        Mood::Good => 2,
        Mood::Going => 3,
    }
}

/// `3 failed, 12 succeeded`
fn counted(bulletins: &[&Bulletin]) -> String {
    let mut counts: BTreeMap<(u8, News), usize> = BTreeMap::new();
    bulletins.iter().for_each(|it| *counts.entry((rank(mood(it.news)), it.news)).or_default() += 1);
    let told: Vec<String> = counts.iter().map(|((_, news), count)| format!("{count} {}", news.as_str())).collect();
    told.join(", ")
}

/// What would have been the message's first line, with where to read on; of what needs a person also why.
fn line(bulletin: &Bulletin) -> Vec<Span> {
    let mut line = vec![Span::plain(format!("{} ", mood(bulletin.news).sign()))];
    match &bulletin.links.deployment {
        Some(url) => {
            let mut told = title(bulletin);
            told.pop();
            line.push(Span::Link { text: text_of(&told).trim_end().to_owned(), url: url.clone() });
            line.extend([Span::plain(" "), commit(&bulletin.commit)]);
        }
        None => line.extend(title(bulletin)),
    }
    if matches!(mood(bulletin.news), Mood::Bad | Mood::Waiting) {
        line.extend([Span::plain(" · "), Span::Said(words(&bulletin.text))]);
    }
    line
}
