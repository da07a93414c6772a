//! The lists, page by page: one more than a page holds tells whether there is another. They never decide what fits.

use super::audit::{AuditEntry, AuditPage};
use super::query::{AuditQuery, DeliveriesQuery, DeploymentsQuery};
use super::reading::{Answer, Inside};
use super::views::{DeliveriesPage, DeploymentView, DeploymentsPage};
use crate::domain::{DeploymentId, Stream};
use crate::ledger::{DeliveryFilter, Filter};

impl Inside {
    pub(super) fn deployments(&self, query: DeploymentsQuery) -> Answer<DeploymentsPage> {
        let DeploymentsQuery { target, repository, sha, state, since, until, before, limit } = query;
        let from = since.map(|it| DeploymentId::first_at(it.at));
        let before = until.map(|it| DeploymentId::first_at(it.at)).into_iter().chain(before).min();
        let filter = Filter { target, repository, sha, state, from, before, limit: limit + 1 };
        let (found, looked_to) = self.ledger.deployments_among(&filter)?;
        let deployments: Vec<_> = found.iter().take(limit).map(|it| DeploymentView::of(it, &self.base)).collect();
        let cursor = if found.len() > limit { deployments.last().map(|it| it.id) } else { looked_to };
        Ok(DeploymentsPage { deployments, cursor })
    }

    pub(super) fn deliveries(&self, query: DeliveriesQuery) -> Answer<DeliveriesPage> {
        let DeliveriesQuery { repository, since, until, before, limit } = query;
        let (since, until) = (since.map(|it| it.at), until.map(|it| it.at));
        let filter = DeliveryFilter { repository, since, until, before, limit: limit + 1 };
        let (records, looked_to) = self.ledger.deliveries_among(&filter)?;
        let mut deliveries = Vec::new();
        for record in records.iter().take(limit) {
            deliveries.extend(self.delivery_of(record)?);
        }
        let cursor = if records.len() > limit { records.get(limit - 1).map(|it| it.offset) } else { looked_to };
        Ok(DeliveriesPage { deliveries, cursor })
    }

    pub(super) fn audit(&self, query: &AuditQuery) -> Answer<AuditPage> {
        let AuditQuery { before, limit } = *query;
        let records = self.ledger.latest(&Stream::Bot, before, limit + 1)?;
        let cursor = if records.len() > limit { records.get(limit - 1).map(|it| it.offset) } else { None };
        Ok(AuditPage { entries: records.iter().take(limit).filter_map(AuditEntry::of).collect(), cursor })
    }
}
