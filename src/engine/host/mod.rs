//! The host engine: runs an `appspec.yml` on this machine as the CodeDeploy agent would.
