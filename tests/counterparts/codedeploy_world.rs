//! Our CodeDeploy world, driven by the AWS CLI.
