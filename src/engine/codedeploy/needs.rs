//! Which revisions a deployment group may still fetch: for instances that Auto Scaling launches, and to roll back
//! (row 25). It only reads.

use aws_sdk_codedeploy::types::{LastDeploymentInfo, RevisionLocation};

use super::engine::CodeDeployEngine;
use super::trouble::Trouble;
use crate::domain::{Failure, Location};

/// What a group that is not there is refused with.
const NO_GROUP: [&str; 2] = ["ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"];

impl CodeDeployEngine {
    /// The group's target revision, and what its last deployments brought, ours or not. Nothing where it is no more.
    pub(super) async fn needs(&self) -> Result<Option<Vec<Location>>, Failure> {
        let (spec, client) = (&self.spec, self.account.client().await);
        let call = client.get_deployment_group().application_name(&spec.application);
        let found = match call.deployment_group_name(&spec.deployment_group).send().await {
            Ok(found) => found,
            Err(error) => {
                let trouble = Trouble::of("GetDeploymentGroup", &error);
                let is_gone = matches!(&trouble, Trouble::Refused { code, .. } if NO_GROUP.contains(&code.as_str()));
                return if is_gone { Ok(None) } else { Err(trouble.failure(spec)) };
            }
        };
        let Some(group) = found.deployment_group_info else {
            let text = format!("nothing is told of group `{}`", spec.deployment_group);
            return Err(Failure::passing("codedeploy/needs-untold", text));
        };
        let mut needed: Vec<Location> = group.target_revision.iter().filter_map(|it| self.object(it)).collect();
        let last = [&group.last_successful_deployment, &group.last_attempted_deployment].into_iter().flatten();
        for id in last.filter_map(LastDeploymentInfo::deployment_id) {
            let found = client.get_deployment().deployment_id(id).send().await;
            let found = found.map_err(|error| Trouble::of("GetDeployment", &error).failure(spec))?;
            let deployment = found.deployment_info;
            needed.extend(deployment.iter().filter_map(|it| it.revision()).filter_map(|it| self.object(it)));
            // What a rollback of CodeDeploy's own goes back to.
            needed.extend(deployment.iter().filter_map(|it| it.previous_revision()).filter_map(|it| self.object(it)));
        }
        Ok(Some(needed))
    }

    fn object(&self, revision: &RevisionLocation) -> Option<Location> {
        let object = revision.s3_location()?;
        Some(Location::S3 {
            bucket: object.bucket()?.to_owned(),
            key: object.key()?.to_owned(),
            region: self.spec.region.clone(),
            version: object.version().map(str::to_owned),
            etag: object.e_tag().map(|it| it.trim_matches('"').to_owned()),
        })
    }
}
