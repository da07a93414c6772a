//! Where deployments of the CodeDeploy world wait for a person: before traffic moves, and before what served ends.

use super::fleet::Fleet;
use super::state::{BEFORE, Deployment};

impl Deployment {
    /// A person lets traffic move.
    pub(super) fn go_on(&mut self) {
        self.continued = true;
        self.fleet.iter_mut().for_each(Fleet::go_on);
    }

    /// Whether traffic has moved, and what served before lives on.
    pub(super) fn is_terminating(&self) -> bool {
        let old_tasks = self.platform == "ECS" && self.is_active() && self.step >= BEFORE + self.course().len();
        self.fleet.as_ref().map_or(old_tasks, Fleet::is_terminating)
    }

    /// A person lets what served before end now.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.fleet.iter_mut().for_each(Fleet::finish);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.status() == "Ready"
    }

    /// On Lambda and ECS it waits right before traffic moves.
    pub(super) fn waits_before_traffic(&self) -> bool {
        let before = self.place_of("AllowTraffic").filter(|_| self.platform != "Server");
        self.scenario.waits_for_traffic && !self.continued && before.is_some() && self.at_work() == before
    }
}
