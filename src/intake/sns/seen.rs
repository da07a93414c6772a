//! Which messages were heard: SNS keeps a message's id when it delivers it again. In memory alone, and not for ever.

use std::collections::{HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// More than a topic of deployments publishes in an hour, and some hundred kilobytes.
const AT_MOST: usize = 4096;

/// The ids of the last hour, as far as there is room.
#[derive(Default)]
pub(super) struct Seen {
    ids: HashSet<String>,
    order: VecDeque<(Timestamp, String)>,
}

impl Seen {
    /// Keeps an id; false where it was kept before. `fresh` is how long a message counts: an older one is refused anyway.
    pub(super) fn keep(&mut self, id: &str, now: Timestamp, fresh: SignedDuration) -> bool {
        while let Some((at, _)) = self.order.front()
            && (self.order.len() >= AT_MOST || now.duration_since(*at) > fresh)
        {
            if let Some((_, id)) = self.order.pop_front() {
                self.ids.remove(&id);
            }
        }
        let is_new = self.ids.insert(id.to_owned());
        if is_new {
            self.order.push_back((now, id.to_owned()));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_for_its_time_and_there_are_never_too_many() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let (mut seen, hour) = (Seen::default(), SignedDuration::from_hours(1));
        assert!(seen.keep("a", now, hour));
        assert!(!seen.keep("a", now + hour, hour));
        assert!(seen.keep("a", now + hour + SignedDuration::from_secs(1), hour));
        (0..3 * AT_MOST).for_each(|number| assert!(seen.keep(&number.to_string(), now, hour)));
        assert_eq!((seen.ids.len(), seen.order.len()), (AT_MOST, AT_MOST));
    }
}
