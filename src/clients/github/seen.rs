//! What GitHub answered before, with the tag that it gave the answer: asked again with it, GitHub says whether anything has
//! changed, and where nothing has, counts nothing. A little is kept, the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http::header::LINK;

use super::wire::Answer;

/// The heads of some thousand refs.
const BYTES_AT_MOST: usize = 2 << 20;
/// A longer answer is asked for anew each time.
const LONGEST: usize = 64 << 10;

/// Answers by what was asked. Each path is asked in one name only, that of whoever speaks for its repository.
#[derive(Default)]
pub(super) struct Seen(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<String, Known>,
    /// In the order in which they were first asked for.
    order: VecDeque<String>,
    bytes: usize,
}

/// An answer.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) tag: HeaderValue,
    /// Where it is one page of many.
    link: Option<HeaderValue>,
    body: Bytes,
}

impl Known {
    pub(super) fn new(tag: HeaderValue, answer: &Answer) -> Self {
        Self { tag, link: answer.headers.get(LINK).cloned(), body: answer.body.clone() }
    }

    /// The answer, as far as anything of it is asked for again.
    pub(super) fn answer(self) -> Answer {
        Answer { headers: self.link.into_iter().map(|link| (LINK, link)).collect(), body: self.body }
    }
}

impl Seen {
    /// The last answer.
    pub(super) fn of(&self, path: &str) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.get(path).cloned()
    }

    /// Keeps an answer in the place of the one before.
    pub(super) fn keep(&self, path: &str, known: Known) {
        let size = |path: &str, known: &Known| path.len() + known.body.len();
        if known.body.len() > LONGEST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += size(path, &known);
        match kept.answers.insert(path.to_owned(), known) {
            Some(before) => kept.bytes -= size(path, &before),
            None => kept.order.push_back(path.to_owned()),
        }
        while kept.bytes > BYTES_AT_MOST {
            let Some(oldest) = kept.order.pop_front() else { break };
            if let Some(gone) = kept.answers.remove(&oldest) {
                kept.bytes -= size(&oldest, &gone);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(bytes: usize) -> Known {
        Known { tag: HeaderValue::from_static("\"x\""), link: None, body: vec![b'x'; bytes].into() }
    }

    #[test]
    fn a_little_is_kept_and_the_oldest_goes_first() {
        let seen = Seen::default();
        (0..1000).for_each(|n| seen.keep(&n.to_string(), known(10_000)));
        assert!(seen.of("0").is_none() && seen.of("999").is_some());
        assert!((200..=BYTES_AT_MOST / 10_000).contains(&seen.0.lock().unwrap().answers.len()));
        seen.keep("999", known(5));
        assert_eq!(seen.of("999").unwrap().body.len(), 5);
        seen.keep("long", known(LONGEST + 1));
        assert!(seen.of("long").is_none());
        let kept = seen.0.lock().unwrap();
        let counted: usize = kept.answers.iter().map(|(path, it)| path.len() + it.body.len()).sum();
        assert_eq!((counted, kept.answers.len()), (kept.bytes, kept.order.len()));
    }
}
