//! Small plots of a target's days, as shapes of SVG that a style sheet colours. They say nothing that the page does not say
//! in words, too.

use crate::board::Day;

/// How wide a day is, with the gap after it.
pub(super) const STEP: usize = 8;
/// How high the plot is.
pub(super) const HIGH: usize = 40;

/// A bar of a plot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) height: usize,
    /// The class that colours it.
    pub(super) class: &'static str,
    /// What it says to who points at it.
    pub(super) title: String,
}

/// A bar for what became live on each day, and one on top for what failed; days without either have none.
pub(super) fn bars(days: &[Day]) -> Vec<Bar> {
    let most = days.iter().map(|it| it.succeeded + it.failed).max().unwrap_or(0).max(1);
    // What there was is seen, however little it is beside the rest.
    let high = |many: usize| if many == 0 { 0 } else { (many * HIGH / most).max(2) };
    let mut bars = Vec::new();
    for (at, day) in days.iter().enumerate() {
        let title = format!("{}: {} live, {} failed or rolled back", day.date, day.succeeded, day.failed);
        let mut y = HIGH;
        for (height, class) in [(high(day.succeeded), "succeeded"), (high(day.failed), "failed")] {
            if height > 0 {
                y = y.saturating_sub(height);
                bars.push(Bar { x: at * STEP, y, height, class, title: title.clone() });
            }
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_become_bars_that_stand_on_each_other() {
        let day = |day, succeeded, failed| Day { date: date(2026, 1, day), succeeded, failed };
        let bars = bars(&[day(1, 0, 0), day(2, 3, 1), day(3, 1, 0)]);
        let shapes: Vec<_> = bars.iter().map(|it| (it.x, it.y, it.height, it.class)).collect();
        assert_eq!(shapes, [(8, 10, 30, "succeeded"), (8, 0, 10, "failed"), (16, 30, 10, "succeeded")]);
        assert_eq!(bars[0].title, "2026-01-02: 3 live, 1 failed or rolled back");
    }
}
