//! AWS CodeDeploy: CreateDeployment by the marker protocol, and a batched poller.
