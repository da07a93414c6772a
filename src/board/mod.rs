//! The read model: what is live where, what is under way, and why not. It never decides anything and never writes.
//!
//! Everything that people read comes through here, so that the API, the dashboard, the terminal and the demo say the
//! same: a view for each thing ([`TargetView`], [`DeploymentView`], …), and a [`sentence()`] for each record.

mod approving;
mod audit;
mod changes;
mod configured;
mod distances;
mod event_view;
mod figures;
mod lists;
mod log;
mod moments;
mod outages;
mod places;
mod query;
mod reading;
mod sentence;
mod stages;
mod trend;
mod views;

pub use approving::ApprovalView;
pub use audit::{AuditEntry, AuditPage};
pub use changes::{Changes, CommitView, CommitsView};
pub use configured::{Configuration, TargetDetail};
pub use distances::Distances;
pub use event_view::EventView;
pub use figures::Figures;
pub use log::{EngineOf, LogHits, LogPage, LogQuery};
pub use moments::{MomentView, moment};
pub use outages::Outages;
pub use places::{DriftView, LaneView};
pub use query::{AuditQuery, BadQuery, DeliveriesQuery, DeploymentsQuery, Moment, parse_offset};
pub use reading::{Board, BoardError};
pub use sentence::{asked, sentence};
pub use stages::Stage;
pub use trend::{DEFINITIONS, Day, Period, TrendView};
pub use views::{
    ChildView, DeliveriesPage, DeliveryDetail, DeliveryView, DeploymentDetail, DeploymentView, DeploymentsPage,
    HoldView, LiveView, PlanView, ReportView, TargetView, TargetsPage, WhyPage,
};
pub(crate) use views::{commit_url, repository_url};
