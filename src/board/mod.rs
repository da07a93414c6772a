//! The read model: what is live where, what is under way, and why not. It never decides anything and never writes.
//!
//! Everything that people read comes through here, so that the API, the dashboard, the terminal and the demo say the
//! same: a view for each thing ([`TargetView`], [`DeploymentView`], …), and a [`sentence()`] for each record.

mod approving;
mod audit;
mod figures;
mod lists;
mod log;
mod outages;
mod query;
mod reading;
mod sentence;
mod stages;
mod views;

pub use approving::ApprovalView;
pub use audit::{AuditEntry, AuditPage};
pub use figures::Figures;
pub use log::{EngineOf, LogHits, LogPage, LogQuery};
pub use outages::Outages;
pub use query::{AuditQuery, BadQuery, DeliveriesQuery, DeploymentsQuery, Moment, parse_offset};
pub use reading::{Board, BoardError};
pub use sentence::{asked, sentence};
pub use stages::Stage;
pub use views::{
    ChildView, DeliveriesPage, DeliveryDetail, DeliveryView, DeploymentDetail, DeploymentView, DeploymentsPage,
    EventView, HoldView, LiveView, PlanView, ReportView, TargetView, TargetsPage, WhyPage,
};
pub(crate) use views::{commit_url, repository_url};
